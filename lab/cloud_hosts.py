#!/usr/bin/env python3
"""Real hosts behind the machines of an emulated cloud: what its `hook` calls.

    cloud_hosts.py [--group GROUP] [--prefix PREFIX] EVENT < MACHINE

EVENT is one of create, delete, power_on, power_off, shutdown, reboot and power_cycle. MACHINE is JSON: `id`, `name`, `image` (its `slug` says which
release), `memory` (megabytes) and `private` (`user_data`, `public_keys`); a droplet as the vendor describes it has all of these. After `create` the
addresses are printed: {"public": "10.77.31.10", "private": "10.77.31.10"}.

A host is a container with systemd, sshd and cloud-init, which reads the user data as on the vendor's machine; only the way they reach it is
another (files instead of the metadata address). GROUP (default `cloud`) names network, containers and state, PREFIX (default 10.77.31) is the first
three numbers of the network. `hosts.py down GROUP` removes everything.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import io
import json
import pathlib
import re
import sys
import tarfile
import tempfile
import time

import hosts

RECIPE = pathlib.Path(__file__).with_name("Dockerfile.cloud")
ADDRESS = "botops.address"
# What an operator types when the network of the lab is somebody else's here.
ELSEWHERE = "make lab-cloud LAB_CLOUD_PREFIX"
SEED = "var/lib/cloud/seed/nocloud"
BOOT_SECONDS = 120
# What a host gets at least: systemd, sshd and a playbook's Python do not fit into the smallest droplet's half gigabyte beside a bot.
LEAST_MEMORY_MB = 1024
POWER = {
    "power_on": [["start"]],
    "power_off": [["kill"]],
    "power_cycle": [["kill"], ["start"]],
    "shutdown": [["stop", "-t", "30"]],
    "reboot": [["restart", "-t", "30"]],
}


def release(machine: dict) -> str:
    """The lab's release for the image of a machine: `debian-13-x64` and `debian-13-amd64-20260202-2374` are debian13."""
    slug = machine["image"].get("slug") or machine["image"]["name"]
    found = re.search(r"(debian|ubuntu)\D*(\d\d)\W?(04)?", slug)
    named = "".join(found.groups(default="")) if found else slug
    if named not in hosts.IMAGES:
        sys.exit(f"No host of the lab is like the image {slug!r}: use Debian 12 or 13, Ubuntu 22.04 or 24.04.")
    return named


def image(wanted: str) -> str:
    """Build the release's image with cloud-init unless this very recipe was built already; return its tag."""
    base = hosts.image(wanted)
    tag = f"botops-cloud:{wanted}-{hashlib.sha256(RECIPE.read_bytes() + base.encode()).hexdigest()[:12]}"
    if hosts.run("docker", "image", "inspect", tag, check=False).returncode:
        with tempfile.TemporaryDirectory() as context:
            hosts.run("docker", "build", "-q", "--build-arg", f"BASE={base}", "-t", tag, "-f", str(RECIPE), context)
    return tag


@contextlib.contextmanager
def locked(group: str, what: str):
    """One at a time: the vendor's answers come at once, and so do the calls of the hook."""
    with (hosts.state_dir(group) / f"{what}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def free_address(group: str, prefix: str) -> str:
    """The lowest address that no host of the group holds, be it running or not."""
    shown = hosts.run("docker", "ps", "-a", "--filter", f"label={hosts.LABEL}={group}", "--format", f'{{{{.Label "{ADDRESS}"}}}}').stdout
    return next(address for address in (f"{prefix}.{number}" for number in range(10, 250)) if address not in shown.split())


def seed(machine: dict) -> bytes:
    """A tar archive of what cloud-init reads on the first boot; only root may."""
    private = machine["private"]
    about = {"instance-id": str(machine["id"]), "local-hostname": machine["name"], "public-keys": private.get("public_keys") or []}
    files = {"user-data": private.get("user_data") or "#cloud-config\n{}", "meta-data": json.dumps(about)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{SEED}/{name}")
            entry.mode, entry.size = 0o600, len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def create(group: str, prefix: str, machine: dict) -> dict[str, str]:
    """Start a host and wait until its first boot is over; return its addresses."""
    name = hosts.container(group, str(machine["id"]))
    with locked(group, "build"):
        tag = image(release(machine))
    with locked(group, "network"):
        hosts.network(group, f"{prefix}.0/24", ELSEWHERE)
        address = free_address(group, prefix)
        argv = hosts.machine(group, name, machine["name"], f"botops-{group}")
        argv += ["--ip", address, "--label", f"{ADDRESS}={address}", "--memory", f"{max(LEAST_MEMORY_MB, int(machine.get('memory') or 0))}m"]
        hosts.run("docker", "create", *argv, tag, *hosts.init_argv())
    hosts.run("docker", "cp", "-", f"{name}:/", input=seed(machine), text=False)
    hosts.run("docker", "start", name)
    deadline = time.monotonic() + BOOT_SECONDS
    while hosts.run("docker", "exec", name, "test", "-e", "/run/cloud-init/result.json", check=False).returncode:
        if time.monotonic() > deadline:
            sys.exit(f"cloud-init did not end on {machine['name']} within {BOOT_SECONDS} s. Look at it: docker exec {name} cloud-init status --long")
        time.sleep(0.2)
    errors = json.loads(hosts.run("docker", "exec", name, "cat", "/run/cloud-init/result.json").stdout)["v1"]["errors"]
    if errors:
        sys.exit(f"cloud-init failed on {machine['name']}: {'; '.join(map(str, errors))}")
    hosts.wait_ssh(address, deadline)
    return {"public": address, "private": address}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", default="cloud")
    parser.add_argument("--prefix", default="10.77.31")
    parser.add_argument("event", choices=["create", "delete", *POWER])
    args = parser.parse_args()
    machine = json.load(sys.stdin)
    identity = str(machine["id"])
    name, gone = hosts.container(args.group, identity), hosts.state_dir(args.group) / f"{identity}.gone"
    # The calls about one machine may overtake each other: what was deleted before it was made is not made.
    with locked(args.group, identity):
        if args.event == "delete":
            gone.touch()
            if hosts.run("docker", "inspect", name, check=False).returncode == 0:
                hosts.run("docker", "rm", "-fv", name)
        elif args.event == "create":
            if not gone.exists():
                print(json.dumps(create(args.group, args.prefix, machine)))
        else:
            for words in POWER[args.event]:
                hosts.run("docker", *words, name)


if __name__ == "__main__":
    main()
