"""The lockout guard: who is connected, and a restore script that really restores."""

import subprocess

from ansible_collections.botops.fleet.plugins.module_utils import _guard


def test_the_connection_is_found_behind_sudo():
    module = {"SUDO_USER": "admin", "USER": "root"}
    shell = _guard.environment("USER=admin\0SSH_CONNECTION=2001:db8::7%eth0 50000 2001:db8::1 22\0A=b=c\0")
    assert _guard.connection([module, shell, {}]) == {"user": "admin", "client": "2001:db8::7", "server": "2001:db8::1", "port": 22}
    assert _guard.connection([module]) is None


def test_the_script_puts_files_back_and_removes_new_ones(tmp_path):
    home, old, new = tmp_path / "home", tmp_path / "it's old", tmp_path / "new"
    (home / "saved").mkdir(parents=True)
    (home / "saved" / "0").write_text("good")
    (home / "restore.sh").touch()
    old.write_text("bad")
    new.write_text("bad")
    script = _guard.restore_script([{"path": str(old), "saved": "saved/0"}, {"path": str(new), "saved": None}], None, str(home), "unit-of-a-test")
    # The commands of the system are answered by true, so that the rest of the script runs on.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("systemctl", "ufw", "logger"):
        (tools / name).symlink_to("/bin/true")
    subprocess.run(["sh", "-c", script], check=True, env={"PATH": f"{tools}:/usr/bin:/bin"})
    assert old.read_text() == "good" and not new.exists()
    assert (home / "fired").exists() and not (home / "saved").exists()


def test_a_firewall_that_was_on_is_on_again_and_one_that_was_off_is_off():
    assert "ufw --force enable" in _guard.restore_script([], True)
    assert "ufw disable" in _guard.restore_script([], False) and "--force enable" not in _guard.restore_script([], False)
