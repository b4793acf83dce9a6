#!/usr/bin/env python3
"""How long `ansible all --list-hosts` takes: this collection's inventory beside the ones that come with `ansible`.

    bench/inventory.py [--droplets N] [--latency-ms MS] [--instances N] [--only digitalocean|aws]

Everything runs in one go on this machine, against an emulator of DigitalOcean and a moto server behind a shim, with the same hosts and
the same groups asked of both sides, so that the ratios hold whatever else the machine does. What is timed is not judged: validating a
page against the vendor's document takes longer than reading it. A second, untimed pass over a smaller account is. Prints a table,
writes build/bench-inventory.json and exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = "emulated-token"
# What an account has enabled from its first day.
REGIONS = [
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-central-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-southeast-1", "ap-southeast-2",
]

THEIRS_DIGITALOCEAN = """\
plugin: community.digitalocean.digitalocean
oauth_token: "{{ lookup('ansible.builtin.env', 'DO_API_TOKEN') }}"
baseurl: %(url)s/v2
pagination: 200
attributes: [id, name, networks, region, size_slug, tags, status]
%(more)s
"""
THEIR_GROUPS = """\
compose:
  ansible_host: do_networks.v4 | selectattr('type', 'eq', 'public') | map(attribute='ip_address') | first
keyed_groups:
  - {key: do_region.slug, prefix: region}
  - {key: do_tags, prefix: tag}
"""
OURS_DIGITALOCEAN = """\
plugin: botops.fleet.fleet
cache: true
cache_connection: %(cache)s
sources:
  - type: digitalocean
    endpoint: %(url)s
"""
THEIRS_AWS = """\
plugin: amazon.aws.aws_ec2
endpoint_url: %(url)s
regions: [%(regions)s]
filters: {"tag:env": prod}
hostnames: [instance-id]
compose: {ansible_host: public_ip_address}
keyed_groups:
  - {key: placement.region, prefix: region}
  - {key: tags, prefix: tag}
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: %(cache)s
"""
OURS_AWS = """\
plugin: botops.fleet.fleet
cache: true
cache_connection: %(cache)s
sources:
  - type: aws
    endpoint: %(url)s
    regions: [%(regions)s]
    tags: {env: prod}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tool(name: str) -> str:
    beside = pathlib.Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    return found or sys.exit(f"{name} is not installed: pip install -r requirements-dev.txt")


@contextlib.contextmanager
def server(argv: list[str], url: str, log: pathlib.Path):
    """A server that runs while the block does; ready when it answers anything."""
    with log.open("w") as stream:
        process = subprocess.Popen(argv, stdout=stream, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=1).close()
                break
            if process.poll() is not None:
                sys.exit(f"{argv[0]} ended: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:  # a busy machine must not cost the figures
            process.kill()
            process.wait()


class Bench:
    def __init__(self, work: pathlib.Path):
        self.work = work
        self.rows: list[dict] = []
        self.targets: list[dict] = []
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "AWS_", "DO_", "DIGITALOCEAN_"))},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "ANSIBLE_DEPRECATION_WARNINGS": "false", "ANSIBLE_LOCALHOST_WARNING": "false", "HOME": str(work),
            "DO_API_TOKEN": TOKEN, "DIGITALOCEAN_TOKEN": TOKEN, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def inventory(self, name: str, text: str) -> pathlib.Path:
        path = self.work / name
        path.write_text(text)
        return path

    def measure(self, label: str, path: pathlib.Path, requests, *more: str, times: int = 1) -> dict:
        seconds = float("inf")
        # What takes few seconds is at the mercy of whatever else runs: the shortest of three counts, on both sides.
        for _ in range(times):
            before = requests()
            start = time.perf_counter()
            done = subprocess.run(
                [tool("ansible"), "all", "-i", str(path), "--list-hosts", *more], text=True, capture_output=True, env=self.environment,
                cwd=self.work, check=False,
            )
            seconds = min(seconds, time.perf_counter() - start)
            if done.returncode:
                sys.exit(f"{label} failed:\n{done.stderr[-3000:]}")
        names = [line.strip() for line in done.stdout.splitlines()[1:]]
        row = {"case": label, "seconds": round(seconds, 2), "hosts": len(set(names)), "requests": requests() - before}
        self.rows.append(row)
        print(f"  {label:<62}{seconds:8.2f} s{row['hosts']:8d} hosts{row['requests']:6d} requests", flush=True)
        return row

    def target(self, what: str, value: float, limit: float) -> None:
        met = value <= limit
        self.targets.append({"target": what, "value": round(value, 3), "limit": round(limit, 3), "met": met})


def emulator(url: str, *more: str) -> list[str]:
    program = str(ROOT / "tests/emulators/digitalocean/server.py")
    return [sys.executable, program, "--port", url.rpartition(":")[2], "--token", TOKEN, *more]


def judge(bench: Bench) -> None:
    """The untimed pass: what the inventory sends, and what the emulator answers it, against the vendor's document."""
    document = os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI")
    if not document:
        print("  not judged: BOTOPS_DIGITALOCEAN_OPENAPI does not name the vendor's document")
        return
    url = f"http://127.0.0.1:{free_port()}"
    with server(emulator(url, "--droplets", "450", "--openapi", document), url, bench.work / "judge.log"):
        path = bench.inventory("judged.fleet.yml", OURS_DIGITALOCEAN % {"url": url, "cache": bench.work / "cache-judged"})
        subprocess.run([tool("ansible"), "all", "-i", str(path), "--list-hosts"], capture_output=True, env=bench.environment, check=True)
        with urllib.request.urlopen(url + "/_emulator/violations") as answer:
            said = json.load(answer)
    print(f"  {said['judged']} exchanges judged by the vendor's document, not timed")
    bench.target("DigitalOcean: exchanges that were not judged", 3 - min(3, said["judged"]), 0)
    bench.target("DigitalOcean: breaches of the vendor's document", len(said["violations"]), 0)


def digitalocean(bench: Bench, droplets: int, latency: float) -> None:
    duplicates = max(1, droplets // 1000)
    url = f"http://127.0.0.1:{free_port()}"
    argv = emulator(url, "--droplets", str(droplets), "--duplicates", str(duplicates), "--latency-ms", str(latency), "--openapi", "")
    print(f"DigitalOcean: {droplets} droplets, {duplicates} names used twice, {latency:g} ms an answer")

    def requests() -> int:
        with urllib.request.urlopen(url + "/_emulator/log") as answer:
            return len(json.load(answer))

    with server(argv, url, bench.work / "emulator.log"):
        about = {"url": url, "cache": bench.work / "cache-do", "more": THEIR_GROUPS}
        # The emulator renders each droplet once, and this first listing pays for it; no target is about it.
        bare = bench.inventory("bare.digitalocean.yml", THEIRS_DIGITALOCEAN % {**about, "more": ""})
        bench.measure("community.digitalocean, no address, no groups", bare, requests)
        path = bench.inventory("full.digitalocean.yml", THEIRS_DIGITALOCEAN % about)
        theirs = bench.measure("community.digitalocean, address, region and tag groups", path, requests)
        path = bench.inventory("do.fleet.yml", OURS_DIGITALOCEAN % about)
        cold = bench.measure("botops.fleet, cold: address, all native groups", path, requests)
        warm = bench.measure("botops.fleet, warm", path, requests, times=3)
    judge(bench)
    bench.target("DigitalOcean, cold: share of community.digitalocean's time", cold["seconds"] / theirs["seconds"], 0.25)
    bench.target("DigitalOcean, cold: requests", cold["requests"], 60)
    bench.target("DigitalOcean, warm: share of community.digitalocean's time", warm["seconds"] / theirs["seconds"], 0.1)
    bench.target("DigitalOcean, warm: requests", warm["requests"], 0)
    bench.target("DigitalOcean: hosts lost", (droplets - cold["hosts"]) + (droplets - warm["hosts"]), 0)


def seed_aws(url: str, instances: int) -> None:
    import boto3

    session = boto3.session.Session(aws_access_key_id="bench", aws_secret_access_key="bench")
    for region in REGIONS:
        ec2 = session.client("ec2", region_name=region, endpoint_url=url)
        image = ec2.describe_images()["Images"][0]["ImageId"]
        tags = [{"Key": "Name", "Value": "bot"}, {"Key": "env", "Value": "prod"}, {"Key": "role", "Value": "primary"}]
        ec2.run_instances(
            ImageId=image, MinCount=instances, MaxCount=instances,
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )


def aws(bench: Bench, instances: int, latency: float) -> None:
    moto, url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    print(f"AWS: {len(REGIONS)} regions, {instances} instances in each, all of one name, {latency:g} ms an answer")

    def requests() -> int:
        with urllib.request.urlopen(url + "/_shim/requests") as answer:
            return json.load(answer)

    shim = [sys.executable, str(ROOT / "tests/emulators/aws/replay.py"), "--port", url.rpartition(":")[2], "--upstream", moto]
    with (
        server([tool("moto_server"), "-H", "127.0.0.1", "-p", moto.rpartition(":")[2]], moto, bench.work / "moto.log"),
        server([*shim, "--latency-ms", str(latency)], url, bench.work / "shim.log"),
    ):
        seed_aws(moto, instances)
        about = {"url": url, "regions": ", ".join(REGIONS), "cache": bench.work / "cache-aws"}
        measured = {}
        for label, name, text in (
            ("amazon.aws.aws_ec2", "bench.aws_ec2.yml", THEIRS_AWS), ("botops.fleet", "aws.fleet.yml", OURS_AWS)
        ):
            path = bench.inventory(name, text % about)
            # The shim's memory is filled first, so that neither side waits for moto.
            prime = [tool("ansible"), "all", "-i", str(path), "--list-hosts"]
            subprocess.run(prime, capture_output=True, env=bench.environment, check=True)
            measured[label] = [
                bench.measure(f"{label}, cold", path, requests, "--flush-cache", times=3),
                bench.measure(f"{label}, warm", path, requests, times=3),
            ]
    cold, warm = measured["botops.fleet"]
    expected = instances * len(REGIONS)
    bench.target("AWS, cold: share of aws_ec2's time", cold["seconds"] / measured["amazon.aws.aws_ec2"][0]["seconds"], 1 / 3)
    bench.target("AWS, warm: calls", warm["requests"], 0)
    bench.target("AWS: hosts lost", (expected - cold["hosts"]) + (expected - warm["hosts"]), 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--droplets", type=int, default=10000)
    parser.add_argument("--latency-ms", type=float, default=20, help="what a data centre away takes to answer")
    parser.add_argument("--instances", type=int, default=20, help="in each region")
    parser.add_argument("--only", choices=["digitalocean", "aws"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(pathlib.Path(directory))
        if options.only != "aws":
            digitalocean(bench, options.droplets, options.latency_ms)
        if options.only != "digitalocean":
            aws(bench, options.instances, options.latency_ms)
    print("Targets")
    for target in bench.targets:
        print(f"  {'met   ' if target['met'] else 'MISSED'} {target['target']:<60}{target['value']:8.3f}  (at most {target['limit']:g})")
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    result = {"options": vars(options), "cases": bench.rows, "targets": bench.targets}
    (build / "bench-inventory.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(target["met"] for target in bench.targets) else 1


if __name__ == "__main__":
    sys.exit(main())
