# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The evidence of all hosts as one report: for people (HTML), for programs (JSON), for a continuous integration (JUnit). Pure."""

from __future__ import annotations

import base64
import datetime
import html
import json
import re
from xml.etree import ElementTree

# A daily look, its jitter and the time that it takes.
OLD_HOURS = 27
ORDER = {"fail": 0, "waived": 1, "pass": 2, "not_applicable": 3}
GRAVITY = {"high": 0, "medium": 1, "low": 2}
NAMES = {"fail": "fails", "waived": "waived", "pass": "holds", "not_applicable": "does not apply"}
MANY = {"fail": "fail", "waived": "waived", "pass": "hold", "not_applicable": "do not apply"}
# Characters that XML 1.0 cannot hold.
UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def evidence(names, hostvars):
    """{host: the object of its compliance.json, or {error: a sentence}}, out of what playbooks/compliance.yml registered of each."""
    found = {}
    for name in names:
        looked, said = (hostvars[name].get(variable) or {} for variable in ("__compliance_looked", "__compliance_evidence"))
        if looked.get("rc"):
            words = next(iter(looked.get("stderr_lines") or []), "")
            found[name] = {"error": "the look did not end well: %s; journalctl -u botops-compliance" % words}
        elif said.get("content"):
            found[name] = json.loads(base64.b64decode(said["content"]))
        else:
            found[name] = {"error": "it was not reached"} if said.get("unreachable", not said) else {}
    return found


def percent(controls):
    held, failed = (sum(entry["status"] == status for entry in controls) for status in ("pass", "fail"))
    return round(100 * held / (held + failed), 1) if held + failed else 0.0


def one_host(name, evidence, now):
    """A host's evidence with what the report adds: `problems` also of a host that said nothing, or nothing lately."""
    if not evidence.get("controls"):
        said = evidence.get("error") or "nobody has looked at it; apply the role compliance"
        return {"host": name, "verdict": "failed", "problems": [said], "score": None, "controls": [], "history": [], "sources": {}, "time": None}
    age = (now - moment(evidence["time"])).total_seconds() / 3600
    problems = list(evidence["problems"])
    if age > OLD_HOURS:
        problems.append("it was looked at %.0f hours ago, and not since" % age)
    controls = sorted(evidence["controls"], key=lambda entry: (ORDER[entry["status"]], GRAVITY[entry["severity"]], entry["id"]))
    return {**evidence, "host": name, "problems": problems, "verdict": "failed" if problems else "ok", "controls": controls}


def report(evidence, now):
    """evidence: {host: the object of its compliance.json, or {error: a sentence}}; now: C(2026-01-31T05:00:00Z)."""
    hosts = [one_host(name, evidence[name] or {}, moment(now)) for name in sorted(evidence)]
    everything = [entry for host in hosts for entry in host["controls"]]
    return {
        "source": "botops.fleet compliance", "time": now, "score": percent(everything),
        "verdict": "ok" if hosts and all(host["verdict"] == "ok" for host in hosts) else "failed",
        "counts": {status: sum(entry["status"] == status for entry in everything) for status in ORDER}, "hosts": hosts,
    }  # fmt: skip


def lines(found):
    """One line a host, and one for each control that stops it."""
    said = []
    for host in found["hosts"]:
        mark = "ok  " if host["verdict"] == "ok" else "FAIL"
        said.append("%s  %s: %s%s" % (mark, host["host"], points(host), "".join("; " + problem for problem in host["problems"])))
        for entry in host["controls"]:
            if entry["status"] == "fail" and entry["severity"] == "high":
                said.append("      %s: %s (expected %s)" % (entry["id"], entry["actual"], entry["expected"]))
    return said


# --- JUnit


def junit(found):
    """A suite for each host, a case for each control; what is waived or does not apply is skipped, with the words for it."""
    top = ElementTree.Element("testsuites", name="compliance")
    for host in found["hosts"]:
        controls = host["controls"] or [unreached(host)]
        skipped = sum(entry["status"] in ("waived", "not_applicable") for entry in controls)
        failed = sum(entry["status"] == "fail" for entry in controls)
        suite = ElementTree.SubElement(top, "testsuite", name=host["host"], tests=str(len(controls)), failures=str(failed), skipped=str(skipped), errors="0",
                                       timestamp=(host["time"] or found["time"]).rstrip("Z"))  # fmt: skip
        for entry in controls:
            case = ElementTree.SubElement(suite, "testcase", classname="%s.%s" % (host["host"], entry["source"]), name=plain(entry["id"]))
            if entry["status"] == "fail":
                words = plain("%s (expected %s)" % (entry["actual"], entry["expected"]))
                failure = ElementTree.SubElement(case, "failure", type=entry["severity"], message=words)
                failure.text = plain("%s\n%s" % (entry["title"], entry["evidence"]))
            elif entry["status"] != "pass":
                ElementTree.SubElement(case, "skipped", message=plain(waived(entry) or entry["actual"]))
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"


def unreached(host):
    return {
        "id": "looked", "title": "The host was looked at", "expected": "a verdict", "actual": "; ".join(host["problems"]), "status": "fail",
        "severity": "high", "source": "botops", "evidence": "", "waiver": None,
    }  # fmt: skip


def plain(text):
    return UNPRINTABLE.sub("?", text)


def waived(entry):
    """The waiver in words, or nothing."""
    waiver = entry.get("waiver")
    if not waiver:
        return ""
    return "%s %s by %s: %s" % ("waiver ended" if waiver.get("expired") else "waived until", waiver["until"], waiver["owner"], waiver["reason"])


# --- HTML

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --good: #116329; --bad: #b3261e; --some: #7a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --text: #e6edf3; --dim: #9da7b3; --line: #30363d; --good: #56d364; --bad: #ff8a80; --some: #e3b341; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 0; } p { margin: .25rem 0; }
.dim { color: var(--dim); font-size: .9rem; } .ok { color: var(--good); } .failed, .fail { color: var(--bad); } .waived { color: var(--some); }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
.head { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: center; }
ul { list-style: none; margin: .5rem 0; padding: 0; } li { padding: .4rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
code { font-size: .9em; } b { font-weight: 600; } summary { cursor: pointer; padding: .5rem 0; }
nav a { display: inline-block; padding: .25rem .75rem .25rem 0; color: inherit; }
svg { width: 9rem; height: 2rem; } svg polyline { fill: none; stroke: currentColor; stroke-width: 2; }
"""


def points(host):
    return "no score" if host["score"] is None else "%s %%" % host["score"]


def text(value):
    return html.escape(plain(str(value)), quote=True)


def page(found):
    """One file: no scripts, nothing from elsewhere."""
    words = "Every host is as declared" if found["verdict"] == "ok" else "%d of %d hosts are not as declared" % (
        sum(host["verdict"] != "ok" for host in found["hosts"]), len(found["hosts"]))  # fmt: skip
    anchors = {host["host"]: "host-%d" % number for number, host in enumerate(found["hosts"], 1)}
    link = '<a href="#%s" class="%s">%s: %s</a>'
    links = "".join(link % (anchors[host["host"]], host["verdict"], text(host["host"]), points(host)) for host in found["hosts"])
    body = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Compliance: %s %%</title>\n<style>%s</style>\n</head>\n<body>\n<header>" % (found["score"], STYLE),
        '<h1 class="%s">%s</h1>' % (found["verdict"], text(words)),
        "<p>Score %s %%: %d controls hold, %d fail, %d are waived, %d do not apply.</p>" % (
            found["score"], found["counts"]["pass"], found["counts"]["fail"], found["counts"]["waived"], found["counts"]["not_applicable"]),
        '<p class="dim">Put together at <time datetime="%s">%s</time></p>' % (found["time"], found["time"]),
        '<nav aria-label="Hosts">%s</nav>\n</header>\n<main>' % links,
    ]  # fmt: skip
    body += [section(host, anchors[host["host"]]) for host in found["hosts"]]
    return "\n".join([*body, "</main>\n</body>\n</html>\n"])


def section(host, anchor):
    title = '<h2 class="%s">%s: %s</h2>' % (host["verdict"], text(host["host"]), points(host))
    said = ['<section id="%s">' % anchor, '<div class="head">%s%s</div>' % (title, trend(host["history"]))]
    said += ['<p class="failed">%s</p>' % text(problem) for problem in host["problems"]]
    if host["time"]:
        said.append('<p class="dim">Looked at <time datetime="%s">%s</time>. %s</p>' % (host["time"], host["time"], text(judges(host["sources"]))))
    for status in ORDER:
        chosen = [entry for entry in host["controls"] if entry["status"] == status]
        if not chosen:
            continue
        items = "<ul>%s</ul>" % "".join(map(item, chosen))
        title = '<b class="%s">%d %s</b>' % (status, len(chosen), MANY[status])
        # What is wrong is open at once; the rest is a touch away, without a script.
        said.append("<details%s><summary>%s</summary>%s</details>" % (" open" if status in ("fail", "waived") else "", title, items))
    return "\n".join([*said, "</section>"])


def judges(sources):
    return ", ".join("%s %s" % (name, "no verdict" if found["score"] is None else "%s %%" % found["score"]) for name, found in sorted(sources.items()))


def item(entry):
    said = ['<b class="%s">%s</b> <code>%s</code> <span class="dim">%s, %s</span>' % (
        entry["status"], NAMES[entry["status"]], text(entry["id"]), text(entry["severity"]), text(entry["source"]))]  # fmt: skip
    said.append(text(entry["title"]))
    said.append("There is: %s. Expected: %s." % (text(entry["actual"]), text(entry["expected"])))
    if entry.get("waiver"):
        said.append('<span class="waived">%s</span>' % text(waived(entry)))
    if entry["status"] == "fail" and entry["evidence"]:
        said.append("<code>%s</code>" % text(entry["evidence"]))
    return "<li>%s</li>" % "<br>".join(said)


def trend(history):
    """The scores as a line, from the first entry to the last; nothing of one entry."""
    if len(history) < 2:
        return ""
    scores = [entry["score"] for entry in history]
    low, high = min(scores), max(scores)
    line = " ".join("%.1f,%.1f" % (100 * number / (len(scores) - 1), 18 - 16 * (score - low) / ((high - low) or 1)) for number, score in enumerate(scores))
    words = "Score of %d looks since %s: from %s to %s percent" % (len(history), history[0]["time"][:10], scores[0], scores[-1])
    return '<svg viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label="%s"><polyline points="%s"/></svg>' % (words, line)
