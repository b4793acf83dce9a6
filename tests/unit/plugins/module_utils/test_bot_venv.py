"""A bot of mode systemd: packages that only its build needs, and where its commands are looked for."""

import pytest

from ansible_collections.botops.fleet.plugins.module_utils._bot.host import Host
from ansible_collections.botops.fleet.plugins.module_utils._bot.releases import Refused
from ansible_collections.botops.fleet.plugins.module_utils._bot.venv import Venv
from ansible_collections.botops.fleet.plugins.plugin_utils._bot import spec


class Debian(Host):
    def __init__(self, fail=""):
        self.present, self.asked, self.fail, self.check_mode = {"libc6:amd64"}, [], fail, False

    def run(self, argv, cwd=None, env=None):
        self.asked.append(argv)
        if argv[0] == "dpkg-query":
            return 0, "".join("ii %s\n" % name for name in sorted(self.present)) + "rc old:amd64\n", ""
        if "install" in argv:
            self.present |= {*argv[argv.index("install") + 1 :], "libgcc-dev:amd64"}
        if "purge" in argv:
            self.present -= set(argv[argv.index("purge") + 1 :])
        return (1, "", "no") if self.fail and self.fail in argv else (0, "", "")

    def has(self, program):
        return program == "python3"


def venv(host, **changes):
    return Venv(host, spec.public(spec.specify({"name": "paper", "module": "x", "source": {"type": "git", "url": "u"}, **changes}, {})))


@pytest.mark.parametrize("fail", ["", "venv"])
def test_a_compiler_is_there_while_something_is_built(tmp_path, fail):
    (tmp_path / ".botops").mkdir()
    host = Debian(fail)
    made = venv(host, build_packages=["gcc"])
    if fail:
        with pytest.raises(Refused, match="making the virtualenv failed"):
            made.build(str(tmp_path))
    else:
        made.build(str(tmp_path))
    assert host.present == {"libc6:amd64"}, "it is gone, with what came with it, whatever became of the build"
    order = [next((word for word in argv if word in ("install", "venv", "purge")), None) for argv in host.asked]
    assert [word for word in order if word] == ["install", "venv", "purge"]


def test_without_build_packages_nothing_is_asked_of_apt(tmp_path):
    (tmp_path / ".botops").mkdir()
    host = Debian()
    venv(host).build(str(tmp_path))
    assert not [argv for argv in host.asked if "apt-get" in argv or "dpkg-query" in argv]


def test_a_python_that_debian_does_not_have():
    with pytest.raises(Refused, match="python3.11 is not installed on this host, and no Python is built here: use python3"):
        venv(Debian(), python="python3.11").demand()
    venv(Debian(), python="python3.11", packages=["python3.11-venv"]).demand()


@pytest.mark.parametrize(
    ("command", "begins"),
    [
        ("bin/tool x", "{release}/bin/tool"),
        ("/usr/bin/touch x", "/usr/bin/touch"),
        ("node migrate.js", "/usr/bin/env"),
        ("python -m x", "{release}/.venv/bin/python"),
    ],
)
def test_where_a_command_is_looked_for(tmp_path, command, begins):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    host = Debian()
    made = venv(host, migrate_command=command)
    made.task(str(tmp_path), made.bot["migrate_command"])
    (argv,) = host.asked
    assert begins.format(release=tmp_path) in argv and argv[0] == "systemd-run"


def test_a_dollar_in_a_command_is_not_filled_by_root():
    class Module:
        check_mode = False

        def run_command(self, argv, **settings):
            return settings["expand_user_and_vars"], argv, ""

    words = ["sh", "-c", "cp x $HOME/y ~/z"]
    assert Host(Module()).run(words) == (False, words, "")
