"""Keys in files without a drop-in directory: set once, put back exactly."""

from ansible_collections.botops.fleet.plugins.module_utils import _conf_keys

TEXT = "# UMASK is explained here\nUMASK\t\t022\nPASS_MAX_DAYS\t99999\n#Subsystem sftp old\nSubsystem\tsftp\t/usr/lib/sftp-server\n"


def test_set_again_and_put_back():
    wanted = {"UMASK": "027", "NEW_KEY": 5, "Subsystem sftp": "/usr/lib/sftp-server -l INFO"}
    after, remembered = _conf_keys.converge(TEXT, wanted, " ", {})
    assert "UMASK 027\n" in after and after.endswith("NEW_KEY 5\n") and "Subsystem sftp /usr/lib/sftp-server -l INFO\n" in after
    assert "# UMASK is explained here" in after and "022" not in after
    assert _conf_keys.converge(after, wanted, " ", remembered) == (after, remembered)
    assert _conf_keys.converge(after, {}, " ", remembered) == (TEXT, {})


def test_a_key_no_longer_declared_gets_its_old_line_back():
    after, remembered = _conf_keys.converge(TEXT, {"UMASK": "027", "PASS_MAX_DAYS": 90}, " ", {})
    after, remembered = _conf_keys.converge(after, {"PASS_MAX_DAYS": 90}, " ", remembered)
    assert "UMASK\t\t022\n" in after and "PASS_MAX_DAYS 90\n" in after and remembered == {"PASS_MAX_DAYS": "PASS_MAX_DAYS\t99999"}


def test_a_longer_key_is_another_key_and_doubles_become_one():
    after, _memory = _conf_keys.converge("deny = 3\ndeny_more = 1\ndeny = 4\n", {"deny": 5}, " = ", {})
    assert after == "deny_more = 1\ndeny = 5\n"


def test_what_is_right_already_is_not_touched_or_remembered():
    assert _conf_keys.converge("UMASK   027\n", {"UMASK": "027"}, " ", {}) == ("UMASK   027\n", {})
