"""The hardening role's lists; what they come to for whole sets of variables is in tests/unit/roles/test_hardening_vars.py."""

from ansible_collections.botops.fleet.plugins.plugin_utils import _hardening


def test_the_removal_takes_own_files_and_leaves_those_that_get_their_old_state_back():
    always = [{"path": "/etc/x", "state": "directory"}, {"path": "/etc/x/60-botops.conf", "template": "a.j2"}, {"path": "/etc/motd", "template": "b.j2"}]
    optional = {"bans": [{"path": "/etc/f/60-botops.conf", "template": "c.j2"}]}
    assert _hardening.own(always, optional, [{"path": "/etc/motd"}]) == ["/etc/x/60-botops.conf", "/etc/f/60-botops.conf"]


def test_files_of_parts_that_are_not_wanted_and_of_others_that_are_absent_stay_out():
    private = {"/etc/crontab": {"mode": "0600"}, "/etc/other": {"mode": "0600"}}
    found = _hardening.files([{"path": "/a"}], {"on": [{"path": "/b"}], "off": [{"path": "/c"}]}, {"on": True, "off": False}, private, ["/etc/crontab"])
    assert found == [{"path": "/a"}, {"path": "/b"}, {"path": "/etc/crontab", "mode": "0600"}]


def test_the_inventory_is_not_changed():
    users = [{"name": "ops", "sudo": "nopasswd"}]
    assert _hardening.accounts(users) == [{"name": "ops"}]
    assert users == [{"name": "ops", "sudo": "nopasswd"}]
