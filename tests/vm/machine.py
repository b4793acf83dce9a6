#!/usr/bin/env python3
"""A machine of its own for what a container cannot show: QEMU, driven over SSH like any host.

    machine.py up [RELEASE]     from nothing to a host that answers; prints the seconds that each step took
    machine.py down             ends the machine and removes its disk; the base image stays for the next one
    machine.py ssh [COMMAND]    a shell on it, or one command

RELEASE is debian12 or debian13. Everything it has lies in .cache/vm: the disk, hosts.json and known_hosts as Molecule's hosts have them,
console.log and the process id. The disk is made from Debian packages alone: the lab's host image with a kernel, exported. With KVM where the
machine has it, else emulated; its only door is a port of the loopback address.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "lab"))

import hosts  # noqa: E402

STATE = ROOT / ".cache" / "vm"
NAME = "vm"
MEMORY_MB = 1536
PROCESSORS = 2
DISK_GB = 8
PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mkfs.ext4": "e2fsprogs"}
BOOT_SECONDS = 300


class Failed(Exception):
    """A step did not succeed; the text says what to do."""


def say(text: str) -> None:
    print(text, flush=True)


def timed(words: str, work):
    """`work`, and a line with the seconds that it took."""
    began = time.monotonic()
    result = work()
    say(f"{time.monotonic() - began:6.1f} s  {words}")
    return result


# --- the disk ---------------------------------------------------------------------------------------


def programs() -> None:
    """QEMU and what makes a disk; Debian's packages where they are missing and may be installed."""
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")})
    if not missing:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Failed(f"Install {', '.join(missing)} first.")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    hosts.run("apt-get", "update", "-q")
    hosts.run("apt-get", "install", "-q", "-y", "--no-install-recommends", *missing, env=quiet)


def image(release: str) -> str:
    """The tag of the lab's host image with a kernel."""
    base = hosts.image(release)
    digest = hashlib.sha256((base + (HERE / "Dockerfile").read_text()).encode()).hexdigest()[:12]
    tag = f"botops-vm:{release}-{digest}"
    if hosts.run("docker", "image", "inspect", tag, check=False).returncode:
        hosts.run("docker", "build", "-q", "--build-arg", f"BASE={base}", "-t", tag, str(HERE))
    return tag


def disk(release: str) -> pathlib.Path:
    """A directory with root.img, vmlinuz and initrd.img, made once for each recipe."""
    tag = image(release)
    made = STATE / tag.split(":")[1]
    if (made / "root.img").exists():
        return made
    if os.geteuid():
        raise Failed("A file system with the files of other users is made by root: sudo make vm.")
    tree = STATE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.rmtree(made, ignore_errors=True)
    for path in (tree, made):
        path.mkdir(parents=True)
    container = hosts.run("docker", "create", tag).stdout.strip()
    try:
        with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export:
            subprocess.run(["tar", "-x", "-C", tree, "--numeric-owner", "--xattrs", "--xattrs-include=*"], stdin=export.stdout, check=True)
    finally:
        hosts.run("docker", "rm", "-v", container)
    prepare(tree)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(next(iter(sorted((tree / "boot").glob(f"{name}-*")))), made / name)
    new = made / "root.new"
    with new.open("wb") as handle:
        handle.truncate(DISK_GB << 30)
    everywhere = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    hosts.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", "-d", str(tree), str(new), env=everywhere)
    new.rename(made / "root.img")
    shutil.rmtree(tree)
    return made


def prepare(tree: pathlib.Path) -> None:
    """What Docker lays over a container, and the key that opens it."""
    (tree / ".dockerenv").unlink(missing_ok=True)
    (tree / "etc/hostname").write_text(NAME + "\n")
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {NAME}\n::1 localhost\n")
    (tree / "etc/resolv.conf").unlink(missing_ok=True)
    # The name server that QEMU's own network has.
    (tree / "etc/resolv.conf").write_text("nameserver 10.0.2.3\n")
    keys = tree / "home/admin/.ssh/authorized_keys"
    keys.write_text(pathlib.Path(f"{identity()}.pub").read_text())
    owner = (tree / "home/admin").stat()
    os.chown(keys, owner.st_uid, owner.st_gid)
    keys.chmod(0o600)
    # Made here, so that SSH checks it from the first connection on.
    host_key = tree / "etc/ssh/ssh_host_ed25519_key"
    hosts.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAME, "-f", str(host_key))
    hosts.run("ssh-keygen", "-q", "-t", "rsa", "-b", "3072", "-N", "", "-C", NAME, "-f", str(host_key.with_name("ssh_host_rsa_key")))
    # It makes keys where there are none, and stands in a circle with ssh.socket: before it, and after the basic system that waits for sockets.
    for unit in list((tree / "etc/systemd/system").rglob("ssh-host-keys.service")):
        unit.unlink()
    (STATE / "host_keys").write_text("".join(path.read_text() for path in sorted(host_key.parent.glob("ssh_host_*_key.pub"))))


def identity() -> pathlib.Path:
    STATE.mkdir(parents=True, exist_ok=True)
    key = STATE / "id_ed25519"
    if not key.exists():
        hosts.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "botops-vm", "-f", str(key))
    return key


# --- the machine ------------------------------------------------------------------------------------


def accelerator(made: pathlib.Path) -> str:
    """kvm where a kernel gets as far as its panic without a disk, else tcg: there are machines with a /dev/kvm under which nothing ever runs."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    argv = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256", "-display", "none", "-nodefaults", "-no-reboot",
        "-kernel", str(made / "vmlinuz"), "-append", "console=ttyS0 panic=-1", "-serial", "stdio",
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True, errors="replace", capture_output=True, check=False, timeout=15)
    except subprocess.TimeoutExpired:
        say("         /dev/kvm is there, and no kernel boots with it: emulated instead")
        return "tcg"
    return "kvm" if "Linux version" in done.stdout else "tcg"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(made: pathlib.Path, ports: list[int] | None = None) -> dict:
    """Start QEMU on a fresh overlay of the disk. `ports`: more ports of the machine that get a door on the loopback address."""
    overlay = STATE / "disk.qcow2"
    overlay.unlink(missing_ok=True)
    hosts.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(made / "root.img"), str(overlay))
    doors = {port: free_port() for port in [22, *(ports or [])]}
    accel = os.environ.get("BOTOPS_VM_ACCEL") or accelerator(made)
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{door}-:{port}" for port, door in doors.items())
    argv = [
        "qemu-system-x86_64", "-name", "botops-vm", "-machine", "q35", "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi,tb-size=256",
        "-cpu", "host" if accel == "kvm" else "max", "-smp", str(PROCESSORS), "-m", str(MEMORY_MB), "-display", "none", "-nodefaults",
        "-kernel", str(made / "vmlinuz"), "-initrd", str(made / "initrd.img"),
        # Audited from the first process on, as GRUB's file says it on a real host.
        "-append", "root=/dev/vda rw console=ttyS0 quiet audit=1 audit_backlog_limit=8192",
        "-drive", f"file={overlay},if=virtio,cache=unsafe,discard=unmap", "-device", "virtio-rng-pci",
        "-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net",
        "-serial", f"file:{STATE / 'console.log'}", "-pidfile", str(STATE / "pid"), "-daemonize",
    ]  # fmt: skip
    hosts.run("nice", "-n", "5", *argv)
    key = identity()
    host = {"name": NAME, "address": "127.0.0.1", "user": "admin", "port": doors[22], "identity_file": str(key), "accelerator": accel, "doors": doors}
    (STATE / "hosts.json").write_text(json.dumps([host], indent=2) + "\n")
    known = [f"[127.0.0.1]:{door} {' '.join(line.split()[:2])}" for door in doors.values() for line in (STATE / "host_keys").read_text().splitlines()]
    (STATE / "known_hosts").write_text("\n".join(known) + "\n")
    return host


def options(host: dict) -> list[str]:
    return ["-i", host["identity_file"], "-p", str(host["port"]), "-o", f'UserKnownHostsFile="{STATE / "known_hosts"}"', "-o", "StrictHostKeyChecking=yes",
            "-o", "BatchMode=yes", "-o", "ConnectTimeout=60", "-o", "IdentitiesOnly=yes"]  # fmt: skip


def ssh(host: dict, command: str, stdin: str | None = None, seconds: float = 600) -> subprocess.CompletedProcess:
    argv = ["ssh", *options(host), f"{host['user']}@127.0.0.1", command]
    return subprocess.run(argv, text=True, capture_output=True, check=False, timeout=seconds, **({"input": stdin} if stdin else {"stdin": subprocess.DEVNULL}))


def wait(host: dict, seconds: float = BOOT_SECONDS) -> None:
    """Until a login works."""
    deadline, said = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            done = ssh(host, "true", seconds=30)
            if done.returncode == 0:
                return
            said = done.stderr.strip()
        except subprocess.TimeoutExpired:
            said = "no answer"
        if not alive():
            break
        time.sleep(1)
    console = (STATE / "console.log").read_text(errors="replace")[-2000:]
    raise Failed(f"The machine lets nobody in after {seconds} s: {said}\n{console}")


def pid() -> int | None:
    """The machine's process, if it is still that."""
    try:
        number = int((STATE / "pid").read_text())
        words = pathlib.Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return number if str(STATE / "pid").encode() in words else None


def alive() -> bool:
    return pid() is not None


def up(release: str = "debian13", ports: list[int] | None = None) -> dict:
    timed("programs", programs)
    made = timed(f"disk, {release}", lambda: disk(release))
    down()
    host = timed("machine started", lambda: start(made, ports))
    timed(f"booted, {host['accelerator']}", lambda: wait(host))
    return host


def down() -> None:
    number = pid()
    if number:
        os.kill(number, signal.SIGTERM)
        for _attempt in range(100):
            if not alive():
                break
            time.sleep(0.1)
        else:
            os.kill(number, signal.SIGKILL)
    for name in ("pid", "disk.qcow2", "hosts.json", "known_hosts"):
        (STATE / name).unlink(missing_ok=True)


def main() -> None:
    what, *rest = sys.argv[1:] or ["help"]
    try:
        if what == "up":
            up(*rest[:1])
        elif what == "down":
            down()
        elif what == "ssh":
            host = json.loads((STATE / "hosts.json").read_text())[0]
            sys.exit(subprocess.run(["ssh", *options(host), "admin@127.0.0.1", *rest], check=False).returncode)
        else:
            sys.exit(__doc__)
    except Failed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
