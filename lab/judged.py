#!/usr/bin/env python3
"""Every host of the lab is looked at, and the report is held to what is promised of it.

Needs a lab that runs (`make lab`). Writes build/compliance/report.html, report.json and report.xml (JUnit), prints a line for each host and for each judge, and
ends with status 1 when a host is not as declared, when the score of all is below 95 %, when a waiver has no reason, owner or end, or when OpenSCAP, where it
has content for the hosts' release (LAB_RELEASE=debian12), finds less than 95 % of the rules that apply.
"""

from __future__ import annotations

import json
import sys

import control_node
import lab

REPORT = lab.ROOT / "build" / "compliance" / "report.json"
SCORE, OPENSCAP, LYNIS = 95.0, 95.0, 90


def judge(report: dict) -> list[str]:
    """What is not as promised, as sentences."""
    problems = [f"{host['host']}: {problem}" for host in report["hosts"] for problem in host["problems"]]
    if report["score"] < SCORE:
        problems.append(f"the score is {report['score']} %, and {SCORE} % is the least")
    for host in report["hosts"]:
        found = host["sources"].get("openscap") or {}
        if found.get("score") is not None and found["score"] < OPENSCAP:
            problems.append(f"{host['host']}: OpenSCAP finds {found['score']} % of {found['pass'] + found['fail']} rules, and {OPENSCAP} % is the least")
        if found.get("waived"):
            problems.append(f"{host['host']}: rules of OpenSCAP are waived; they are for the role hardening to close")
        for entry in host["controls"]:
            waiver = entry["waiver"]
            if entry["status"] == "waived" and not (waiver["reason"] and waiver["owner"] and waiver["until"]):
                problems.append(f"{host['host']}: {entry['id']} is waived, and nobody says why, who or until when")
    return problems


def lines(report: dict) -> list[str]:
    """A line for each host, its judges, and what keeps Lynis from its goal."""
    said = [f"{'host':<10} {'score':>7}  {'holds':>5} {'fails':>5} {'waived':>6}  judges"]
    for host in report["hosts"]:
        counts = host.get("counts") or {}
        judges = ", ".join(f"{name} {'no content' if found['score'] is None else found['score']}" for name, found in sorted(host["sources"].items()))
        points = "-" if host["score"] is None else f"{host['score']} %"
        said.append(f"{host['host']:<10} {points:>7}  {counts.get('pass', 0):>5} {counts.get('fail', 0):>5} {counts.get('waived', 0):>6}  {judges}")
    for host in report["hosts"]:
        index = next((entry["actual"] for entry in host["controls"] if entry["id"] == "lynis:index"), None)
        left = sorted(entry["id"].partition(":")[2] for entry in host["controls"] if entry["source"] == "lynis" and entry["status"] in ("fail", "waived"))
        if index is not None:
            said.append(f"Lynis, {host['host']}: index {index} (goal {LYNIS}); it suggests {', '.join(left) or 'nothing'}")
    return said


def main() -> int:
    environment = control_node.ensure("requirements.txt")
    REPORT.unlink(missing_ok=True)
    try:
        lab.step("every host looked at", lambda: lab.ansible(environment, "playbooks/compliance.yml"))
    except lab.Failed as problem:
        # A host that is not as declared ends the play; the report is there all the same.
        if not REPORT.exists():
            print(problem, file=sys.stderr)
            return 1
    report = json.loads(REPORT.read_text())
    print("\n".join(lines(report)))
    problems = judge(report)
    for problem in problems:
        print(f"FAILED  {problem}")
    print(f"{report['score']} % of all; build/compliance/report.html")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
