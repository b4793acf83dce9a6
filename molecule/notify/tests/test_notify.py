"""What arrives at the other end, and when. The caller never waits for it."""

import json
import subprocess
import time

import pytest
from sandbox import assert_sandboxed

from conftest import Host, play

CANARIES = ("canary-discord", "canary-telegram", "canary-mail", "canary-hook", "canary-heartbeat", "canary-bot-secret")


def seconds(host, command, *arguments):
    began = time.monotonic()
    host.run(command, *arguments)
    return time.monotonic() - began


def test_each_destination_gets_what_is_severe_enough(host, phone):
    host.run("botops-notify info 'rebalanced'; botops-notify warning 'slow exchange' --body 'orders take 900 ms'")
    host.run("echo 'the body' | botops-notify critical 'no orders' --body -")
    assert "orders take 900 ms" in phone.rings(host, "discord", "slow exchange")[0]["text"]
    assert "the body" in phone.rings(host, "telegram", "no orders")[0]["text"]
    phone.rings(host, "mail", "no orders")
    phone.rings(host, "hook", "rebalanced")
    phone.rings(host, "hook", "", 3)
    got = {
        service: sorted(each["text"].split(": ", 1)[1].split("\n")[0] for each in phone.messages(host, service))
        for service in ("discord", "telegram", "mail", "hook")
    }
    both = ["no orders", "slow exchange"]
    assert got == {"discord": both, "telegram": both[:1], "mail": both, "hook": [both[0], "rebalanced", both[1]]}
    assert [each["token"] for each in phone.messages(host, "telegram")] == ["123456789:canary-telegram-token-bbbbbbbbbbbb"]
    assert host.evidence()["verdict"] == "ok"


def rings_once(host, phone, words, having, within=60):
    """Telegram is the phone here: it takes critical messages only."""
    began = time.time()
    found = phone.rings(host, "telegram", having, seconds=within + 10)
    assert found[0]["at"] - began < within
    for each in words:
        assert each in found[0]["text"], found[0]["text"]
    assert "canary" not in found[0]["text"], found[0]["text"]
    print(f"{host.name}: {having} rang after {found[0]['at'] - began:.0f} s")
    time.sleep(6)
    every = phone.messages(host, "telegram")
    assert len(every) == 1, every
    return found[0]["text"]


def test_a_unit_that_fails_says_what_happened_and_what_to_type(host, phone):
    host.run("systemctl start botops-sample")
    words = ("botops-sample ended with an error (status 7)", f"host: {host.name}", "since: 20", "step 6 with [secret]", "sudo systemctl status botops-sample")
    text = rings_once(host, phone, words, "botops-sample")
    assert text.count("step ") == 5, text
    host.run("systemctl reset-failed botops-sample")


def test_a_bot_that_dies_rings_although_it_is_started_again(host, phone):
    host.run("systemctl start bot-paper")
    phone.forget()
    host.run("kill -KILL $(systemctl show -p MainPID --value bot-paper)")
    rings_once(host, phone, ("bot: paper", "it was killed by SIGKILL", "with [secret]", "sudo systemctl restart bot-paper.service"), "bot-paper")
    assert host.out("systemctl is-active bot-paper") == "active"


def test_a_deployment_that_breaks_rings_once(host, phone):
    done = play("deploy.yml", "-e", "bot=paper", "-e", f"target={host.name}", "-e", "paper_release=bot_broken")
    assert done.returncode != 0 and "was put back with its configuration and is healthy" in done.stdout + done.stderr, done.stdout[-3000:] + done.stderr
    words = ("bot: paper", "did not become healthy", "this release is broken", "playbooks/deploy.yml -e bot=paper")
    rings_once(host, phone, words, "the deployment of bot-paper failed")


def test_a_disk_that_fills_rings_and_is_said_to_be_over(host, phone):
    host.run("head -c 960k /dev/zero > /mnt/small/full")
    rings_once(host, phone, ("the disk /mnt/small is filling", "space usage", "df -h /mnt/small"), "/mnt/small", within=120)
    phone.rings(host, "discord", "[warning]", seconds=30)
    host.run("rm /mnt/small/full")
    phone.rings(host, "telegram", "over: the disk /mnt/small is filling (critical)", seconds=120)


def test_a_timer_that_was_stopped_rings(host, phone):
    host.run("systemctl stop bot-paper-health.timer")
    try:
        rings_once(host, phone, ("bot-paper-health.timer does not run", "sudo systemctl enable --now bot-paper-health.timer"), "bot-paper-health.timer")
    finally:
        host.run("systemctl start bot-paper-health.timer")
    phone.rings(host, "telegram", "over: the timer bot-paper-health.timer")


@pytest.mark.parametrize("count", [1000])
def test_a_storm_is_at_most_three_messages_and_a_count(host, phone, count):
    count = count if host.name.endswith("13") else count // 10
    took = seconds(host, f"seq {count} | xargs -P 2 -I N botops-notify critical 'the exchange is down' --key exchange")
    print(f"{host.name}: {count} calls in {took:.0f} s, {took / count * 1000:.0f} ms each")
    phone.rings(host, "telegram", "the exchange is down")
    # Ten seconds after the first one in this scenario, a minute by default; then ten minutes later.
    time.sleep(14)
    found = phone.messages(host, "telegram", "the exchange is down")
    assert 2 <= len(found) <= 3, found
    state = json.loads(host.out("cat /var/lib/botops/notify/state.json"))["keys"]["exchange"]
    told = sum(int(each["text"].split(": ")[1].split()[0]) for each in found if " more: " in each["text"])
    assert 1 + told + state["held"] == count
    assert int(host.waiting()) == 0


def test_a_provider_that_is_down_delays_its_own_messages_and_nobody_else(host, phone):
    phone.mode(telegram="fail")
    assert seconds(host, "botops-notify critical 'position open'") < 2
    phone.rings(host, "discord", "position open", seconds=15)
    # The others are told that one is gone.
    assert "503" in phone.rings(host, "discord", "takes no messages: telegram")[0]["text"]
    assert phone.messages(host, "telegram") == []
    evidence = host.evidence()
    assert evidence["verdict"] == "failed" and evidence["destinations"]["telegram"]["waiting"] == 1, evidence
    assert "503" in evidence["destinations"]["telegram"]["last_error"]
    assert host.run("botops-notify status --failing", check=False).returncode == 1
    # As after a power cut: nothing that ran is left, and what is on disk is all there is.
    subprocess.run(["docker", "restart", "-t", "20", host.container], check=True, capture_output=True)
    host.out("for n in $(seq 100); do systemctl is-active -q multi-user.target && exit; sleep 0.3; done; exit 1")
    address = Host("phone").out("hostname -I").split()[0]
    host.run('grep -q discord /etc/hosts || echo "$1 discord.com api.telegram.org" >> /etc/hosts', address)
    phone.mode()
    assert len(phone.rings(host, "telegram", "position open", seconds=75)) == 1
    phone.rings(host, "discord", "takes messages again: telegram")
    assert len(phone.messages(host, "discord", "position open")) == 1, "what had arrived does not come twice"
    host.out("for n in $(seq 50); do botops-notify status --failing && exit; sleep 0.3; done; exit 1")
    assert host.evidence()["verdict"] == "ok" and int(host.waiting()) == 0


def test_a_slow_provider_keeps_nobody_waiting(host, phone):
    phone.mode(discord="slow")
    began = time.time()
    assert seconds(host, "botops-notify critical 'margin call'") < 2
    assert phone.rings(host, "telegram", "margin call")[0]["at"] - began < 7
    assert len(phone.rings(host, "discord", "margin call", seconds=30)) == 1


def test_a_message_that_is_refused_lets_others_pass_and_its_error_has_no_token(host, phone):
    phone.mode(discord="refuse")
    host.run("botops-notify warning 'first'")
    phone.rings(host, "mail", "first")
    time.sleep(1)
    assert "canary" not in host.out("botops-notify status; cat /var/lib/botops/evidence/notify.json")
    phone.mode()
    host.run("botops-notify warning 'second'")
    phone.rings(host, "discord", "first", seconds=45)
    phone.rings(host, "discord", "second", seconds=45)


def test_a_full_disk_is_told(host, phone):
    there = "/var/lib/botops/notify"
    host.run("systemctl stop botops-notify-deliver.path botops-notify-deliver.timer")
    host.run(f"mount -t tmpfs -o size=64k,nr_inodes=40 none {there} && mkdir -m 700 {there}/queue && mkdir -m 1733 {there}/drop")
    host.run(f"head -c 200k /dev/zero > {there}/full || true")
    try:
        host.run("botops-notify critical 'the disk is full'; systemctl start botops-notify-deliver")
        phone.rings(host, "telegram", "the disk is full")
        time.sleep(2)
        assert len(phone.messages(host, "telegram", "the disk is full")) == 1
    finally:
        host.run("systemctl stop botops-notify-deliver; umount /var/lib/botops/notify; systemctl start botops-notify-deliver.path botops-notify-deliver.timer")


def test_a_heart_beats(host, phone):
    phone.rings(host, "beat", host.name, seconds=95)


def test_a_login_is_told(host, phone):
    host.run("PAM_TYPE=open_session PAM_USER=admin PAM_RHOST=192.0.2.9 botops-notify login; PAM_TYPE=close_session PAM_USER=admin botops-notify login")
    phone.rings(host, "hook", "admin logged in from 192.0.2.9")
    assert host.out("grep -c 'session optional pam_exec.so quiet /usr/local/sbin/botops-notify login' /etc/pam.d/sshd") == "1"


def test_a_peer_that_is_gone_rings(host, phone):
    # The peer here is the phone's own host, so the message arrives when it is back.
    phone.run("systemctl stop phone; sleep 22; systemctl start phone; sleep 1")
    # Not that it was over, when the other of these tests had made it silent.
    text = phone.rings(host, "telegram", f"{host.name}: the other host phone does not answer")[0]["text"]
    assert "ansible-playbook playbooks/ha_status.yml" in text, text
    phone.rings(host, "telegram", "over: the other host phone does not answer")


def test_who_may_drop_a_message(host, phone):
    assert host.run("setpriv --reuid=nobody --regid=nogroup --clear-groups botops-notify critical 'from nobody'", check=False).returncode == 0
    host.run("id hacluster >/dev/null 2>&1 || useradd -r -s /usr/sbin/nologin hacluster")
    host.run("runuser -u hacluster -- botops-notify critical 'node lost'")
    phone.rings(host, "telegram", "node lost")
    assert phone.messages(host, "telegram", "from nobody") == []
    assert host.out("ls -A /var/lib/botops/notify/drop") == ""


def test_the_playbook_says_which_arrived(host, phone):
    phone.mode(mail="fail")
    done = host.run("botops-notify test --wait 10", check=False)
    assert done.returncode == 1
    for line in ("discord: info arrived (outside a test only warning and above)", "telegram: critical arrived", "hook: warning arrived"):
        assert line in done.stdout, done.stdout
    assert "mail: info did NOT arrive within 10 s" in done.stdout, done.stdout
    assert int(host.waiting()) == 0


def test_the_playbook(phone):
    phone.mode()
    done = play("notify_test.yml", "-e", "target=callers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("telegram: critical arrived") == 2, done.stdout


def test_secrets_stay_where_they_are(host, phone):
    body = "password=hunter2-and-more token: abcdefgh https://u:sesame-open@host/"
    host.run("echo \"$1\" | botops-notify critical 'login failed with canary-bot-secret-dddd' --body -", body)
    text = phone.rings(host, "telegram", "login failed")[0]["text"]
    assert "hunter2" not in text and "abcdefgh" not in text and "sesame" not in text and "canary" not in text, text
    assert host.out("stat -c '%a %U' /etc/botops/notify/destinations.json") == "600 root"
    for canary in CANARIES:
        assert host.out("journalctl -q --no-pager | grep -a -c \"$1\" || true", canary + "-token") == "0" or canary == "canary-bot-secret"
        search = "setpriv --reuid=nobody --regid=nogroup --clear-groups grep -rlsI \"$1\" /etc /var /opt /srv /home /root /tmp /run || true"
        assert host.out(search, canary) == ""
        assert host.out("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -v grep | grep -c \"$1\" || true", canary + "-token") == "0"


def test_the_units_are_shut_off(host):
    assert_sandboxed(host.out, ["botops-notify-deliver.service", "botops-thresholds.service", "botops-notify@bot-paper.service.service"])


def test_a_wrong_word_is_refused_in_a_sentence(host):
    done = host.run("botops-notify panic 'x'", check=False)
    assert done.returncode == 2 and "'panic' is no severity; write one of info, warning, critical." in done.stderr
