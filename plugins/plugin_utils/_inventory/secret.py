# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets come from the environment, a vault or a file. Written into the inventory as plain text they are refused."""

from __future__ import annotations

import os
import re

from ansible_collections.botops.fleet.plugins.plugin_utils._inventory.errors import InventoryError

VAULTED = ("EncryptedString", "AnsibleVaultEncryptedUnicode")
LOOKS_SECRET = re.compile(r"(dop|doo|dor)_v1_[0-9a-f]{16,}|\b(AKIA|ASIA)[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY")
SECRET_NAME = re.compile(r"(^|_)(password|passwd|passphrase|secret|token|api_?key|secret_key|pass)$", re.I)


def is_vaulted(value):
    return type(value).__name__ in VAULTED


def is_template(value):
    return isinstance(value, str) and not is_vaulted(value) and ("{{" in value or "{%" in value)


def literals(node, path="sources"):
    """Sentences for every plain-text secret below `node`: by the name of its key, or by what it looks like."""
    said = []
    if is_vaulted(node):
        return said
    if isinstance(node, dict):
        for key, value in node.items():
            where = "%s.%s" % (path, key)
            plain = isinstance(value, (str, int)) and not isinstance(value, bool) and not is_vaulted(value)
            if SECRET_NAME.search(str(key)) and plain and not is_template(value) and value != "":
                said.append(
                    "%s holds a secret in plain text: use !vault, a look-up such as {{ lookup('ansible.builtin.env', 'NAME') }},"
                    " or the option's _env or _file form" % where
                )
            else:
                said += literals(value, where)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            said += literals(value, "%s[%d]" % (path, index))
    elif isinstance(node, str) and LOOKS_SECRET.search(node):
        said.append("%s contains what looks like a secret key or token: keep it out of the file (vault, environment or a file)" % path)
    return said


def resolve(options, name, default_env, base_dir=""):
    """(the secret, where it came from) out of `name`, `name_env`, `name_file` or the usual variables."""
    value = options.get(name)
    if value not in (None, ""):
        return str(value).strip(), "option %s" % name
    path = options.get(name + "_file")
    if path:
        path = os.path.join(base_dir, os.path.expanduser(path))
        try:
            with open(path, encoding="utf-8") as handle:
                secret = handle.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InventoryError("%s_file %s cannot be read: %s" % (name, path, getattr(error, "strerror", None) or "not text")) from error
        if not secret:
            raise InventoryError("%s_file %s is empty" % (name, path))
        return secret, "file %s" % path
    variables = [options[name + "_env"]] if options.get(name + "_env") else list(default_env)
    for variable in variables:
        if os.environ.get(variable, "").strip():
            return os.environ[variable].strip(), "environment variable %s" % variable
    raise InventoryError(
        "there is no %s: set the environment variable %s, or give %s_env, %s_file or a vaulted %s"
        % (name, " or ".join(variables), name, name, name)
    )
