"""Judges that this collection did not write: OpenSCAP, Lynis, ssh-audit, debsums. Each by what it prints for machines, as controls of the one list."""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import pathlib
import platform
import re
import shutil
import tempfile
from xml.etree import ElementTree

from compliance import common
from compliance.model import control

CONTENT = pathlib.Path("/usr/share/xml/scap/ssg/content")
# What `botops-compliance content` brought, where the release's own package is too old to know the release.
CONTENT_OF_OURS = pathlib.Path("/usr/local/share/botops/scap")
XCCDF = "{http://checklists.nist.gov/xccdf/1.2}"
RULE = "xccdf_org.ssgproject.content_rule_"
PROFILE = "xccdf_org.ssgproject.content_profile_"
# XCCDF 1.2, 6.6.4.2. What is not listed says that the rule was not judged.
# What a benchmark calls grave is its opinion of all hosts; by severity alone only our own controls make a report fail.
RANK = {"low": "low", "medium": "medium", "high": "medium"}
HELD = {"pass": True, "fixed": True, "fail": False, "error": False, "unknown": False}


def missing(name: str, title: str, why: str) -> list[dict]:
    """A judge that was asked for and is not there has judged nothing."""
    return [control(name, title, "a verdict", why, False, "medium", name.partition(":")[0])]


# --- OpenSCAP


def content_name() -> str:
    system = platform.freedesktop_os_release()
    return f"ssg-{system['ID']}{system.get('VERSION_ID', '').replace('.', '')}-ds.xml"


def content_file() -> pathlib.Path | None:
    """The data stream for this very system; nothing where there is none."""
    name = content_name()
    return next((place / name for place in (CONTENT_OF_OURS, CONTENT) if (place / name).exists()), None)


def openscap_controls(results: pathlib.Path) -> list[dict]:
    """An XCCDF result file. Rules that were not judged (not applicable, not selected, only for people) are no controls that hold or fail."""
    titles, severities, found = {}, {}, []
    root = ElementTree.parse(results).getroot()
    for rule in root.iter(XCCDF + "Rule"):
        title = rule.find(XCCDF + "title")
        titles[rule.get("id")] = " ".join("".join(title.itertext()).split()) if title is not None else ""
        severities[rule.get("id")] = rule.get("severity", "medium")
    for result in root.iter(XCCDF + "rule-result"):
        rule, answer = result.get("idref"), (result.findtext(XCCDF + "result") or "").strip()
        if answer == "notselected":
            continue
        severity = RANK.get(result.get("severity") or severities.get(rule, ""), "medium")
        name = rule.removeprefix(RULE)
        found.append(control("openscap:" + name, titles.get(rule, ""), "pass", answer, HELD.get(answer), severity, "openscap", name))
    return found


def openscap(config: dict) -> list[dict]:
    title, content = "OpenSCAP has judged this host", content_file()
    if content is None:
        system = platform.freedesktop_os_release()
        return [control("openscap:content", "There is SCAP content for this system", "a data stream",
                        f"none for {system.get('PRETTY_NAME', 'it')} in {CONTENT}", None, "medium", "openscap",
                        "what another release's content says of this one would mean nothing")]  # fmt: skip
    with tempfile.TemporaryDirectory(dir=common.STATE, prefix="openscap-") as place:
        path = pathlib.Path(place, "results.xml")
        told = common.patiently(["oscap", "xccdf", "eval", "--profile", PROFILE + config["openscap_profile"], "--results", str(path), str(content)],
                                config["scanner_seconds"])  # fmt: skip
        # 2 says that at least one rule fails.
        if told.status not in (0, 2) or not path.exists():
            return missing("openscap:ran", title, told.last or f"oscap ended with {told.status}")
        return openscap_controls(path)


# --- Lynis


def lynis_controls(report: str, minimum: int) -> list[dict]:
    """Lynis's report file. Each test that ran is a control; one with a warning or a suggestion fails."""
    said: dict[str, list[tuple[str, str]]] = {}
    for kind, name, rest in re.findall(r"^(warning|suggestion)\[\]=([A-Z]+-\d{4})\|([^\n]*)$", report, re.MULTILINE):
        said.setdefault(name, []).append((kind, rest.split("|")[0]))
    ran = set(re.findall(r"[A-Z]+-\d{4}", "".join(re.findall(r"^tests_executed=(.*)$", report, re.MULTILINE))))
    index = re.search(r"^hardening_index=(\d+)", report, re.MULTILINE)
    if not ran or not index:
        return missing("lynis:ran", "Lynis has judged this host", "its report is not whole")
    points = int(index[1])
    result = [control("lynis:index", "Lynis's hardening index", f"at least {minimum}", points, points >= minimum, "medium", "lynis", "sudo lynis audit system")]
    for name in sorted(ran | set(said)):
        words = "; ".join(text for _kind, text in said.get(name, []))
        grave = any(kind == "warning" for kind, _text in said.get(name, []))
        title = f"Lynis {name}" + (f": {words}" if words else "")
        result.append(control(f"lynis:{name}", title, "neither a warning nor a suggestion", words or "nothing to be said", name not in said,
                              "medium" if grave else "low", "lynis", f"sudo lynis show details {name}"))  # fmt: skip
    return result


def lynis(config: dict) -> list[dict]:
    with tempfile.TemporaryDirectory(dir=common.STATE, prefix="lynis-") as place:
        path = pathlib.Path(place, "report.dat")
        told = common.patiently(["lynis", "audit", "system", "--quick", "--no-colors", "--quiet", "--report-file", str(path), "--log-file",
                                 str(pathlib.Path(place, "lynis.log"))], config["scanner_seconds"])  # fmt: skip
        if not path.exists():
            return missing("lynis:ran", "Lynis has judged this host", told.last or f"lynis ended with {told.status}")
        return lynis_controls(path.read_text(errors="replace"), config["limits"]["lynis_index"])


# --- ssh-audit


KINDS = {"kex": "key exchange", "key": "host key", "enc": "cipher", "mac": "MAC"}


def ssh_audit_notes(text: str) -> dict[tuple[str, str], list[str] | None]:
    """What ssh-audit before 3.0 says of algorithms: in words only. None for one that it does not know, and has no opinion of."""
    found: dict[tuple[str, str], list[str] | None] = {}
    for kind, name, note in re.findall(r"^\((kex|key|enc|mac)\) (\S+).*?-- \[(?:warn|fail)\] (.+)$", text, re.MULTILINE):
        if "unknown algorithm" in note:
            found[kind, name] = None
        else:
            found.setdefault((kind, name), []).append(note.strip())
    return found


def ssh_audit_controls(report: dict, text: str = "") -> list[dict]:
    """ssh-audit's JSON. text: what it says in words, where its JSON has no notes."""
    result, notes = [], ssh_audit_notes(text)
    for kind, words in KINDS.items():
        for item in report.get(kind) or []:
            item = item if isinstance(item, dict) else {"algorithm": item}
            opinion = notes.get((kind, item["algorithm"]), [])
            bad = [said for level in ("fail", "warn") for said in item.get("notes", {}).get(level, [])] + (opinion or [])
            held = None if opinion is None else not bad
            said = "; ".join(bad) or ("neither" if held else "it does not know it")
            result.append(control(f"ssh-audit:{kind}:{item['algorithm']}", f"The {words} {item['algorithm']} is a good one", "no failure and no warning",
                                  said, held, "medium", "ssh-audit", "ssh-audit 127.0.0.1"))  # fmt: skip
    cves = [entry.get("name", "?") for entry in report.get("cves") or []]
    result.append(control("ssh-audit:cves", "ssh-audit knows of no vulnerability of this version", "none", ", ".join(cves) or "none", not cves, "medium",
                          "ssh-audit", "ssh-audit 127.0.0.1"))  # fmt: skip
    # Two lists may name one algorithm, and a client's list is not the server's.
    return list({entry["id"]: entry for entry in result}.values())


def ssh_audit(config: dict) -> list[dict]:
    title, sshd = "ssh-audit has judged this host's sshd", config["declared"]["sshd"]
    # Its test of rates is left out where it has one: a host that refuses such a burst is right.
    known = common.run(["ssh-audit", "-h"]).out
    argv = ["ssh-audit", *(["--skip-rate-test"] if "--skip-rate-test" in known else []), "-p", str(sshd["port"])]
    told = common.run([*argv, "-j", sshd["address"]], config["scanner_seconds"])
    try:
        report = json.loads(told.out)
        noted = any("notes" in item for item in report["kex"] if isinstance(item, dict))
        return ssh_audit_controls(report, "" if noted else common.run([*argv, "-n", sshd["address"]], config["scanner_seconds"]).out)
    except (ValueError, KeyError):
        return missing("ssh-audit:ran", title, told.last or f"ssh-audit ended with {told.status}")


# --- debsums


def left_out(path: str, settings: str) -> bool:
    """Whether dpkg was told not to install this file (documentation, in small images): the last of its settings that matches speaks."""
    answer = False
    for word, pattern in re.findall(r"^\s*path-(exclude|include)\s*=\s*(\S+)", settings, re.MULTILINE):
        if fnmatch.fnmatchcase(path, pattern):
            answer = word == "exclude"
    return answer


def debsums_controls(out: str, err: str, status: int, settings: str = "") -> list[dict]:
    """What `debsums --changed` printed: files that are not their package's, and on the other stream those that are missing. 2 says that there are some."""
    changed = sorted(line.strip() for line in out.splitlines() if line.strip())
    gone = [path for path in re.findall(r"missing file (\S+)", err) if not left_out(path, settings)]
    bad = [*changed, *(f"{path} (missing)" for path in gone)]
    held = not bad and status in (0, 2)
    actual = ", ".join(bad[:8]) + (f" and {len(bad) - 8} more" if len(bad) > 8 else "") if bad else "the same" if held else f"debsums ended with {status}"
    return [control("debsums:files", "Installed programs are those of their packages", "the packages' checksums", actual, held, "high",
                    "debsums", "sudo debsums --changed")]  # fmt: skip


def debsums(config: dict) -> list[dict]:
    told = common.patiently(["debsums", "--changed"], config["scanner_seconds"])
    if told.status in (124, 127):
        return missing("debsums:files", "Installed programs are those of their packages", told.last)
    settings = "\n".join(common.read(path) for path in sorted(glob.glob("/etc/dpkg/dpkg.cfg.d/*")))
    return debsums_controls(told.out, told.err, told.status, settings)


SCANNERS = {"openscap": (openscap, "oscap"), "lynis": (lynis, "lynis"), "ssh-audit": (ssh_audit, "ssh-audit"), "debsums": (debsums, "debsums")}


def ask(name: str, config: dict) -> list[dict]:
    work, program = SCANNERS[name]
    if name == "openscap" and content_file() is None:
        return openscap(config)
    if not shutil.which(program, path=common.ENVIRONMENT["PATH"]):
        return missing(f"{name}:ran", f"{name} has judged this host", f"{program} is not installed: apply the role compliance")
    try:
        return work(config)
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        return missing(f"{name}:ran", f"{name} has judged this host", f"what it printed could not be read: {error}")


def enough_room(least_mb: int) -> str:
    """Nothing, or why the results would not fit."""
    free = os.statvfs(common.STATE)
    have = free.f_bavail * free.f_frsize // 1_000_000
    return "" if have >= least_mb else f"{common.STATE} has {have} MB free, and results need {least_mb} MB"
