#!/usr/bin/python
# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Internal to the roles - put a whole set of files, directories and links in place, or none of them
version_added: 1.0.0
description:
  - Brings every entry of a list to its declared content, owner and mode in one round trip, where a loop over
    C(ansible.builtin.template) needs two or three for each file.
  - Candidates are checked with their own O(files[].validate) first; when all are in place, O(check_command) judges the
    whole. If anything fails, or the run is told to end (SIGTERM, a lost connection), every path is put back exactly as it was,
    directories included, and the task fails with the checker's words.
  - The accompanying action plugin renders O(files[].template) on the control node.
options:
  files:
    description: What shall be on the host. Handled in the order given, so that directories come before what is in them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path on the host.
        type: path
        required: true
      state:
        description:
          - V(file) is a regular file, V(directory) a directory, V(link) a symbolic link to O(files[].target).
          - V(absent) removes a file or link, and a directory only when it is empty.
        type: str
        choices: [file, directory, link, absent]
        default: file
      template:
        description: Template on the control node, looked for in the role's C(templates). Rendered by the action plugin.
        type: str
      content:
        description: The file's content.
        type: str
      secret_content:
        description: As O(files[].content), for secrets. Never shown, not even in a diff.
        type: str
      secret:
        description: Treat the rendered O(files[].template) as O(files[].secret_content).
        type: bool
        default: false
      target:
        description: What a link points to.
        type: str
      owner:
        description: Owner's name. A file that exists keeps its owner when this is left out.
        type: str
      group:
        description: Group's name. A file that exists keeps its group when this is left out.
        type: str
      mode:
        description: Permissions, quoted octal, such as V('0644'). New files get 0644, new directories 0755, secrets 0600.
        type: str
      validate:
        description: Command that must accept the candidate; C(%s) is its path. Skipped in check mode if the command is not installed.
        type: str
      settings:
        description:
          - For a file that knows no drop-in directory, the lines that shall be in it, as keys and values; all others stay.
            A file that does not exist is left out.
          - What a line was before is remembered on the host. A key that is no longer given gets its old line back.
        type: dict
      separator:
        description: What stands between a key and its value in O(files[].settings).
        type: str
        default: " "
      keep:
        description: Leave the content of a file that exists alone.
        type: bool
        default: false
      purge:
        description: For a V(directory), remove the files and links in it that no other entry declares. Subdirectories stay.
        type: bool
        default: false
  renamed:
    description:
      - Directories that an earlier version left under another name, old path to new one. Each is moved with what is in it, and a
        link keeps the old name until M(botops.fleet.service_set) has made the services read the new one. One whose new name is
        taken is left alone.
    type: dict
    default: {}
  check_command:
    description: Command (no shell) that must accept the host's files once all are in place, for example C(nginx -t).
    type: str
  pending:
    description:
      - Name of a durable note on the host. A path is noted there before it is changed and stays until
        M(botops.fleet.service_set) has made the services take it over, in this run or in the one after a run that died.
    type: str
  backup:
    description: Keep a copy of each replaced or removed file beside it, with a time stamp in its name. Never for secrets.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: One diff a file. The content of secrets is never part of it.
author:
  - botops.fleet contributors (@botops)
"""

EXAMPLES = r"""
- name: Configure sshd and refuse what sshd would refuse
  botops.fleet.file_set:
    files:
      - path: /etc/ssh/sshd_config.d
        state: directory
      - path: /etc/ssh/sshd_config.d/10-botops.conf
        template: sshd.conf.j2
        mode: "0600"
    check_command: sshd -t
"""

RETURN = r"""
changed_paths:
  description: Paths that were changed, or would be in check mode.
  type: list
  elements: str
  returned: always
pending_paths:
  description: Those of O(pending) and RV(changed_paths) together, which services have still to take over.
  type: list
  elements: str
  returned: always
"""

import json
import os
import re
import shlex
import shutil
import signal
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.botops.fleet.plugins.module_utils import _conf_keys, _takeover
from ansible_collections.botops.fleet.plugins.module_utils._pending import Note

MEMORY = "/var/lib/botops/conf_keys.json"  # what the lines of `settings` were before
NO_ATTRIBUTES = {
    "mode": None, "owner": None, "group": None, "attributes": None,
    "seuser": None, "serole": None, "setype": None, "selevel": None, "secontext": [None, None, None],
}
MODES = {"file": "0644", "directory": "0755"}


class Refused(Exception):
    """A checker said no."""


class Interrupted(BaseException):
    """The run was told to end."""


def text_of(spec):
    content = spec["secret_content"] if spec["secret_content"] is not None else spec["content"]
    return None if content is None else content.encode()


def is_secret(spec):
    return spec["secret"] or spec["secret_content"] is not None


class FileSet:
    """Applies the entries one by one and remembers how to put each path back."""

    def __init__(self, module):
        self.module = module
        self.changed_paths = []
        self.diffs = []
        self.undo = []
        self.workdir = None
        self.note = Note(module.params["pending"])
        self.noted = list(self.note.paths)
        self.memory = self.remembered = None

    # --- what is there, what is wanted

    @staticmethod
    def current(path):
        if os.path.islink(path):
            return "link", os.readlink(path)
        if os.path.isdir(path):
            return "directory", None
        if os.path.exists(path):
            with open(path, "rb") as handle:
                return "file", handle.read()
        return "absent", None

    def wanted(self, spec, now):
        state = spec["state"]
        if state == "file" and spec["settings"] is not None:
            return state, self.with_settings(spec, now[1])
        if state == "file":
            content = text_of(spec)
            if now[0] == "file" and (spec["keep"] or content is None):
                content = now[1]
            return state, content or b""
        if state == "link":
            return state, spec["target"]
        return state, None

    def with_settings(self, spec, content):
        if self.memory is None:
            self.memory = json.loads((self.current(MEMORY)[1] or b"{}").decode())
        text, self.remembered = _conf_keys.converge(
            content.decode("utf-8", "surrogateescape"), spec["settings"], spec["separator"], self.memory.get(spec["path"], {})
        )
        return text.encode("utf-8", "surrogateescape")

    def memorize(self, path):
        """Before the file changes: a run that dies in between can still be undone."""
        known = self.memory.get(path, {})
        if self.remembered == known:
            return
        self.memory[path] = self.remembered
        if not self.remembered:
            del self.memory[path]
        now = self.current(MEMORY)
        self.make_directory(os.path.dirname(MEMORY))
        self.remember(MEMORY, now)
        text = json.dumps(self.memory, indent=1, sort_keys=True) + "\n"
        self.replace_file(MEMORY, text.encode(), {"mode": None if now[0] == "file" else "0644"}, now)

    def take_over(self):
        """Not undone by a later failure: the old name leads to the same directory."""
        for path in _takeover.begin(self.module.params["renamed"], self.module.check_mode):
            self.changed_paths.append(path)
            if not self.module.check_mode:
                self.note.add(path)

    def undeclared(self):
        """Entries that remove what lies in purged directories and is not declared. Taken for secrets: who knows what they hold."""
        declared = {spec["path"] for spec in self.module.params["files"]}
        for spec in self.module.params["files"]:
            if not spec["purge"] or spec["state"] != "directory" or not os.path.isdir(spec["path"]):
                continue
            for name in sorted(os.listdir(spec["path"])):
                path = os.path.join(spec["path"], name)
                if path not in declared and (os.path.islink(path) or not os.path.isdir(path)):
                    yield dict(spec, path=path, state="absent", secret=True, mode=None, owner=None, group=None)

    def apply(self, spec):
        path = spec["path"]
        now = self.current(path)
        if now[0] == "absent" and spec["settings"] is not None:
            return
        want = self.wanted(spec, now)
        if now[0] == "directory" and want[0] in ("file", "link"):
            raise Refused("%s is a directory where a %s was declared; move it away first" % (path, want[0]))
        different = now != want
        if different and want[0] == "file":
            self.validate(spec, want[1])
        attributes = self.attributes(spec, new=now[0] != want[0])
        # Attributes of something that is not there yet cannot be compared; that it is not there is the change.
        comparable = want[0] in ("file", "directory") and now[0] == want[0]
        touched = comparable and self.attributes_differ(path, attributes)
        if not (different or touched):
            return
        self.changed_paths.append(path)
        self.diffs.append(self.diff(spec, now, want, touched, attributes))
        if self.module.check_mode:
            return
        self.note.add(path)
        if different and spec["settings"] is not None:
            self.memorize(path)
        if want[0] == "directory":
            self.make_directory(os.path.dirname(path))
        self.remember(path, now)
        if different:
            self.write(spec, now, want, attributes)
        if want[0] in ("file", "directory"):
            self.module.set_fs_attributes_if_different(dict(attributes), False)

    # --- attributes

    def attributes(self, spec, new):
        mode = spec["mode"] or (("0600" if is_secret(spec) and spec["state"] == "file" else MODES.get(spec["state"])) if new else None)
        if new and spec["state"] in MODES:
            owner, group = spec["owner"] or "root", spec["group"] or "root"
            if os.geteuid() != 0:
                owner, group = spec["owner"], spec["group"]
        else:
            owner, group = spec["owner"], spec["group"]
        return {**NO_ATTRIBUTES, "path": spec["path"], "mode": mode, "owner": owner, "group": group}

    def attributes_differ(self, path, wanted):
        info = os.lstat(path)
        if wanted["mode"] is not None and (info.st_mode & 0o7777) != int(wanted["mode"], 8):
            return True
        owner, group = self.module.user_and_group(path)
        for name, current, look_up in (("owner", owner, self.uid), ("group", group, self.gid)):
            if wanted[name] is not None and look_up(wanted[name]) != current:
                return True
        return False

    def uid(self, name):
        import pwd

        try:
            return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
        except KeyError:
            return self.unknown("user", name)

    def gid(self, name):
        import grp

        try:
            return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
        except KeyError:
            return self.unknown("group", name)

    def unknown(self, kind, name):
        # In check mode an earlier task would have made the account.
        if self.module.check_mode:
            return -1
        raise Refused("the %s %s does not exist on this host; create it before its files" % (kind, name))

    # --- writing, and putting back

    def remember(self, path, now):
        """Keep what is there in a private directory beside nothing else; `restore` puts it back."""
        if self.workdir is None:
            self.workdir = tempfile.mkdtemp(prefix="file_set-")
        saved = None
        if now[0] == "file":
            saved = os.path.join(self.workdir, str(len(self.undo)))
            shutil.copy2(path, saved)
            info = os.stat(path)
            os.chown(saved, info.st_uid, info.st_gid)
        info = os.lstat(path) if now[0] == "directory" else None
        self.undo.append((path, now, saved, info))

    def make_directory(self, path):
        """With its parents, each of which would be taken away again."""
        missing = []
        while path and not os.path.isdir(path):
            missing.append(path)
            path = os.path.dirname(path)
        for path in reversed(missing):
            self.remember(path, ("absent", None))
            os.mkdir(path, 0o755)

    def write(self, spec, now, want, attributes):
        path = spec["path"]
        if want[0] == "absent":
            if now[0] == "directory":
                try:
                    os.rmdir(path)
                except OSError:
                    raise Refused("%s is a directory that is not empty; it was left alone" % path) from None
            else:
                self.keep_copy(spec, now)
                os.unlink(path)
        elif want[0] == "directory":
            if now[0] != "absent":
                raise Refused("%s exists and is a %s, not a directory; move it away first" % (path, now[0]))
            os.mkdir(path)
        elif want[0] == "link":
            if now[0] == "file":
                self.keep_copy(spec, now)
            temporary = "%s.%s.new" % (path, os.getpid())
            os.symlink(want[1], temporary)
            os.replace(temporary, path)
        else:
            self.keep_copy(spec, now)
            self.replace_file(path, want[1], attributes, now)

    def keep_copy(self, spec, now):
        if self.module.params["backup"] and now[0] == "file" and not is_secret(spec):
            self.module.backup_local(spec["path"])

    def replace_file(self, path, content, attributes, now):
        """Write beside the target with its final owner and mode, then rename: nobody ever reads half a file."""
        handle, temporary = tempfile.mkstemp(prefix=".file_set-", dir=os.path.dirname(path))
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if now[0] == "file":
                info = os.stat(path)
                os.chown(temporary, info.st_uid, info.st_gid)
                os.chmod(temporary, info.st_mode & 0o7777)
            self.module.set_fs_attributes_if_different({**NO_ATTRIBUTES, **attributes, "path": temporary}, False)
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise

    def restore(self):
        """Everything as it was; what cannot be put back is named and hinders nothing else."""
        left = []
        for step in reversed(self.undo):
            try:
                self.put_back(*step)
            except OSError as error:
                left.append("%s (%s)" % (step[0], error.strerror))
        if left:
            # What changed for good still has to be taken over.
            return " These could not be put back: %s." % ", ".join(left)
        self.note.write(self.noted)
        return ""

    @staticmethod
    def put_back(path, now, saved, info):
        kind, value = now
        if kind == "file":
            # A rename across file systems would lose owner and mode: copy beside, then rename.
            temporary = "%s.%s.old" % (path, os.getpid())
            shutil.copy2(saved, temporary)
            kept = os.stat(saved)
            os.chown(temporary, kept.st_uid, kept.st_gid)
            os.replace(temporary, path)
        elif kind == "link":
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink(value, path)
        elif kind == "directory":
            if not os.path.isdir(path):
                os.mkdir(path)
            os.chown(path, info.st_uid, info.st_gid)
            os.chmod(path, info.st_mode & 0o7777)
        elif os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.isdir(path):
            os.rmdir(path)

    # --- checking

    def validate(self, spec, content):
        command = spec["validate"]
        if not command:
            return
        if "%s" not in command:
            raise Refused("validate for %s has no %%s to stand for the candidate's path" % spec["path"])
        if self.module.check_mode and not self.module.get_bin_path(shlex.split(command)[0]):
            return
        # Checkers judge by the file's name, too (units, .conf): keep it.
        directory = tempfile.mkdtemp(prefix="file_set-")
        try:
            candidate = os.path.join(directory, os.path.basename(spec["path"]))
            with open(os.open(candidate, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
                stream.write(content)
            argv = [part.replace("%s", candidate) for part in shlex.split(command)]
            status, out, err = self.module.run_command(argv)
        finally:
            shutil.rmtree(directory)
        if status:
            said = (err or out).replace(candidate, spec["path"]).strip()
            raise Refused("%s was refused by `%s`: %s" % (spec["path"], command.replace("%s", spec["path"]), said))

    def check_whole(self):
        command = self.module.params["check_command"]
        if not command or not self.undo:
            return
        status, out, err = self.module.run_command(shlex.split(command))
        if status:
            raise Refused("`%s` refused the new files, so the old ones were put back: %s" % (command, (err or out).strip()))

    # --- telling

    def diff(self, spec, now, want, touched, attributes):
        path = spec["path"]
        if is_secret(spec):
            note = "[the content of this file is secret]\n"
            before, after = ("", note) if want[0] != "absent" else (note, "")
            return {"before_header": path, "after_header": path, "before": before, "after": after}

        def show(kind, value):
            if kind == "file":
                try:
                    return value.decode()
                except UnicodeDecodeError:
                    return "[binary, %d bytes]\n" % len(value)
            return {"absent": "", "directory": "[directory]\n", "link": "[link to %s]\n" % value}[kind]

        before, after = show(*now), show(*want)
        if touched:
            info = os.lstat(path)
            before = "mode=%04o owner=%d group=%d\n%s" % (info.st_mode & 0o7777, info.st_uid, info.st_gid, before)
            after = "mode=%s owner=%s group=%s\n%s" % (
                attributes["mode"] or "%04o" % (info.st_mode & 0o7777),
                attributes["owner"] or info.st_uid,
                attributes["group"] or info.st_gid,
                after,
            )
        return {"before_header": path, "after_header": path, "before": before, "after": after}


class Module(AnsibleModule):
    def _log_invocation(self):
        """Paths only. The log would show the list as one text, in which a secret of several lines is not recognised."""
        self.log("Invoked for %s" % ", ".join(spec["path"] for spec in self.params["files"]))


ENDED_BY = []


# A lost connection arrives as SIGHUP; all of them end a module in the middle of its work otherwise.
ENDINGS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def interrupt(number, _frame):
    ENDED_BY.append(signal.Signals(number).name)
    raise Interrupted(ENDED_BY[0])


def go_on():
    """An exception that a handler raises inside one of Python's own hooks is swallowed there."""
    if ENDED_BY:
        raise Interrupted(ENDED_BY[0])


def run(module):
    for number in ENDINGS:
        signal.signal(number, interrupt)
    file_set = FileSet(module)
    try:
        file_set.take_over()
        for spec in module.params["files"]:
            go_on()
            file_set.apply(spec)
        for spec in file_set.undeclared():
            file_set.apply(spec)
        file_set.check_whole()
        go_on()
    except BaseException as error:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        left = file_set.restore()
        if isinstance(error, SystemExit):  # fail_json from a helper has spoken already
            raise
        said = str(error)
        if isinstance(error, Interrupted):
            said = "The run was ended by %s, so the old files were put back." % error
        elif not isinstance(error, (Refused, OSError)):
            said = "%s: %s; the old files were put back." % (type(error).__name__, error)
        module.fail_json(msg=said + left, changed_paths=[], pending_paths=file_set.note.paths)
    finally:
        if file_set.workdir:
            shutil.rmtree(file_set.workdir, ignore_errors=True)
    changed = file_set.changed_paths
    pending = file_set.note.paths + [path for path in changed if path not in file_set.note.paths]
    result = {"changed": bool(changed), "changed_paths": changed, "pending_paths": pending}
    if module._diff:
        result["diff"] = file_set.diffs
    module.exit_json(**result)


def main():
    module = Module(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
                    "template": {"type": "str"},
                    "content": {"type": "str"},
                    "secret_content": {"type": "str", "no_log": True},
                    "secret": {"type": "bool", "default": False, "no_log": False},
                    "target": {"type": "str"},
                    "owner": {"type": "str"},
                    "group": {"type": "str"},
                    "mode": {"type": "str"},
                    "validate": {"type": "str"},
                    "settings": {"type": "dict"},
                    "separator": {"type": "str", "default": " "},
                    "keep": {"type": "bool", "default": False},
                    "purge": {"type": "bool", "default": False},
                },
                "required_if": [("state", "link", ["target"])],
                "mutually_exclusive": [("content", "secret_content", "settings")],
            },
            "renamed": {"type": "dict", "default": {}},
            "check_command": {"type": "str"},
            "pending": {"type": "str"},
            "backup": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    for spec in module.params["files"]:
        if spec["mode"] is not None and not re.fullmatch("[0-7]{3,4}", spec["mode"]):
            module.fail_json(msg="%s: mode is %r; write it as octal digits in quotes, such as '0644'." % (spec["path"], spec["mode"]))
    run(module)


if __name__ == "__main__":
    main()
