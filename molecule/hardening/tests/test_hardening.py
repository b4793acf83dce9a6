"""What an attacker, an operator and another role meet on a hardened host."""

import re
import time

# A listener of the host's own Python, gone after so many connections or seconds.
LISTEN = "import socket; s=socket.create_server((str(),{port})); s.settimeout({seconds}); [s.accept()[0].close() for _ in range({times})]"


def serve(host, port, times=1, seconds=15):
    script = LISTEN.format(port=port, seconds=seconds, times=times)
    started = host.run(f"systemd-run --quiet --collect --unit=test-{port}-{time.monotonic_ns()} python3 -c '{script}'")
    assert started.rc == 0, started.stderr
    for _ in range(40):
        if host.run(f"ss -Hltn sport = :{port}").stdout:
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


def reaches(outside, port):
    import socket

    try:
        socket.create_connection((outside.address, port), timeout=2).close()
    except OSError:
        return False
    return True


# --- SSH


def test_sshd_runs_with_the_declared_values(host):
    values = host.run("sshd -T -C user=ops,host=x,addr=192.0.2.1").stdout
    for line in (
        "permitrootlogin no", "maxauthtries 3", "maxsessions 2", "passwordauthentication no", "kbdinteractiveauthentication no",
        "permitemptypasswords no", "pubkeyauthentication yes", "hostbasedauthentication no", "ignoreuserknownhosts yes",
        "ignorerhosts yes", "logingracetime 30", "permituserenvironment no", "clientaliveinterval 300", "clientalivecountmax 2",
        "tcpkeepalive no", "usedns no", "loglevel VERBOSE", "syslogfacility AUTH", "x11forwarding no", "strictmodes yes",
        "subsystem sftp /usr/lib/openssh/sftp-server -f AUTHPRIV -l INFO",
    ):
        assert line in values, line
    assert host.run("sshd -t 2>&1").stdout == "", "sshd warns about its own configuration"


def test_keys_get_in_and_passwords_do_not(outside):
    assert outside.ssh("id -un", user="ops").stdout == "ops\n"
    refused = outside.ssh("true", user="ops", options=["PubkeyAuthentication=no"])
    assert refused.returncode == 255 and "Permission denied (publickey)" in refused.stderr


def test_root_and_unlisted_users_are_refused(host, outside):
    host.run("install -d -m 700 /root/.ssh && cp /home/ops/.ssh/authorized_keys /root/.ssh/")
    host.run("useradd -m stranger; install -d -m 700 -o stranger /home/stranger/.ssh")
    host.run("install -o stranger -m 600 /home/ops/.ssh/authorized_keys /home/stranger/.ssh/")
    try:
        for user in ("root", "stranger"):
            assert "Permission denied" in outside.ssh("true", user=user).stderr, user
    finally:
        host.run("rm /root/.ssh/authorized_keys; userdel -rf stranger")


def test_classical_key_exchange_and_weak_ciphers_are_refused(outside):
    weak = ("KexAlgorithms=curve25519-sha256",), ("Ciphers=aes128-cbc",), ("Ciphers=aes256-ctr", "MACs=hmac-sha1"), ("HostKeyAlgorithms=ecdsa-sha2-nistp256",)
    for options in weak:
        done = outside.ssh("true", options=options)
        assert done.returncode == 255 and "Unable to negotiate" in done.stderr, (options, done.stderr)


def test_forwarding_is_refused(outside):
    done = outside.ssh("sleep 1", options=["LocalForward=127.0.0.1:39222 127.0.0.1:22", "ExitOnForwardFailure=yes"])
    assert done.returncode == 0  # the listener is local; what it leads to is refused:
    through = outside.ssh("true", options=["ProxyCommand=ssh -F none -W 127.0.0.1:22 -i '%s' -o UserKnownHostsFile=/dev/null -o "
                                           "StrictHostKeyChecking=no admin@%s" % (outside.key, outside.address)])
    assert through.returncode == 255


def test_the_banner_is_shown_before_the_login(outside):
    assert "Authorised access only" in outside.ssh("true").stderr


# --- accounts


def test_sudo_as_declared(outside, host):
    assert outside.ssh("sudo -n id -un", user="ops").stdout == "root\n"
    assert host.user("auditor").exists and "ops" not in host.run("sudo -l -U auditor").stdout
    assert "not allowed" in host.run("sudo -l -U auditor").stdout
    assert not host.user("formerly").exists
    assert host.run("chage -l ops").stdout.count("never") >= 3, "a key-only account must not expire"


def test_sessions_are_private_and_sudo_is_not(outside):
    assert outside.ssh("bash -lc umask").stdout.strip() == "0027"
    assert outside.ssh("sudo sh -c umask").stdout.strip() == "0022"
    assert outside.ssh("ulimit -c; ulimit -Hc").stdout.split() == ["0", "0"]
    said = outside.ssh("bash -lic 'echo $TMOUT; TMOUT=0' 2>&1").stdout
    assert "\n900\n" in said and "readonly variable" in said


def test_a_rule_for_one_program_gives_no_other(host):
    host.run("useradd -m limited && echo 'limited ALL=(root) NOPASSWD: /usr/bin/env' > /etc/sudoers.d/99-limited && chmod 440 /etc/sudoers.d/99-limited")
    try:
        command = "runuser -u limited -- sudo -n /usr/bin/env id -un"
        assert "must have a tty" in host.run(command + " < /dev/null").stderr
        said = host.run(f"script -qec '{command}' /dev/null < /dev/null").stdout
        assert "Permission denied" in said and "root" not in said, said
    finally:
        host.run("rm -f /etc/sudoers.d/99-limited; userdel -r limited")


def test_homes_are_closed_to_others(host):
    for path, most in (("/home/ops", 0o750), ("/home/auditor", 0o750), ("/home/ops/.bashrc", 0o740)):
        assert host.file(path).mode & ~most == 0, path


def test_weak_and_old_passwords_are_refused(host):
    host.run("useradd weakling")
    try:
        assert "BAD PASSWORD" in host.run("echo 'weakling:summer' | chpasswd 2>&1").stdout
        assert host.run("echo 'weakling:Wobbly7-Crater.Lantern' | chpasswd").rc == 0
        assert host.run("getent shadow weakling").stdout.split(":")[1].startswith("$y$")
        assert host.run("echo 'weakling:Gr8.Thimble-Orchard' | chpasswd").rc == 0
        assert host.run("echo 'weakling:Wobbly7-Crater.Lantern' | chpasswd").rc != 0
    finally:
        host.run("userdel -r weakling")


def test_wrong_passwords_lock_for_a_while_and_keys_still_work(host, outside):
    host.run("useradd -m -s /bin/bash tester && echo 'tester:Wobbly7-Crater.Lantern' | chpasswd")
    host.run("install -d -m 700 -o tester /home/tester/.ssh; install -o tester -m 600 /home/ops/.ssh/authorized_keys /home/tester/.ssh/")
    try:
        for _ in range(5):
            host.run("echo wrong | runuser -u ops -- su -c true tester")
        assert host.run("faillock --user tester").stdout.count("V") >= 5
        assert host.run("echo 'Wobbly7-Crater.Lantern' | runuser -u ops -- su -c true tester").rc != 0
        assert outside.ssh("id -un", user="tester").stdout == "tester\n"
        host.run("faillock --user tester --reset")
        assert host.run("echo 'Wobbly7-Crater.Lantern' | runuser -u ops -- su -c true tester").rc == 0
    finally:
        host.run("userdel -rf tester")


# --- firewall


def test_only_declared_ports_answer(host, outside):
    for port in (8080, 8091, 8099, 9100):
        serve(host, port)
        assert reaches(outside, port), port
    for port in (8081, 8093, 9101):
        serve(host, port, seconds=5)
        assert not reaches(outside, port), port


def test_a_limited_port_refuses_the_seventh_connection(host, outside):
    serve(host, 8082, times=20)
    answers = [reaches(outside, 8082) for _ in range(9)]
    assert answers[0] and not answers[-1], answers


def test_rules_carry_their_owner_and_cover_ipv6(host):
    status = host.run("ufw status verbose").stdout
    assert "Default: deny (incoming), allow (outgoing), " in status
    assert host.run("iptables -S FORWARD").stdout.startswith("-P FORWARD DROP")
    assert re.search(r"8080/tcp \(v6\) +ALLOW IN +Anywhere \(v6\) +# fleet: open to all", status)
    assert re.search(r"8081/tcp +ALLOW IN +2001:db8::/32", status)
    assert host.run("ip6tables -S ufw6-user-input").stdout.count("8081") == 1


def test_ufw_itself_would_write_the_same_files(host):
    """The module writes ufw's files; ufw's next change must find nothing to correct in them."""
    paths = "/etc/ufw/user.rules /etc/ufw/user6.rules"
    before = host.run(f"cat {paths}").stdout
    assert host.run("ufw allow 7777/tcp && ufw delete allow 7777/tcp").rc == 0
    assert host.run(f"cat {paths}").stdout == before


def test_undeclared_rules_go_and_foreign_ones_stay(host, outside, play):
    host.run("ufw allow 7070/tcp comment 'by hand'")
    try:
        done = play(role_vars={"hardening_firewall_rules": [{"port": ["8080"], "proto": "tcp"}]})
        assert done.returncode == 0, done.output
        status = host.run("ufw status").stdout
        assert "7070/tcp" in status and "8080/tcp" in status and "8082" not in status and "8099" not in status
        purged = play(role_vars={"hardening_firewall_purge": True})
        assert purged.returncode == 0, purged.output
        status = host.run("ufw status").stdout
        assert "7070/tcp" not in status and "8082/tcp" in status
    finally:
        host.run("ufw delete allow 7070/tcp")


def test_rules_lost_in_the_kernel_come_back(host, play):
    host.run("iptables -F ufw-user-input")
    done = play()
    assert done.returncode == 0, done.output
    assert "8080" in host.run("iptables -S ufw-user-input").stdout


def test_failed_logins_are_counted_by_the_ban(host, outside):
    outside.ssh("true", user="nobody-known")
    for _ in range(30):
        if "Ignore" in host.run("cat /var/log/fail2ban.log").stdout:  # this network is on the list of those never banned
            return
        time.sleep(0.5)
    raise AssertionError(host.run("tail /var/log/fail2ban.log; journalctl -u ssh -n 20").stdout)


# --- kernel, updates, files


def test_kernel_settings_of_the_namespace_are_live(host):
    for key, value in (("net.ipv4.conf.all.log_martians", "1"), ("net.ipv4.conf.all.accept_redirects", "0"), ("net.ipv4.tcp_fin_timeout", "15"),
                       ("net.ipv4.conf.all.rp_filter", "1"), ("net.ipv4.ip_forward", "0")):
        assert host.run(f"sysctl -n {key}").stdout.strip() == value, key
    assert "kernel.kptr_restrict = 2" in host.file("/etc/sysctl.d/99-z-botops.conf").content_string


def test_modules_cannot_be_loaded(host):
    for name in ("dccp", "usb-storage", "cramfs"):
        assert "/bin/false" in host.run(f"modprobe --showconfig | grep -E '^install {name.replace('-', '[-_]')} '").stdout


def test_updates_never_restart_a_bot(host):
    config = host.run("apt-config dump").stdout
    assert 'Unattended-Upgrade::Automatic-Reboot "false"' in config and 'APT::Periodic::Unattended-Upgrade "1"' in config
    assert 'Unattended-Upgrade::Package-Blacklist:: "^docker\\.io$"' in config
    blacklist = [re.compile(found) for found in re.findall(r'Package-Blacklist:: "(.+)"', config)]
    assert any(pattern.match("docker.io") for pattern in blacklist) and not any(pattern.match("docker-compose") for pattern in blacklist)
    # needrestart's own way to read its configuration, asked for some services.
    script = (
        "our %nrconf; $nrconf{override_rc}={}; do '/etc/needrestart/conf.d/60-botops.conf'; die $@ if $@;"
        "for my $s (@ARGV) { my $r=1; for my $k (keys %{$nrconf{override_rc}}) { $r=$nrconf{override_rc}->{$k} if $s =~ /$k/ } print \"$s=$r\\n\" }"
    )
    host.run("cat > /tmp/ask.pl <<'END'\n" + script + "\nEND")
    answers = host.run("perl /tmp/ask.pl bot-alpha.service docker.service containerd.service corosync.service chrony.service").stdout
    assert answers.split() == ["bot-alpha.service=0", "docker.service=0", "containerd.service=0", "corosync.service=0", "chrony.service=1"]


def test_the_first_look_was_taken_when_the_role_was_applied(host):
    deadline = time.monotonic() + 120
    while not host.file("/var/lib/botops/aide.db").exists and time.monotonic() < deadline:
        time.sleep(1)
    assert host.file("/var/lib/botops/aide.db").exists


def test_changed_programs_are_reported_once(host):
    host.run("systemctl start botops-integrity.service")
    path = f"/usr/local/bin/planted-{time.monotonic_ns()}"
    host.run(f"echo x > {path}")
    try:
        host.run("systemctl start botops-integrity.service")
        journal = "journalctl -u botops-integrity.service -o cat --since -2min"
        told = host.run(journal).stdout.count(path)
        assert told >= 1
        host.run("systemctl start botops-integrity.service")
        assert host.run(journal).stdout.count(path) == told
    finally:
        host.run(f"rm {path}")


def test_time_service_is_set_up(host):
    assert host.package("chrony").is_installed and host.service("chrony").is_enabled
    assert host.run("chronyd -p -f /etc/chrony/chrony.conf 2>/dev/null | grep -c makestep").stdout.strip() != "0"
