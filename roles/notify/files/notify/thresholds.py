"""What is too much, in words, and what to type about it. Pure."""

from __future__ import annotations

from notify import common

# What, in words; and what to type. The first part of a name decides: disk:/srv is of disk.
WORDS = {
    "cpu": ("the processor is busy", ["sudo top -b -n 1 -o %CPU | head -20", "systemd-cgtop -n 1"]),
    "load": ("more work waits than the processor does", ["sudo top -b -n 1 | head -20", "iostat, or sudo iotop, when the disk is slow"]),
    "memory": ("memory is short", ["sudo top -b -n 1 -o %MEM | head -20", "systemd-cgtop -n 1 -m"]),
    "swap": ("swap is in use", ["free -m", "sudo top -b -n 1 -o %MEM | head -20"]),
    "disk": ("the disk {0} is filling", ["df -h {0}", "sudo du -xh {0} | sort -h | tail -20", "sudo journalctl --vacuum-size=200M"]),
    "inodes": ("the disk {0} runs out of file entries", ["df -i {0}", "sudo du -x --inodes {0} | sort -n | tail -20"]),
    "clock": ("the clock is wrong", ["timedatectl", "chronyc tracking", "sudo systemctl restart chrony"]),
    "certificates": ("the certificate {0} ends soon", ["sudo certbot certificates", "sudo certbot renew"]),
    "health": ("the bot {0} does not answer", ["systemctl status bot-{0}", "sudo journalctl -u bot-{0} -n 50", "sudo systemctl restart bot-{0}"]),
    "orders": ("the bot {0} places no orders", ["sudo journalctl -u bot-{0} -n 50", "is its exchange up, and is it meant to trade now?"]),
    "restarts": ("{0} is started again and again", ["sudo journalctl -u {0} -n 100", "systemctl status {0}"]),
    "response": ("{0} answers slowly", ["sudo journalctl -u {0} -n 50", "sudo top -b -n 1 | head -20"]),
    "timers": ("the timer {0} does not run", ["systemctl list-timers --all", "sudo systemctl enable --now {0}"]),
    "peer": ("the other host {0} does not answer", ["ping -c 3 {0}", "ansible-playbook playbooks/ha_status.yml"]),
}  # fmt: skip


def message(what: str, level: str, was: str, words: str, host: str, now: float) -> dict:
    """The event that says that `what` went over its warning or critical threshold, or, with the level `over`, that the one it `was` is over."""
    kind, _colon, which = what.partition(":")
    subject, advice = WORDS.get(kind, (what, [f"journalctl -t botops-notify -n 20 | grep {kind}"]))
    subject = subject.format(which)
    key = f"threshold:{what}:{was if level == 'over' else level}"
    body = [f"host: {host}", f"what: {words or subject}", f"at: {common.iso(now)}"]
    if level == "over":
        return {
            "severity": "info", "subject": f"over: {subject} ({was})", "body": "\n".join(body), "key": f"{key}:over", "clears": key, "route": was or "warning",
        }  # fmt: skip
    body += ["type:", *("  " + line.format(which) for line in advice)]
    return {"severity": level, "subject": subject, "body": "\n".join(body), "key": key}
