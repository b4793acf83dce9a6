"""Twenty ways to lock oneself out between the change and its confirmation. Each host must let its operator back in by itself, within
the rollback time plus ten seconds, with everything as it was."""

import itertools
import json
import os
import pathlib
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
STATE = ROOT / ".cache" / "molecule-lockout"
SECONDS = 12
DROP_IN = "/etc/ssh/sshd_config.d/00-botops.conf"
PATHS = [
    "/etc/ssh/sshd_config", DROP_IN, "/etc/ssh/sshd_config.d/01-trial.conf", "/etc/sudoers.d/60-botops", "/etc/pam.d/common-account",
    "/etc/pam.d/common-auth", "/home/admin/.ssh/authorized_keys", "/etc/sudoers.d/90-cloud-init-users",
]  # fmt: skip
RELOAD, RESTART = "systemctl reload ssh", "systemctl restart ssh"


def sshd(line, verb=RELOAD):
    return f"sed -i '1i {line}' {DROP_IN}; {verb}"


TRIALS = {
    "nobody may log in": sshd("AllowUsers nobody"),
    "the group of the administrator may not": sshd("DenyGroups admin"),
    "another port": f"sed -i 's/^Port .*/Port 2222/' {DROP_IN}; {RELOAD}",
    "an address that is not on the host": sshd("ListenAddress 198.51.100.7", RESTART),
    "IPv6 only": f"sed -i 's/^AddressFamily .*/AddressFamily inet6/' {DROP_IN}; {RELOAD}",
    "no common key exchange": f"sed -i 's/^KexAlgorithms .*/KexAlgorithms diffie-hellman-group14-sha1/' {DROP_IN}; {RELOAD}",
    "keys are not taken": f"sed -i 's/^PubkeyAuthentication .*/PubkeyAuthentication no/' {DROP_IN}; {RELOAD}",
    "a configuration that sshd does not understand": sshd("Nonsense yes", RESTART),
    "sshd ended, and its directory with it": f"{sshd('Nonsense yes')}; systemctl stop ssh; rm -rf /run/sshd",
    "sshd failed until systemd gave up": f"{sshd('Nonsense yes')}; for i in 1 2 3 4 5 6 7 8; do {RESTART}; done",
    "sshd killed": f"{sshd('Nonsense yes')}; systemctl kill -s KILL ssh; rm -rf /run/sshd",
    "a rule of the firewall before all others": "ufw insert 1 deny proto tcp to any port 1:65535",
    "the rule that lets SSH in is gone": "ufw --force delete allow 22/tcp; iptables -F ufw-user-input; ip6tables -F ufw-user-input",
    "policies without rules": "iptables -P INPUT DROP; iptables -F; iptables -X",
    "the administrator's key is gone": "rm /home/admin/.ssh/authorized_keys",
    "sudo is lost": "echo 'admin ALL=(ALL) !ALL' >> /etc/sudoers.d/90-cloud-init-users",
    "the login stack refuses everybody": "echo 'account required pam_deny.so' >> /etc/pam.d/common-account",
    "the way back is interrupted": (
        f"{sshd('AllowUsers nobody')}; "
        "for i in $(seq 300); do systemctl is-active -q botops-rollback.service || [ \"$(systemctl is-active botops-rollback.service)\" = activating ]"
        " && { systemctl kill -s KILL botops-rollback.service; break; }; sleep 0.1; done"
    ),
    "the host reboots": f"{sshd('AllowUsers nobody')}; REBOOT",
    "two runs meet, and the second dies": f"{sshd('AllowUsers nobody')}; MEET",
}  # fmt: skip
CHECK = (
    "sha256sum " + " ".join(PATHS) + " 2>&1; cat /etc/ufw/user.rules /etc/ufw/user6.rules; iptables -S; systemctl is-active ssh; ufw status"
)

LEFT = "ls /var/lib/botops/rollback/restore.sh /etc/systemd/system/botops-rollback* 2>/dev/null; " \
    "systemctl list-units --all --no-legend 'botops-rollback*'"


class Host:
    def __init__(self, entry):
        self.name, self.address, self.key = entry["name"], entry["address"], entry["identity_file"]
        self.container = f"botops-molecule-lockout-{self.name}"

    def root(self, script, background=False):
        """Not over SSH: what is done here must not depend on the door that is being closed."""
        argv = ["docker", "exec", *(["-d"] if background else []), self.container, "sh", "-c", script]
        return subprocess.run(argv, text=True, capture_output=True, timeout=60).stdout

    def answers(self):
        """A fresh connection that becomes root, as the next run will have to."""
        argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=2"]
        argv += ["-o", f'UserKnownHostsFile="{STATE}/known_hosts"', "-i", self.key, f"admin@{self.address}", "sudo -n id -u"]
        try:
            return subprocess.run(argv, text=True, capture_output=True, timeout=5).stdout == "0\n"
        except subprocess.TimeoutExpired:
            return False

    def guard(self, **arguments):
        environment = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"))
        environment["ANSIBLE_CALLBACK_RESULT_FORMAT"] = "json"
        environment.pop("ANSIBLE_FORCE_COLOR", None)
        argv = ["ansible", self.name, "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-b", "-m", "botops.fleet.lockout_guard", "-a", json.dumps(arguments)]
        done = subprocess.run(argv, text=True, capture_output=True, env=environment, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.partition("=>")[2])

    def state(self):
        return self.root(CHECK)

    def trial(self, title, script):
        """(when it let the operator in again, in seconds since the guard was armed; what is wrong afterwards)."""
        before = self.state()
        holder = self.guard(state="armed", seconds=SECONDS, paths=PATHS)["holder"]
        armed = time.monotonic()
        limit = SECONDS + 10
        script, _, special = script.rpartition("; ") if script.endswith(("; REBOOT", "; MEET")) else (script, "", "")
        if special == "MEET":
            self.guard(state="armed", seconds=SECONDS, paths=[*PATHS, "/etc/issue"])
            armed = time.monotonic()
            # The first run's confirmation must not take the second one's guard away.
            assert self.guard(state="disarmed", holder=holder)["taken_over"] is True
        self.root(script, background=True)
        if special == "REBOOT":
            subprocess.run(["docker", "restart", "-t", "5", self.container], check=True, capture_output=True, timeout=60)
        shut, took = False, None
        while took is None and time.monotonic() - armed < limit:
            if not self.answers():
                shut = True
            elif shut:
                took = time.monotonic() - armed
            time.sleep(0.2)
        if took is None:
            words = self.root("journalctl -q -n 30 -o cat")
            return None, f"{title}: not back {limit} s after the guard was armed (shut at all: {shut})\n{words}"
        # The script goes on for a moment after it has let the operator in.
        deadline = time.monotonic() + 20
        while self.root(LEFT):
            if time.monotonic() > deadline:
                return took, f"{title}: left behind {self.root(LEFT)}"
            time.sleep(0.2)
        now = self.state()
        return took, f"{title}: as it was, except\n{difference(before, now)}" if now != before else ""


def difference(before, now):
    return "\n".join(sorted(set(before.splitlines()) ^ set(now.splitlines())))


@pytest.fixture(scope="module")
def results():
    hosts = [Host(entry) for entry in json.loads((STATE / "hosts.json").read_text())]
    found, queue = {}, list(zip(TRIALS.items(), itertools.cycle(range(len(hosts)))))

    def work(index):
        for (title, script), turn in queue:
            if turn == index:
                try:
                    found[title] = hosts[index].trial(title, script)
                except Exception as error:  # told by the trial's own test
                    found[title] = (None, f"{title}: {error!r}")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(hosts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


# Everything runs once, for all hosts together: the fixture `host` of testinfra would repeat it for each.
@pytest.mark.parametrize("title", TRIALS)
def test_the_operator_is_back_in(results, title):
    took, said = results[title]
    assert took is not None and not said, said
    assert took <= SECONDS + 10
    print(f"\n{title}: back {took:.1f} s after the guard was armed (rollback time {SECONDS} s)")
