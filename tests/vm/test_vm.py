"""What needs a kernel of its own: an audit trail, kernel settings, and whatever has to come back after a boot.

In the order of the file: the later tests want what the earlier ones did. Times are of an emulated processor, many times slower than a real one.
"""

import json
import os
import re
import shlex
import time

import machine as vm
import pytest

# Ten minutes are promised; what the trail makes of trading is the same each minute.
TRADING_SECONDS = int(os.environ.get("BOTOPS_VM_TRADING_SECONDS", "180"))
# From the act to the moment at which ausearch finds it.
FOUND_SECONDS = 20
# An emulated engine takes two minutes to start and one more for a container.
BOT_SECONDS = 420
KEY_PATH = "/etc/bot-paper/secrets.env"
BOTS = ("exchange", "paper", "echo")


def bots(machine):
    return [bot for bot in BOTS if machine.run(f"test -d /etc/bot-{bot}").returncode == 0]


def test_site_sets_it_up_and_a_second_run_changes_nothing(machine):
    machine.site()
    again = machine.site()
    assert again["changed"] == 0 and again["failed"] == 0, again
    print(f"         second run: {again['ok']} tasks, changed=0")


def test_nobody_waits_for_the_trail_and_all_of_it_is_loaded(machine):
    said = machine.out("auditctl -s; botops-audit check")
    print(f"\n{said}")
    assert re.search(r"^enabled 1$", said, re.M) and re.search(r"^failure 1$", said, re.M)
    assert re.search(r"^backlog_limit 8192$", said, re.M) and re.search(r"^backlog_wait_time 0$", said, re.M)
    assert re.search(r"^lost 0$", said, re.M)
    assert machine.out("stat -c %a /var/log/audit /etc/audit/rules.d/botops.rules").split() == ["750", "640"]


# key, what is done (as root, with the login of admin), what the report says of it
ACTS = {
    "a watched file is touched": ("sudoers", "touch /etc/sudoers.d/90-vm", r"admin as root: /etc/sudoers\.d/90-vm, by touch"),
    "a secret is read by root in the name of a person": ("bot-secrets", f"cat {KEY_PATH} >/dev/null", rf"admin as root: {KEY_PATH}, by cat"),
    "a secret is asked for by another account": (
        "denied", f"systemd-run --wait -q -p User=mallory cat {KEY_PATH} || true", rf"a service as mallory: tried and was refused: {KEY_PATH}, by cat"
    ),
    "one bot asks for the secret of another": (
        "denied", f"systemd-run --wait -q -p User=bot-exchange cat {KEY_PATH} || true",
        rf"a service as bot-exchange: tried and was refused: {KEY_PATH}, by cat",
    ),
    "a bot's account starts a program": ("bot-commands", "systemd-run --wait -q -p User=bot-paper /usr/bin/id", ""),
    "a bot's account tries to become root": (
        "privilege", "systemd-run --wait -q -p User=bot-paper /usr/bin/sudo -n true || true", r"bot-paper by sudo: "
    ),
    "a person tries to become root": ("privilege", "su mallory -c 'sudo -n true' || true", r"admin by sudo: true"),
    "a unit is changed": (
        "systemd-units", "printf '[Service]\\nExecStart=/bin/true\\n' > /etc/systemd/system/vm-act.service", r"/etc/systemd/system/vm-act\.service, by bash"
    ),
    "a user is made": ("identity", "useradd eve", r"admin as root: user made: eve"),
    "a job is planned": ("scheduled-jobs", "echo '# vm' > /etc/cron.d/vm", r"admin as root: /etc/cron\.d/vm, by bash"),
    "a key that opens an account": ("ssh-server", "install -d -m 700 /root/.ssh && echo '# vm' >> /etc/ssh/ssh_known_hosts", r"/etc/ssh/ssh_known_hosts, by"),
    "a module is loaded": ("kernel-modules", "modprobe -r dummy; modprobe dummy", r"admin as root: .*, by (modprobe|kmod)"),
    "the clock is set": ("clock", "date -s \"@$(date +%s)\" >/dev/null", r"admin as root: .*, by date"),
    "something is mounted": ("mounts", "mount -t tmpfs none /mnt && umount /mnt", r"admin as root: .*, by (u?mount)"),
    "Docker's socket is asked": ("docker", "docker ps >/dev/null", r"admin as root: .*, by docker"),
    "a release is changed": ("bot-releases", "touch /opt/bot-paper/vm", r"admin as root: /opt/bot-paper/vm, by touch"),
    "our own state is read": ("botops-state", "cat /etc/botops/audit.json >/dev/null", r"admin as root: /etc/botops/audit\.json, by cat"),
    "somebody looks at the trail": ("audit-trail", "head -c1 /var/log/audit/audit.log >/dev/null", r"admin as root: /var/log/audit/audit\.log, by head"),
}  # fmt: skip


@pytest.fixture(scope="module")
def acted(machine):
    """All of it done, one after another: {what: seconds until ausearch found it by its key}."""
    machine.out("id mallory >/dev/null 2>&1 || useradd --create-home mallory")
    found = {}
    for what, (key, act, _words) in ACTS.items():
        script = f"""
        count() {{ ausearch --input-logs --raw -k {key} 2>/dev/null | grep -c '^type=SYSCALL'; }}
        before=$(count)
        began=$(date +%s.%N)
        {act}
        for attempt in $(seq {FOUND_SECONDS * 4}); do
            [ "$(count)" -gt "$before" ] && {{ echo "$(date +%s.%N) $began"; exit 0; }}
            sleep 0.25
        done
        exit 3
        """
        done = machine.run(script)
        if done.returncode == 0:
            end, began = done.stdout.split()[-2:]
            found[what] = float(end) - float(began)
        print(f"{found.get(what, float('nan')):9.1f} s  {what}" + ("" if what in found else f": NOT found by {key}: {done.stderr.strip()[-200:]}"), flush=True)
    return found


@pytest.fixture(scope="module")
def told(machine, acted):
    return machine.out("botops-audit report --since 1h")


@pytest.mark.parametrize("what", ACTS)
def test_found_by_key_within_seconds(acted, what):
    assert acted.get(what, float("inf")) <= FOUND_SECONDS


@pytest.mark.parametrize("what", [what for what, act in ACTS.items() if act[2]])
def test_the_report_says_it(told, what):
    assert re.search(ACTS[what][2], told), told


def test_the_report_shows_no_secret(machine, told):
    assert "canary-vm" not in told
    # Written so that this very command, which is recorded, is none of what it looks for.
    assert machine.out("grep -rl 'canary-[v]m' /var/log/audit || true") == ""


def test_trading_stays_within_the_budget_and_nothing_is_lost(machine):
    """Only what the bots and the host do by themselves: nobody is logged in meanwhile."""
    before, began = machine.orders(), float(machine.out("date +%s.%N"))
    time.sleep(TRADING_SECONDS)
    ended, after = float(machine.out("date +%s.%N")), machine.orders()
    assert after > before
    # The login that began it and the one that ended it are none of it.
    script = f"""
import collections, json, sys
sys.path.insert(0, "/usr/local/lib/botops")
from audit import records
sizes, count = collections.Counter(), 0
for event in records.events(records.read({began}), {began + 5}):
    if event.at < {ended - 5}:
        sizes[event.keys[0] if event.keys else "type " + event.kind()] += event.size
        count += 1
print(json.dumps({{"events": count, "sizes": sizes}}))
"""
    found = json.loads(machine.out(f"python3 - <<'END'\n{script}\nEND"))
    day = {key: size * 86400 / (ended - began - 10) / 1e6 for key, size in found["sizes"].items()}
    budget = json.loads(machine.out("cat /etc/botops/audit.json"))["budget_mb_per_day"]
    print(f"\n{ended - began:.0f} s of trading, {after - before} orders: {found['events']} events, {sum(day.values()):.1f} MB a day of {budget}")
    for key, size in sorted(day.items(), key=lambda entry: -entry[1])[:8]:
        print(f"{size:9.2f} MB a day  {key}")
    assert sum(day.values()) <= budget
    assert re.search(r"^lost 0$", machine.out("auditctl -s"), re.M)


def test_the_evidence_is_written(machine):
    machine.run("systemctl start botops-audit-evidence.service")
    value = json.loads(machine.out("cat /var/lib/botops/evidence/audit.json"))
    print(f"\n{value['verdict']}: {value['mb_per_day']} MB a day, lost {value['lost']}, {value['problems']}")
    assert {"time", "source"} <= set(value) and value["verdict"] == "ok" and value["lost"] == 0
    assert machine.out("stat -c %a /var/lib/botops/evidence/audit.json") == "644"


def test_its_units_are_shut_off(machine):
    said = machine.out("systemd-analyze security --no-pager botops-audit-rules.service botops-audit-evidence.service | grep -a 'exposure level'")
    print(f"\n{said}")
    assert all(float(score) <= 4.0 for score in re.findall(r": ([0-9.]+)", said)), said


# --- a boot


def settings(machine):
    """{kernel setting: (declared, what the kernel has)} of the file that hardening wrote."""
    lines = machine.out("grep -vE '^ *(#|;|$)' /etc/sysctl.d/99-z-botops.conf").splitlines()
    declared = {name.strip().lstrip("-"): " ".join(value.split()) for name, _sign, value in (line.partition("=") for line in lines)}
    ask = "printf '%s\\t%s\\n' {0} \"$(sysctl -n {0} 2>&1 | tr '\\t' ' ')\""
    script = "\n".join(ask.format(shlex.quote(name)) for name in declared)
    actual = dict(line.split("\t", 1) for line in machine.out(script).splitlines())
    return {name: (value, " ".join(actual[name].split())) for name, value in declared.items()}


def test_everything_is_back_after_a_boot(machine):
    before = machine.orders()
    print(f"\n{machine.reboot():6.1f} s  reboot")
    assert machine.orders() >= before
    for bot in bots(machine):
        print(f"{machine.until(f'systemctl is-active -q bot-{bot}.service', BOT_SECONDS):6.1f} s  bot-{bot} runs", flush=True)
    seen = machine.orders()
    deadline = time.monotonic() + 120
    while machine.orders() <= seen:
        assert time.monotonic() < deadline, machine.out("systemctl status --no-pager bot-paper bot-exchange || true")
        time.sleep(1)


def test_every_kernel_setting_is_in_force_after_it(machine):
    found = settings(machine)
    missing = {name for name, (_declared, actual) in found.items() if "No such file" in actual}
    print(f"\n{len(found) - len(missing)} of {len(found)} kernel settings are there; this kernel has none named {', '.join(sorted(missing)) or 'otherwise'}")
    assert len(found) >= 30
    assert {name: pair for name, pair in found.items() if name not in missing and pair[0] != pair[1]} == {}


def test_the_rules_are_loaded_after_it(machine):
    assert machine.out("systemctl is-active auditd.service") == "active"
    machine.until("systemctl is-active -q botops-audit-rules.service", 120)
    said = machine.out("journalctl -b -q -o cat -u botops-audit-rules.service; botops-audit check; auditctl -s")
    print(f"\n{said}")
    assert re.search(r"^lost 0$", said, re.M) and not re.search(r"not loaded", said)


def test_every_role_s_promise_holds_after_it(machine):
    done = machine.play("playbooks/verify.yml")
    assert done.returncode == 0, done.stdout[-4000:]


def test_a_container_s_bot_is_there_after_it(machine):
    if "echo" not in bots(machine):
        pytest.skip("this release has no Compose v2 of its own")
    assert machine.out("python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:8090/health\").read().decode())'") == "ok"


def test_an_unconfirmed_change_is_taken_back_by_a_boot(machine):
    """The guard is armed by a run that never comes back, the door is closed, the host reboots: it opens by itself."""
    play = "- hosts: all\n  become: true\n  gather_facts: false\n  tasks:\n    - botops.fleet.lockout_guard: {state: armed, seconds: 3600, paths: [%s]}\n"
    drop_in = "/etc/ssh/sshd_config.d/00-botops.conf"
    path = vm.STATE / "arm.yml"
    path.write_text(play % drop_in)
    done = machine.play(str(path))
    assert done.returncode == 0, done.stdout[-3000:]
    before = machine.out(f"sha256sum {drop_in}")

    def close():
        machine.run(f"sed -i '1i DenyGroups admin' {drop_in}; systemctl restart ssh")
        assert machine.run("true").returncode == 255, "the door is open still"

    print(f"\n{machine.reboot(close, delay=20):6.1f} s  reboot behind a closed door")
    assert machine.out(f"sha256sum {drop_in}") == before
    # The door opens before the guard has cleared up behind itself.
    print(f"{machine.until('! ls /etc/systemd/system/botops-rollback*', 120):6.1f} s  until nothing of the guard is left")


def test_ssh_by_socket_activation(machine):
    """As Ubuntu ships it: systemd listens and starts sshd for whoever comes; over a boot, and with a run of the role.

    Exchanged by boots: a socket that is stopped leaves the sshd that it started at the port, and no other one can have it.
    """
    machine.out("systemctl disable -q ssh.service; systemctl enable -q ssh.socket")
    print(f"\n{machine.reboot():6.1f} s  reboot")
    assert machine.out("systemctl is-active ssh.socket") == "active"
    assert machine.out("systemctl is-enabled ssh.service || true") == "disabled"
    machine.site("--tags", "hardening")
    assert machine.out("systemctl is-active ssh.socket") == "active"
    machine.out("systemctl disable -q ssh.socket; systemctl enable -q ssh.service")
    print(f"{machine.reboot():6.1f} s  reboot")
    assert machine.out("systemctl is-active ssh.service") == "active"
    assert machine.out("systemctl is-active ssh.socket || true") == "inactive"


def test_an_upgrade_that_needs_a_boot_waits_for_its_window(machine):
    """unattended-upgrades itself, with the file that the role wrote: the boot is planned for the hour that was declared."""
    machine.out("touch /run/reboot-required; echo linux-image > /run/reboot-required.pkgs")
    said = machine.run("timeout 280 unattended-upgrade -v 2>&1 | tail -n 15; cat /run/systemd/shutdown/scheduled", seconds=300)
    planned = re.search(r"USEC=(\d+)", said.stdout)
    assert planned, said.stdout + said.stderr
    assert machine.out(f"date -d @{int(planned[1]) // 1000000} +%H:%M") == "04:00"
    machine.out("shutdown -c; rm -f /run/reboot-required /run/reboot-required.pkgs")
