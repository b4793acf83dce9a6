"""What a container can show of an audit trail: Debian's own auditctl reads the rules, and the kernel's refusal is told as one."""

import re

RULES = "/etc/audit/rules.d/botops.rules"
SECOND = r"""
import ctypes, sys
# libaudit's own table: what auditctl would ask it.
audit = ctypes.CDLL("libaudit.so.1")
audit.audit_name_to_syscall.argtypes = [ctypes.c_char_p, ctypes.c_int]
machines = {"b64": audit.audit_detect_machine(), "b32": audit.audit_name_to_machine(b"i386")}
for line in sys.stdin:
    arch, name = line.split()
    if audit.audit_name_to_syscall(name.encode(), machines[arch]) < 0:
        print(arch, name)
"""


def test_every_system_call_has_a_number_in_this_release_s_table(host):
    """auditctl asks the kernel before it reads a rule, and here it may not: its library says which names it knows."""
    calls = set()
    with host.sudo():
        for line in host.check_output(f"cat {RULES}").splitlines():
            if found := re.search(r"arch=(\S+) -S (\S+)", line):
                calls |= {f"{found[1]} {name}" for name in found[2].split(",")}
        assert len(calls) >= 20
        done = host.run("printf '%s\\n' {} | python3 -c '{}'".format(" ".join(f"'{call}'" for call in sorted(calls)), SECOND.replace("'", "'\\''")))
    assert (done.rc, done.stdout) == (0, ""), done.stdout + done.stderr


def test_augenrules_makes_one_file_of_all_and_ours_has_the_last_word(host):
    with host.sudo():
        done = host.run("augenrules --load")  # the kernel refuses; the file is made all the same
        made = host.check_output("cat /etc/audit/audit.rules").splitlines()
    assert made, done.stdout + done.stderr
    settings = [line for line in made if line.startswith("--backlog_wait_time")]
    assert settings[-1] == "--backlog_wait_time 0"
    assert [line for line in made if line.startswith("-f")] == ["-f 1"]
    assert made[1] == "-D" or "-D" in made[:3]


def test_the_kernel_refuses_a_container(host):
    """Why the role does, too: with every capability that the lab gives, there is no audit system in here."""
    with host.sudo():
        said = host.check_output("auditctl -s 2>&1 || true")
    assert said and "backlog_limit" not in said
    print(f"\n{host.check_output('hostname')}: auditctl -s: {said.splitlines()[0]}")
