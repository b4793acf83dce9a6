"""What the host is, against what was declared of it: sshd, firewall, sockets, units, files, accounts, updates, kernel, certificates.

Functions named `look_*` read the host; what they found is judged by a function beside them that is pure.
"""

from __future__ import annotations

import glob
import os
import pathlib
import pwd
import re
import socket
import ssl
import stat
import struct
import time

from compliance import common, ufw
from compliance.model import control

LOCKED_SHELLS = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")
# Order of the name-lists in SSH_MSG_KEXINIT (RFC 4253, 7.1), by sshd's own keywords; the rest is compression and languages.
KEXINIT = ("kexalgorithms", "hostkeyalgorithms", "ciphers", "ciphers_out", "macs")
# Offered beside the methods themselves: announcements, not algorithms.
ANNOUNCEMENTS = re.compile(r"^(ext-info-[cs]|kex-strict-[cs]-v\d+@openssh\.com)$")
GRAVE = ("permitrootlogin", "passwordauthentication", "permitemptypasswords", "kbdinteractiveauthentication", "hostbasedauthentication")
WRITABLE_PLACES = ["/etc", "/usr/local", "/opt", "/var/lib/botops"]
CHECK_SSHD = "sudo sshd -T"


# --- sshd


def parse_sshd(text: str) -> dict[str, list[str]]:
    """`sshd -T`: each keyword with all its values, lower case."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        found.setdefault(keyword.lower(), []).append(value.strip())
    return found


def sshd_controls(effective: dict[str, list[str]], declared: dict) -> list[dict]:
    """`exact`: values that must be these; `within`: lists that may hold nothing else than these."""
    result = []
    for keyword, wanted in sorted(declared["exact"].items()):
        values = effective.get(keyword, [])
        expected = [str(item) for item in (wanted if isinstance(wanted, list) else [wanted])]
        held = sorted(item.lower() for item in values) == sorted(item.lower() for item in expected)
        severity = "high" if keyword in GRAVE else "medium"
        title = f"sshd's {keyword} is what was declared"
        result.append(control(f"sshd:{keyword}", title, ", ".join(expected), ", ".join(values) or "not known", held, severity, evidence=CHECK_SSHD))
    for keyword, wanted in sorted(declared["within"].items()):
        values = [item for value in effective.get(keyword, []) for item in value.split(",") if item]
        others = [item for item in values if item not in wanted]
        title = f"sshd's {keyword} has no other algorithms than those declared"
        actual = ("also " + ", ".join(others)) if others else ", ".join(values) or "none"
        result.append(control(f"sshd:{keyword}", title, "at most " + ", ".join(wanted), actual, bool(values) and not others, "high", evidence=CHECK_SSHD))
    return result


def parse_kexinit(payload: bytes) -> dict[str, list[str]]:
    """The name-lists of a server's SSH_MSG_KEXINIT; ValueError where it is none."""
    if len(payload) < 17 or payload[0] != 20:
        raise ValueError("the answer is no SSH_MSG_KEXINIT")
    at, found = 17, {}
    for name in KEXINIT:
        if len(payload) < at + 4:
            raise ValueError("the answer is cut short")
        size = struct.unpack(">I", payload[at : at + 4])[0]
        names = payload[at + 4 : at + 4 + size].decode("ascii", "replace").split(",")
        found[name] = [item for item in names if item and not ANNOUNCEMENTS.match(item)]
        at += 4 + size
    return found


def ask_sshd(address: str, port: int) -> tuple[str, dict[str, list[str]]]:
    """Banner and offer of the daemon that runs: what a stranger sees, before any login. OSError or ValueError where it does not answer."""
    with socket.create_connection((address, port), timeout=10) as line:
        line.settimeout(10)
        stream = line.makefile("rb")
        banner = stream.readline(256).decode("ascii", "replace").strip()
        line.sendall(b"SSH-2.0-botops_compliance\r\n")
        size, padding = struct.unpack(">IB", stream.read(5))
        if not 0 < size < 65536:
            raise ValueError("the answer is no SSH packet")
        return banner, parse_kexinit(stream.read(size - 1 - padding))


def live_controls(banner: str, offered: dict[str, list[str]], effective: dict[str, list[str]], hides_version: bool) -> list[dict]:
    """The running daemon against its files: one that was never reloaded still offers what it was started with."""
    differs = []
    for keyword in ("kexalgorithms", "ciphers", "macs"):
        written = [item for value in effective.get(keyword, []) for item in value.split(",") if item]
        if offered[keyword] != written:
            differs.append(f"{keyword} {','.join(offered[keyword])}")
    title = "The sshd that runs offers what its files say"
    result = [control("ssh-live:algorithms", title, "the algorithms of sshd -T", "; ".join(differs) or "the same", not differs, "high",
                      evidence="sudo systemctl reload ssh")]  # fmt: skip
    package = bool(re.search(r"(Debian|Ubuntu)", banner))
    held = banner.startswith("SSH-2.0-") and not (hides_version and package)
    return [*result, control("ssh-live:banner", "sshd's banner does not name the distribution's package", "no package version" if hides_version else "any",
                             banner or "nothing", held, "low")]  # fmt: skip


def look_sshd(declared: dict, _limits: dict) -> list[dict]:
    told = common.run(["sshd", "-T"])
    if told.status:
        return [control("sshd:effective", "sshd accepts its own files", "sshd -T succeeds", told.last, False, "high", evidence=CHECK_SSHD)]
    effective = parse_sshd(told.out)
    result = sshd_controls(effective, declared["sshd"])
    try:
        banner, offered = ask_sshd(declared["sshd"]["address"], declared["sshd"]["port"])
        return result + live_controls(banner, offered, effective, declared["sshd"]["hides_version"])
    except (OSError, ValueError, struct.error) as error:
        title = "The sshd that runs offers what its files say"
        return [*result, control("ssh-live:algorithms", title, "an answer", f"it does not answer: {error}", False, "high", evidence="systemctl status ssh")]


# --- firewall


def firewall_controls(status: str, files: list[str], declared: dict, kernel: dict[str, tuple[int, int]]) -> list[dict]:
    """status: what `ufw status verbose` printed; files: user.rules and user6.rules; kernel: lines loaded and lines written, by table."""
    active = "Status: active" in status
    wanted, there = ("active" if on else "inactive" for on in (declared["enabled"], active))
    title = "The firewall is " + ("on" if declared["enabled"] else "off, as declared")
    result = [control("firewall:active", title, wanted, there, wanted == there, "high", evidence="sudo ufw status verbose")]
    if not declared["enabled"]:
        return result
    policies = {where: what for what, where in re.findall(r"(allow|deny|reject|disabled) \((incoming|outgoing|routed)\)", status)}
    wrong = {where: policies.get(where, "unknown") for where, what in declared["policies"].items() if policies.get(where) not in (what, "disabled")}
    result.append(control("firewall:policies", "What no rule names is treated as declared", words(declared["policies"]), words(wrong or policies),
                          not wrong, "high", evidence="sudo ufw status verbose"))  # fmt: skip
    there = {ufw.without_comment(line): line for text in files for line in text.splitlines() if line.startswith(ufw.TUPLE)}
    wanted = set(declared["rules"])
    missing = [ufw.describe_line(line) for line in sorted(wanted - set(there))]
    foreign = [ufw.describe_line(there[line]) for line in sorted(set(there) - wanted)]
    actual = "; ".join([*(f"missing: {line}" for line in missing), *(f"not declared: {line}" for line in foreign)])
    result.append(control("firewall:rules", "The firewall's rules are those declared", f"{len(wanted)} rules", actual or f"the same {len(there)} rules",
                          not actual, "high", evidence="sudo ufw status numbered"))  # fmt: skip
    lost = [f"{table}: {loaded} of {written} lines" for table, (loaded, written) in sorted(kernel.items()) if loaded != written]
    title = "The kernel holds every rule that is written down"
    actual = "; ".join(lost) or "all of them"
    result.append(control("firewall:kernel", title, "all lines of the rule files", actual, not lost, "high", evidence="sudo ufw reload"))
    return result


def words(pairs: dict) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(pairs.items()))


def look_firewall(declared: dict, _limits: dict) -> list[dict]:
    files = [common.read("/etc/ufw/user.rules"), common.read("/etc/ufw/user6.rules")]
    kernel = {}
    for tool, chain, text in (("iptables", "ufw-user-input", files[0]), ("ip6tables", "ufw6-user-input", files[1])):
        told = common.run([tool, "-w", "5", "-S", chain])
        if told.status == 0 or tool == "iptables":
            begins = f"-A {chain} "
            kernel[tool] = tuple(sum(line.startswith(begins) for line in lines.splitlines()) for lines in (told.out, text))
    result = firewall_controls(common.run(["ufw", "status", "verbose"]).out, files, declared["firewall"], kernel if declared["firewall"]["enabled"] else {})
    if declared["docker_policy"]:
        told = common.run(["/usr/local/sbin/botops-docker-policy", "check"])
        result.append(control("firewall:docker-user", "DOCKER-USER lets in only whom the port policy names", "the policy is loaded, and comes first",
                              "so it is" if told.status == 0 else told.last or "it is not", told.status == 0, "high",
                              evidence="sudo botops-docker-policy apply; sudo iptables -S DOCKER-USER"))  # fmt: skip
    return result


# --- sockets


def is_loopback(address: str) -> bool:
    """`address` as in /proc/net: hexadecimal, each 32-bit word in the host's order."""
    packed = b"".join(bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8))
    if len(packed) == 4:
        return packed[0] == 127
    return packed == b"\0" * 15 + b"\1" or (packed[:12] == b"\0" * 10 + b"\xff\xff" and packed[12] == 127)


def parse_sockets(table: str, state: str) -> set[int]:
    """Ports in a table of /proc/net that are bound to another address than loopback. `state`: 0A listens (TCP), 07 is open (UDP)."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == state:
            address, _colon, port = fields[1].partition(":")
            if not is_loopback(address):
                found.add(int(port, 16))
    return found


def listening_controls(found: dict[str, set[int]], declared: list[list]) -> list[dict]:
    """declared: [protocol, first port, last port]; the protocol `any` is both."""
    strange = sorted(
        f"{protocol}/{port}" for protocol, ports in found.items() for port in ports
        if not any(name in (protocol, "any") and low <= port <= high for name, low, high in declared)
    )  # fmt: skip
    seen = sorted(f"{protocol}/{port}" for protocol, ports in found.items() for port in ports)
    expected = ", ".join(sorted({f"{name}/{low}" if low == high else f"{name}/{low}-{high}" for name, low, high in declared}))
    actual = ("not declared: " + ", ".join(strange)) if strange else ", ".join(seen) or "nothing"
    title = "Nothing listens to the outside but what was declared"
    return [control("sockets:listening", title, "at most " + expected, actual, not strange, "high", evidence="sudo ss -tulpn")]


def look_sockets(declared: dict, _limits: dict) -> list[dict]:
    found = {}
    for protocol, state in (("tcp", "0A"), ("udp", "07")):
        found[protocol] = parse_sockets(common.read(f"/proc/net/{protocol}"), state) | parse_sockets(common.read(f"/proc/net/{protocol}6"), state)
    return listening_controls(found, declared["listening"])


# --- units


def unit_controls(said: str, limit: float) -> list[dict]:
    """said: what `systemd-analyze security UNIT …` printed; its last line about each has the exposure, from 0 to 10."""
    result = []
    for name, exposure in re.findall(r"exposure level for (\S+): (\d+(?:\.\d+)?)", said):
        result.append(control(f"unit:{name}", "The unit is shut off from the rest of the host", f"an exposure of at most {limit}", f"exposure {exposure}",
                              float(exposure) <= limit, "medium", evidence=f"systemd-analyze security {name}"))  # fmt: skip
    return result


def look_units(_declared: dict, limits: dict) -> list[dict]:
    listed = common.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "bot-*.service", "botops-*.service"])
    # Without names it leaves out what does not run for long. What systemd only heard of has no file.
    names = [line.split()[0] for line in listed.out.splitlines() if len(line.split()) > 2 and line.split()[1] == "loaded"]
    told = common.run(["systemd-analyze", "security", "--no-pager", *names]) if names else common.Done(1, "", "there is none")
    result = unit_controls(told.out, limits["unit_exposure"])
    missing = sorted(set(names) - {entry["id"].partition(":")[2] for entry in result})
    if missing or not names:
        result.append(control("looked:units", "Every unit of bots and of this collection could be judged", "an exposure for each",
                              ", ".join(missing) or told.last, False, "medium", evidence="systemd-analyze security"))  # fmt: skip
    return result


# --- files


def mode_control(path: str, most: int, required: bool, found: os.stat_result | None) -> dict:
    expected = f"at most {most:04o}, root's"
    if found is None:
        return control(f"mode:{path}", f"{path} is closed to others", expected, "missing", False if required else None, "high")
    mode = stat.S_IMODE(found.st_mode)
    held = not mode & ~most and found.st_uid == 0
    return control(f"mode:{path}", f"{path} is closed to others", expected, f"{mode:04o}" + ("" if found.st_uid == 0 else f", of user id {found.st_uid}"),
                   held, "high", evidence=f"stat {path}")  # fmt: skip


def look_files(declared: dict, _limits: dict) -> list[dict]:
    result = []
    for path, (most, required) in sorted(declared["modes"].items()):
        try:
            found = os.stat(path)
        except OSError:
            found = None
        result.append(mode_control(path, int(most, 8), required, found))
    places = [place for place in WRITABLE_PLACES if os.path.isdir(place)]
    told = common.patiently(["find", *places, "-xdev", "-type", "f", "-perm", "-0002", "-print"], 300)
    found = told.out.split("\n")[:-1]
    result.append(control("files:world-writable", "No file of the system can be written by everybody", "none in " + ", ".join(places),
                          ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "") if found else "none",
                          not found and told.status == 0, "high", evidence="find / -xdev -type f -perm -0002"))  # fmt: skip
    return result


# --- accounts


def key_parts(text: str) -> set[str]:
    """Type and key of each line of an authorized_keys file: what counts, whatever options and comments stand around it."""
    return {" ".join(found) for found in re.findall(r"((?:sk-)?(?:ssh|ecdsa)-[\w@.-]+) ([A-Za-z0-9+/=]{40,})", text)}


def account_controls(users: list[dict], declared: dict) -> list[dict]:
    """users: name, uid, shell, password (the field of /etc/shadow), keys (a set), groups (of those that matter).

    declared: admins (keys by name; None where they are not declared), absent, others, root_keys (whether root may have some).
    """
    by_name = {user["name"]: user for user in users}
    allowed = {*declared["admins"], *declared["others"]}
    roots = [user["name"] for user in users if user["uid"] == 0]
    result = [control("accounts:root", "Only root has root's user id", "root", ", ".join(roots), roots == ["root"], "high", evidence="/etc/passwd")]
    empty = [user["name"] for user in users if user["password"] == ""]
    title = "No account has an empty password"
    result.append(control("accounts:passwords", title, "none", ", ".join(empty) or "none", not empty, "high", evidence="/etc/shadow"))
    strange = [
        user["name"] for user in users
        if user["uid"] and user["name"] not in allowed and user["shell"] not in LOCKED_SHELLS
        and (user["keys"] or not user["password"].startswith(("!", "*")))
    ]  # fmt: skip
    expected = ", ".join(sorted(allowed)) or "nobody"
    result.append(control("accounts:logins", "Nobody can log in but those declared", expected, ("also " + ", ".join(strange)) if strange else "nobody else",
                          not strange, "high", evidence="hardening_admin_users, compliance_accounts"))  # fmt: skip
    left = [name for name in declared["absent"] if name in by_name]
    result.append(control("accounts:removed", "Who was declared absent is gone", ", ".join(declared["absent"]) or "nobody to be removed",
                          ("still there: " + ", ".join(left)) if left else "gone", not left if declared["absent"] else None, "high"))  # fmt: skip
    powerful = [user["name"] for user in users if "sudo" in user["groups"] and user["name"] not in allowed]
    title = "Nobody is in the group sudo but those declared"
    result.append(control("accounts:sudo", title, expected, ", ".join(powerful) or "nobody else", not powerful, "high", evidence="getent group sudo"))
    keys = by_name.get("root", {}).get("keys") or set()
    result.append(control("keys:root", "root has no keys of its own", "some" if declared["root_keys"] else "none", f"{len(keys)}",
                          declared["root_keys"] or not keys, "low", evidence="/root/.ssh/authorized_keys"))  # fmt: skip
    for name, wanted in sorted(declared["admins"].items()):
        if name not in by_name:
            result.append(control(f"keys:{name}", f"{name} has the keys declared", "an account", "there is none", False, "medium"))
        elif wanted is not None:
            want, has = key_parts("\n".join(wanted)), by_name[name]["keys"]
            said = [*(["%d not declared" % len(has - want)] if has - want else []), *(["%d missing" % len(want - has)] if want - has else [])]
            result.append(control(f"keys:{name}", f"{name} has the keys declared", f"{len(want)} keys", ", ".join(said) or "the same",
                                  not said, "high", evidence=f"~{name}/.ssh/authorized_keys"))  # fmt: skip
    return result


def look_accounts(declared: dict, _limits: dict) -> list[dict]:
    shadow = dict(line.split(":")[:2] for line in common.read("/etc/shadow").splitlines() if line.count(":") > 1)
    members = next((line.split(":")[3].split(",") for line in common.read("/etc/group").splitlines() if line.startswith("sudo:")), [])
    users = []
    for entry in pwd.getpwall():
        keys = set()
        for name in ("authorized_keys", "authorized_keys2"):
            keys |= key_parts(common.read(f"{entry.pw_dir}/.ssh/{name}"))
        users.append({
            "name": entry.pw_name, "uid": entry.pw_uid, "shell": entry.pw_shell, "password": shadow.get(entry.pw_name, "!"), "keys": keys,
            "groups": ["sudo"] if entry.pw_name in members else [],
        })  # fmt: skip
    return account_controls(users, declared["accounts"])


# --- updates


def update_controls(simulated: str, lists_age: float | None, reboot: str | None, limit_days: float) -> list[dict]:
    """simulated: `apt-get -s dist-upgrade`; lists_age: seconds since the package lists came; reboot: why one is needed, empty for an unknown reason."""
    waiting = [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ") and "security" in line.lower()]
    old = lists_age is None or lists_age > limit_days * 86400
    return [
        control("updates:security", "No security update waits", "none", ", ".join(waiting[:10]) + (" …" if len(waiting) > 10 else "") if waiting else "none",
                not waiting, "high", evidence="apt list --upgradable"),
        control("updates:lists", "The package lists are fresh, or nobody would know", f"at most {limit_days:g} days old",
                "never fetched" if lists_age is None else common.ago(lists_age), not old, "medium", evidence="systemctl status apt-daily.timer"),
        control("updates:reboot", "No reboot is needed", "none", "none" if reboot is None else f"one is: {reboot or 'a package asked for it'}",
                reboot is None, "medium", evidence="/run/reboot-required.pkgs"),
    ]  # fmt: skip


def look_updates(_declared: dict, limits: dict) -> list[dict]:
    told = common.patiently(["apt-get", "-s", "-o", "Debug::NoLocking=1", "dist-upgrade"], 300)
    if told.status:
        return [control("updates:security", "No security update waits", "apt can tell", told.last, False, "high", evidence="sudo apt-get -s dist-upgrade")]
    times = [os.stat(path).st_mtime for path in ("/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/lists/partial") if os.path.exists(path)]
    there = glob.glob("/var/lib/apt/lists/*_InRelease") + glob.glob("/var/lib/apt/lists/*_Release")
    age = time.time() - max(times) if times and there else None
    needed = os.path.exists("/run/reboot-required")
    why = ", ".join(sorted(set(common.read("/run/reboot-required.pkgs").split())))
    return update_controls(told.out, age, why if needed else None, limits["lists_days"])


# --- kernel


def kernel_controls(declared: dict, found: dict[str, str | None], container: str, readonly: tuple | list = ()) -> list[dict]:
    """found: values by key, None where this kernel has no such key.

    In a container what is not its network's, or what it may only read (`readonly`), belongs to the machine around it.
    """
    result = []
    for key, wanted in sorted(declared.items()):
        value = found[key]
        name, title, expected = f"sysctl:{key}", "The kernel setting is what was declared", str(wanted)
        if value is None:
            result.append(control(name, title, expected, "this kernel has no such setting", None))
        elif container and (not key.startswith("net.") or key in readonly) and value.split() != expected.split():
            result.append(control(name, title, expected, f"{value}: the machine's around this container ({container})", None))
        else:
            result.append(control(name, title, expected, value, value.split() == expected.split(), "medium", evidence=f"sysctl {key}"))
    return result


def look_kernel(declared: dict, _limits: dict) -> list[dict]:
    container = common.run(["systemd-detect-virt", "--container"])
    found, readonly = {}, []
    for key in declared["sysctl"]:
        path = pathlib.Path("/proc/sys", *key.split("."))
        found[key] = common.read(str(path)).strip() if path.exists() else None
        if path.exists() and not path.stat().st_mode & stat.S_IWUSR:
            readonly.append(key)
    return kernel_controls(declared["sysctl"], found, container.out.strip() if container.status == 0 else "", readonly)


# --- certificates


def look_certificates(declared: dict, limits: dict) -> list[dict]:
    result = []
    for path in sorted({found for pattern in declared["certificates"] for found in glob.glob(pattern)}):
        told = common.run(["openssl", "x509", "-noout", "-enddate", "-in", path])
        title, expected = "The certificate stays valid", f"{limits['certificate_days']} days or more"
        if told.status:
            result.append(control(f"certificate:{path}", title, expected, told.last, False, "high"))
            continue
        left = (ssl.cert_time_to_seconds(told.out.strip().partition("=")[2]) - time.time()) / 86400
        result.append(control(f"certificate:{path}", title, expected, f"{left:.1f} days left", left >= limits["certificate_days"], "high",
                              evidence=f"openssl x509 -noout -enddate -in {path}"))  # fmt: skip
    return result


LOOKS = (look_sshd, look_firewall, look_sockets, look_units, look_files, look_accounts, look_updates, look_kernel, look_certificates)
