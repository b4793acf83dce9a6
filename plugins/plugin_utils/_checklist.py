# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The go-live checklist: what was seen on the hosts, what a person said, and what is left to do. Pure."""

from __future__ import annotations

import datetime
import fnmatch
import re
from xml.etree import ElementTree

from ansible_collections.botops.fleet.plugins.plugin_utils._compliance_report import plain

PHASES = {"before": "Before the deployment", "day": "On the day", "after": "After the deployment"}
# A word is given for half a year: telephone numbers and colleagues change.
CONFIRMED_DAYS = 180
FENCE_TEST_DAYS = 90
# As galaxy_info of the role hardening has them.
SYSTEMS = {"Debian": ("12", "13"), "Ubuntu": ("22.04", "24.04")}
# What the roles' tasks_from: verify.yml register.
REGISTERED = tuple("__%s_verify" % role for role in ("hardening", "docker_host", "bot_app", "nginx", "haproxy_vip", "ha_cluster", "backups", "notify",
                                                     "auditd", "cloudwatch_agent", "compliance", "status_site"))  # fmt: skip
DONE = ("pass", "waived", "confirmed")
MARKS = {"pass": "ok  ", "fail": "FAIL", "waived": "WAIV", "confirmed": "said", "open": "SAY ", "absent": "--  "}


def _seen(phase, name, title, patterns, declare):
    """A point that the hosts answer: ids of host_checks, and what to declare where nothing answers."""
    return {"id": name, "phase": phase, "title": title, "patterns": patterns, "declare": declare, "ask": ""}


def _said(phase, name, title, ask):
    """A point that only a person can answer."""
    return {"id": name, "phase": phase, "title": title, "patterns": (), "declare": "", "ask": ask}


ITEMS = (
    _seen("before", "system", "Every host has a system that this collection is tested on", ("system",), ""),
    _seen("before", "clock", "Every clock is disciplined", ("time",), "hardening_time_sync"),
    _seen("before", "ssh", "Nobody logs in as root or by password, and guessers are banned", ("ssh-*", "bans", "rollback"), ""),
    _seen("before", "firewall", "The firewall is on, and published ports go through it", ("firewall*", "port-policy"), ""),
    _seen("before", "host", "Wrong passwords lock, updates come by themselves, and services work with what was written",
          ("login-stack", "updates", "taken-over"), ""),
    _seen("before", "engine", "The container engine runs, and containers outlive its restart", ("engine*", "live-restore"), "the group docker_hosts"),
    _seen("before", "secrets", "What is secret is closed to other users", ("*-secrets",), "bot_app_bots"),
    _seen("before", "sandbox", "Bots run in a tight sandbox", ("bot-*-sandbox",), "bot_app_bots with mode: systemd"),
    _seen("before", "certificates", "Certificates are valid for two more weeks", ("certificate-*",), "nginx_sites with a certificate"),
    _seen("before", "proxy", "The way in works with what is declared", ("proxy*",), "the group web_hosts, or haproxy_vip_address"),
    _seen("before", "cluster", "The pair has a quorum and its witness, and nothing of it failed", ("cluster-*",), "the group cluster_witness"),
    _seen("before", "fencing", "Switching a member off was tried for real", ("fencing-*",), "ha_cluster_fencing"),
    _seen("before", "replication", "What arrives at the other member can be restored, and it has the same release", ("replica-*",),
          "the group cluster_witness"),
    _seen("before", "alerts", "Alerts are sent, and every destination takes them", ("notify-*",), "notify_destinations"),
    _seen("before", "audit", "Privileged acts are on record", ("auditd-*",), "auditd_enabled: true, which is the default, and a host that is no container"),
    _seen("before", "cloudwatch", "Logs and figures reach CloudWatch", ("cloudwatch-*",), "the group cloudwatch_hosts"),
    _seen("before", "compliance", "Every host is as declared, as far as it can say so in a second", ("compliance-*",), "compliance_enabled: true"),
    _seen("before", "status", "The status site is there and not old", ("status-*",), "status_site_enabled: true"),
    _said("before", "wallets", "Keys and wallets are those of this system, with the limits that they shall have",
          "which keys and wallets trade here, and which limits the exchange has for them"),
    _said("before", "mfa", "Accounts at the exchange, the cloud and the registrar have a second factor", "who holds the second factor of each account"),
    _said("before", "network-diagram", "There is a drawing of who talks to whom, and it is true", "where the drawing lies"),
    _said("day", "staging", "This release ran where no money is", "which release, where, and for how long"),
    _seen("day", "backup", "The last backup is young, and a restore was verified", ("backup-*",), "backups_repositories"),
    _said("day", "rollback-plan", "Whoever is on duty has typed the way back once", "who typed `deploy.yml -e rollback=previous`, and where"),
    _said("day", "contacts", "Whoever is called at night is known and answers", "who is called first, and who when the first does not answer"),
    _seen("after", "bots", "Every bot runs where it shall, and says that it is well", ("bot-*",), "bot_app_bots"),
    _said("after", "trading", "The exchange's own list shows the orders that were expected, once each", "who compared, and from when to when"),
)  # fmt: skip


# --- what the hosts said ------------------------------------------------------------------------------------


def _result(name, title, passed, expected, actual):
    return {"id": name, "title": title, "passed": bool(passed), "expected": str(expected), "actual": str(actual)}


def system(facts):
    """The host's system as a result."""
    name, version = facts.get("distribution", "unknown"), str(facts.get("distribution_version", ""))
    passed = any(version == entry or version.startswith(entry + ".") for entry in SYSTEMS.get(name, ()))
    expected = "; ".join("%s %s" % (each, ", ".join(versions)) for each, versions in SYSTEMS.items())
    return _result("system", "The system is one of those that are tested", passed, expected, ("%s %s" % (name, version)).strip())


def pair_points(cluster, member, bots, now):
    """What a member's own view of the pair comes to, as results of host_checks. `now`: seconds since the epoch."""
    title = "The cluster answers on this member"
    if not cluster.get("answers"):
        return [_result("cluster-answers", title, False, "it runs", cluster.get("why") or "it was not asked")]
    found = [
        _result("cluster-answers", title, True, "it runs", "it runs"),
        _result("cluster-quorum", "The cluster has a quorum", cluster["quorate"], "yes", "yes" if cluster["quorate"] else "no"),
        _result("cluster-witness", "The witness votes", cluster["witness"] == "connected", "connected", cluster["witness"]),
        _result("cluster-members", "Both members are there", not cluster["lost"], "nobody is lost", ", ".join(cluster["lost"]) or "nobody is lost"),
    ]
    left = [each["resource"] + " on " + each["node"] for each in cluster["failures"] if each["banned"]] + cluster["failed"]
    found.append(_result("cluster-clean", "Nothing failed, and no member is left out", not left, "nothing", ", ".join(left) or "nothing"))
    looks = "no" if cluster["maintenance"] else "yes"
    found.append(_result("cluster-looks", "The cluster looks after what it runs", not cluster["maintenance"], "yes", looks))
    record = cluster["fence_tests"].get(member) or {}
    age = (now - record["epoch"]) / 86400 if record.get("epoch") else None
    said = "never tried" if age is None else "%s, %d days ago" % (record.get("result"), age)
    found.append(_result("fencing-" + member, "Switching %s off was tried for real" % member, record.get("result") == "ok" and age <= FENCE_TEST_DAYS,
                         "ok, at most %d days ago" % FENCE_TEST_DAYS, said))  # fmt: skip
    for bot in bots if member not in cluster["active"] else ():
        restorable = ((cluster["bots"].get(bot) or {}).get("replication") or {}).get("restorable") or {}
        broken = sorted("%s: %s" % (name, state["reason"]) for name, state in (restorable.get("databases") or {}).items() if state.get("reason"))
        found.append(_result("replica-" + bot, "What arrived of %s can be restored" % bot, bool(restorable) and not broken, "it can",
                             "; ".join(broken) or ("it can" if restorable else "nothing is known of it")))  # fmt: skip
    return found


def same_release(views, bots):
    """Whether both members would run the same, as one result a bot. `views`: {member: its view}."""
    found = []
    for bot in bots:
        releases = {member: ((view.get("bots") or {}).get(bot) or {}).get("release") or "none" for member, view in views.items() if view.get("answers")}
        passed = len(releases) > 1 and len(set(releases.values())) == 1 and "none" not in releases.values()
        said = ", ".join("%s has %s" % pair for pair in sorted(releases.items())) or "no member answered"
        found.append(_result("replica-release-" + bot, "Both members have the same release of %s" % bot, passed, "the same on both", said))
    return found


def gather(names, hostvars):
    """(results of every host, hosts whose look did not come to its end)."""
    results, missing, views, bots = [], [], {}, set()
    for name in names:
        its = hostvars[name]
        seen = [entry for variable in REGISTERED for entry in (its.get(variable) or {}).get("results") or ()]
        if not its.get("__verify_whole"):
            missing.append(name)
        if its.get("ansible_facts"):
            seen.append(system(its["ansible_facts"]))
        results += [dict(entry, host=name) for entry in seen]
        cluster = (its.get("__ha_cluster_status") or {}).get("cluster")
        if cluster:
            views[name] = cluster
            bots.update(cluster.get("bots") or {})
    if views:
        results += [dict(entry, host=" and ".join(sorted(views))) for entry in same_release(views, sorted(bots))]
    return results, missing


# --- what a person said -------------------------------------------------------------------------------------

TITLE = "# What persons confirmed of the go-live checklist\n\nWritten by `playbooks/verify.yml -e confirm=ID -e by=NAME`; read by every later run.\n"
HEAD = "\n| what | who | when | words |\n|---|---|---|---|\n"
ROW = re.compile(r"^\| *([a-z-]+) *\| *([^|]+?) *\| *(\d{4}-\d\d-\d\d) *\| *([^|]*?) *\|$", re.M)


def confirmed(text):
    """{id: {by, on, words}}: the last word of each. A row without a real day counts for nothing."""
    return {name: {"by": by, "on": on, "words": words} for name, by, on, words in ROW.findall(text or "") if _day(on)}


def confirm(text, names, by, words, today):
    """The file with another row for each of `names` (comma-separated), or ValueError with a sentence."""
    known = [item["id"] for item in ITEMS if item["ask"]]
    wanted = [name.strip() for name in str(names).split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError("confirm: %s is nothing that a person says; write one of %s." % (unknown[0], ", ".join(known)))
    for name, value in (("by", by), ("words", words)):
        if "|" in value or "\n" in value:
            raise ValueError("%s: it is a cell of a table; leave out the bar (|) and the end of a line." % name)
    if not by.strip():
        raise ValueError("by: whoever confirms %s gives a name; write -e \"by='FIRST LAST'\"." % ", ".join(wanted))
    rows = "".join("| %s | %s | %s | %s |\n" % (name, by.strip(), today, words.strip()) for name in wanted)
    return ((text.rstrip("\n") + "\n") if (text or "").strip() else TITLE + HEAD) + rows


def refusals(waivers):
    """Sentences about `checklist_waivers`, a list of {id, reason, owner, until}."""
    if not isinstance(waivers, list):
        return ["checklist_waivers: write a list of entries with id, reason, owner and until."]
    said, known = [], [item["id"] for item in ITEMS]
    for index, entry in enumerate(waivers):
        where = "checklist_waivers[%d]" % index
        missing = [key for key in ("id", "reason", "owner", "until") if not (isinstance(entry, dict) and str(entry.get(key) or "").strip())]
        if missing:
            said.append("%s.%s: it is missing; a waiver has an id, a reason, an owner and a day on which it ends (until: 2027-01-31)." % (where, missing[0]))
        elif entry["id"] not in known:
            said.append("%s.id: %s is no point of the checklist; write one of %s." % (where, entry["id"], ", ".join(known)))
        elif not _day(entry["until"]):
            said.append("%s.until: %s is no day; write it as 2027-01-31." % (where, entry["until"]))
    return said


# --- together -----------------------------------------------------------------------------------------------


def _matches(item, entry):
    return any(fnmatch.fnmatchcase(entry["id"], pattern) for pattern in item["patterns"])


def waives(waiver, today):
    return bool(waiver) and str(waiver["until"]) >= today


def _answer(item, results, record, today):
    """(status, evidence) of a point before waivers."""
    if item["ask"]:
        if not record:
            # Without single quotes, which the YAML of Ansible's output doubles: it is there to be copied.
            return "open", 'a person must say %s: -e confirm=%s -e "by=\\"NAME\\"" -e "words=\\"…\\""' % (item["ask"], item["id"])
        said = "%s on %s%s" % (record["by"], record["on"], ": " + record["words"] if record["words"] else "")
        age = (_day(today) - _day(record["on"])).days
        return ("confirmed", said) if age <= CONFIRMED_DAYS else ("open", "said %d days ago, by %s; it is to be said again: -e confirm=%s" % (
            age, record["by"], item["id"]))  # fmt: skip
    matched = [entry for entry in results if _matches(item, entry)]
    if not matched:
        return "absent", "nothing to look at" + (": declare " + item["declare"] if item["declare"] else "")
    bad = [entry for entry in matched if not entry["passed"]]
    if bad:
        return "fail", "; ".join("%s: %s: %s (expected %s)" % (entry["host"], entry["title"], entry["actual"], entry["expected"]) for entry in bad)
    hosts = sorted({entry["host"] for entry in matched})
    return "pass", "%d of %d points hold on %s" % (len(matched), len(matched), ", ".join(hosts))


def _day(text):
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        return None


def checklist(results, confirmations, waivers, today, missing=()):
    """The checklist with an answer to each point.

    results: entries of host_checks with their C(host); confirmations: the text of confirmed.md; waivers: a list of {id, reason, owner, until};
    today: C(2026-01-31); missing: hosts that were not reached, or whose look was cut off.
    """
    said, waived, items = confirmed(confirmations), {entry["id"]: entry for entry in waivers}, []
    for item in ITEMS:
        status, evidence = _answer(item, results, said.get(item["id"]), today)
        waiver = waived.get(item["id"])
        if waiver and status not in DONE:
            words = "%s by %s: %s" % (waiver["until"], waiver["owner"], waiver["reason"])
            status, evidence = ("waived", "until %s (%s)" % (words, evidence)) if waives(waiver, today) else (
                "fail", "the waiver ended on %s (%s)" % (words, evidence))  # fmt: skip
        items.append({key: item[key] for key in ("id", "phase", "title")} | {"status": status, "evidence": evidence})
    if missing:
        items.insert(0, {"id": "reached", "phase": "before", "title": "Every host was looked at", "status": "fail",
                         "evidence": "%s: not reached, or the look was cut off; see above" % ", ".join(missing)})  # fmt: skip
    return {
        "version": 1, "time": today, "items": items,
        "failed": [item["id"] for item in items if item["status"] == "fail"],
        "open": [item["id"] for item in items if item["status"] in ("open", "absent")],
        # Ids of host_checks that a waiver that has not ended speaks for.
        "waived_checks": sorted({entry["id"] for item in ITEMS for entry in results if _matches(item, entry) and waives(waived.get(item["id"]), today)}),
    }  # fmt: skip


def lines(found):
    """As an operator reads it."""
    said, width = [], max(len(item["id"]) for item in found["items"])
    for phase, title in PHASES.items():
        said += ["", title]
        said += ["  %s  %-*s  %s: %s" % (MARKS[item["status"]], width, item["id"], item["title"], item["evidence"])
                 for item in found["items"] if item["phase"] == phase]  # fmt: skip
    done = sum(item["status"] in DONE for item in found["items"])
    return [*said[1:], "", "%d of %d points hold, %d fail, %d are open" % (done, len(found["items"]), len(found["failed"]), len(found["open"]))]


def markdown(found):
    """For a change's ticket."""
    def cell(text):
        return " ".join(text.split()).replace("|", "\\|")

    said = ["# Go-live checklist, %s" % found["time"]]
    for phase, title in PHASES.items():
        said += ["", "## " + title, "", "| | point | evidence |", "|---|---|---|"]
        said += ["| %s | **%s** %s | %s |" % (item["status"], item["id"], cell(item["title"]), cell(item["evidence"]))
                 for item in found["items"] if item["phase"] == phase]  # fmt: skip
    return "\n".join(said) + "\n"


def junit(found):
    """What is open is skipped, with the words for it."""
    top = ElementTree.Element("testsuites", name="checklist")
    for phase, title in PHASES.items():
        items = [item for item in found["items"] if item["phase"] == phase]
        counts = {status: sum(item["status"] == status for item in items) for status in MARKS}
        suite = ElementTree.SubElement(top, "testsuite", name=title, tests=str(len(items)), failures=str(counts["fail"]), errors="0",
                                       skipped=str(counts["open"] + counts["absent"] + counts["waived"]), timestamp=found["time"] + "T00:00:00")  # fmt: skip
        for item in items:
            case = ElementTree.SubElement(suite, "testcase", classname="checklist." + phase, name=item["id"])
            if item["status"] == "fail":
                ElementTree.SubElement(case, "failure", message=item["title"]).text = plain(item["evidence"])
            elif item["status"] in ("open", "absent", "waived"):
                ElementTree.SubElement(case, "skipped", message=plain(item["evidence"]))
    ElementTree.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(top, encoding="unicode") + "\n"
