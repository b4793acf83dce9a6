#!/usr/bin/env python3
"""Hosts for the lab and for Molecule: containers that run systemd and sshd.

    hosts.py up GROUP NAME=RELEASE[,ip=ADDRESS][,alias=DNSNAME]... [--subnet CIDR]
    hosts.py down GROUP
    hosts.py ls GROUP
    hosts.py images [RELEASE ...]

RELEASE is debian12, debian13, ubuntu2204 or ubuntu2404 (Ubuntu only where an image registry answers).
`up` may be repeated: hosts that run are left alone. It writes .cache/GROUP/hosts.json (name, address, user, port,
identity_file for each host), known_hosts (read out of the containers, so that SSH can check host keys from the first
connection) and an SSH key pair for the group.
`down` removes what carries the group's label and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LABEL = "botops.group"
IMAGES = {
    "debian12": "debian:bookworm-slim",
    "debian13": "debian:trixie-slim",
    "ubuntu2204": "ubuntu:22.04",
    "ubuntu2404": "ubuntu:24.04",
}
# What mmdebstrap can make where no registry answers.
CODENAMES = {"debian12": "bookworm", "debian13": "trixie"}
# What systemd, nested Docker, nftables, corosync and chrony need. CAP_SYS_TIME is left out on purpose:
# a container that sets the clock sets the machine's.
CAPABILITIES = [
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE"),
    *("MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
    *("SYS_PACCT", "SYS_PTRACE", "SYS_TTY_CONFIG", "WAKE_ALARM"),
]


def run(*argv: str, check: bool = True, text: bool = True, **kwargs) -> subprocess.CompletedProcess:
    """Run a command, quietly; on failure its own last words are the error. With `text` false, input and output are bytes."""
    done = subprocess.run(argv, text=text, capture_output=True, check=False, **kwargs)
    if check and done.returncode:
        said = done.stderr or done.stdout
        said = said if text else said.decode(errors="replace")
        sys.exit(f"`{' '.join(argv[:4])} …` failed ({done.returncode}): {said.strip()[-2000:]}")
    return done


def say(text: str) -> None:
    print(text, flush=True)


# --- images -----------------------------------------------------------------------------------------


def base_image(release: str) -> str:
    """The Debian base: pulled where a registry answers, else made with mmdebstrap from Debian's packages."""
    made = f"botops-base:{release}"
    if run("docker", "image", "inspect", made, check=False).returncode == 0:
        return made
    pulled = IMAGES[release]
    try:
        if run("docker", "pull", "-q", pulled, check=False, timeout=60).returncode == 0:
            return pulled
    except subprocess.TimeoutExpired:
        pass
    codename = CODENAMES.get(release)
    if codename is None:
        sys.exit(f"The image {pulled} cannot be pulled here and cannot be made from packages: use {' or '.join(CODENAMES)}.")
    if not shutil.which("mmdebstrap"):
        if os.geteuid() or not shutil.which("apt-get"):
            sys.exit(f"The image {pulled} cannot be pulled and mmdebstrap is missing: install it (apt-get install mmdebstrap).")
        say("  no registry answers: installing mmdebstrap")
        run("apt-get", "update", "-q")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "install", "-q", "-y", "--no-install-recommends", "mmdebstrap", env=quiet)
    say(f"  no registry answers: making the {release} base with mmdebstrap")
    with tempfile.TemporaryDirectory() as tmp:
        tar = f"{tmp}/base.tar"
        run("mmdebstrap", "--variant=minbase", codename, tar)
        run("docker", "import", tar, made)
    return made


def image(release: str) -> str:
    """Build the host image unless this very recipe was built already; return its tag."""
    if release not in IMAGES:
        sys.exit(f"Unknown release {release!r}: use one of {', '.join(IMAGES)}.")
    recipe, packages = ROOT / "lab" / "Dockerfile", ROOT / "lab" / "packages.txt"
    authorities = sorted(pathlib.Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in [recipe, packages, *authorities])).hexdigest()[:12]
    tag = f"botops-host:{release}-{digest}"
    if run("docker", "image", "inspect", tag, check=False).returncode == 0:
        return tag
    say(f"  building the {release} host image")
    base = base_image(release)
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(recipe, context)
        shutil.copy(packages, context)
        certificates = pathlib.Path(context, "ca")
        certificates.mkdir()
        for path in authorities:
            shutil.copy(path, certificates)
        run("docker", "build", "-q", "--build-arg", f"BASE={base}", "-t", tag, context)
    return tag


# --- hosts ------------------------------------------------------------------------------------------


def state_dir(group: str) -> pathlib.Path:
    path = ROOT / ".cache" / group
    path.mkdir(parents=True, exist_ok=True)
    return path


def identity(group: str) -> pathlib.Path:
    key = state_dir(group) / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"botops-{group}", "-f", str(key))
    return key


def container(group: str, name: str) -> str:
    return f"botops-{group}-{name}"


def legacy_cgroup() -> bool:
    return not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()


def machine(group: str, name: str, hostname: str, network: str) -> list[str]:
    """Arguments of `docker run` and `docker create` that make a machine of a container: what systemd and the roles need."""
    argv = ["--name", name, "--hostname", hostname, "--label", f"{LABEL}={group}", "--network", network]
    for capability in CAPABILITIES:
        argv += ["--cap-add", capability]
    argv += ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    argv += ["--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--shm-size", "256m"]
    return [*argv, "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns=host", "-v", "/var/lib/docker"]


def init_argv() -> list[str]:
    """What comes after the image's name: systemd 257 refuses cgroup v1 unless told twice."""
    return ["/lib/systemd/systemd", "systemd.unified_cgroup_hierarchy=0", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"] if legacy_cgroup() else []


def start(group: str, name: str, release: str, ip: str | None, aliases: list[str]) -> None:
    """Create the host's container, or start the one that is there."""
    known = run("docker", "inspect", "-f", "{{.State.Running}}", container(group, name), check=False)
    if known.returncode == 0:
        if known.stdout.strip() != "true":
            run("docker", "start", container(group, name))
        return
    argv = [*machine(group, container(group, name), name, f"botops-{group}"), "--network-alias", name]
    for alias in aliases:
        argv += ["--network-alias", alias]
    if ip:
        argv += ["--ip", ip]
    run("docker", "run", "-d", *argv, image(release), *init_argv())


def wait_ssh(address: str, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((address, 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"{address} does not answer on port 22. Look at it with `docker ps -a --filter label={LABEL}`.")


def authorize(group: str, name: str) -> None:
    key = pathlib.Path(f"{identity(group)}.pub").read_text()
    target = "/home/admin/.ssh/authorized_keys"
    script = f"grep -qsxF '{key.strip()}' {target} || cat >> {target}; chown admin:admin {target}; chmod 600 {target}"
    run("docker", "exec", "-i", container(group, name), "sh", "-c", script, input=key)


def network(group: str, subnet: str | None, command: str = "make lab LAB_PREFIX") -> None:
    """Make the group's network unless it is there. `command`: what an operator types to have it elsewhere."""
    if run("docker", "network", "inspect", f"botops-{group}", check=False).returncode == 0:
        return
    extra = ["--subnet", subnet] if subnet else []
    made = run("docker", "network", "create", "--label", f"{LABEL}={group}", *extra, f"botops-{group}", check=False)
    if "overlaps" in made.stderr:
        sys.exit(f"The subnet {subnet} is in use here. Choose another /24 by its first three numbers: {command}=10.99.88")
    if made.returncode:
        sys.exit(f"Docker cannot make a network: {made.stderr.strip()}")


def up(group: str, specs: list[str], subnet: str | None) -> list[dict]:
    network(group, subnet)
    hosts = []
    for spec in specs:
        name, _, rest = spec.partition("=")
        release, *options = rest.split(",")
        pairs = [option.split("=", 1) for option in options]
        start(group, name, release, dict(pairs).get("ip"), [value for key, value in pairs if key == "alias"])
        hosts.append(name)
    deadline = time.monotonic() + 60
    result, known = [], []
    for name in hosts:
        where = f'{{{{(index .NetworkSettings.Networks "botops-{group}").IPAddress}}}}'
        address = run("docker", "inspect", "-f", where, container(group, name)).stdout.strip()
        wait_ssh(address, deadline)
        authorize(group, name)
        keys = run("docker", "exec", container(group, name), "sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").stdout
        known += [f"{address} {' '.join(line.split()[:2])}" for line in keys.splitlines()]
        result.append(
            {"name": name, "address": address, "user": "admin", "port": 22, "identity_file": str(identity(group))}
        )
    state = state_dir(group)
    (state / "known_hosts").write_text("\n".join(known) + "\n")
    (state / "hosts.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def down(group: str) -> None:
    run(sys.executable, str(ROOT / "lab" / "bmc.py"), "--group", group, "--stop")
    selector = ["--filter", f"label={LABEL}={group}"]
    ids = run("docker", "ps", "-aq", *selector).stdout.split()
    if ids:
        run("docker", "rm", "-fv", *ids)
    networks = run("docker", "network", "ls", "-q", *selector).stdout.split()
    if networks:
        run("docker", "network", "rm", *networks)
    shutil.rmtree(state_dir(group))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up")
    command.add_argument("group")
    command.add_argument("host", nargs="+", help="NAME=RELEASE[,ip=ADDRESS][,alias=DNSNAME]")
    command.add_argument("--subnet")
    commands.add_parser("down").add_argument("group")
    commands.add_parser("ls").add_argument("group")
    commands.add_parser("images").add_argument("release", nargs="*", default=list(CODENAMES))
    args = parser.parse_args()
    if args.command == "up":
        print(json.dumps(up(args.group, args.host, args.subnet), indent=2))
    elif args.command == "down":
        down(args.group)
    elif args.command == "ls":
        run_args = ["docker", "ps", "-a", "--filter", f"label={LABEL}={args.group}", "--format", "{{.Names}}\t{{.Status}}"]
        print(run(*run_args).stdout, end="")
    else:
        for release in args.release:
            print(image(release))


if __name__ == "__main__":
    main()
