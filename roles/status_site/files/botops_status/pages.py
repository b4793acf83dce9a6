"""The pages: HTML without a script and without anything from elsewhere, readable on a phone. Pure."""

from __future__ import annotations

import datetime
import html

from botops_status import charts
from botops_status.common import ago, epoch, iso
from botops_status.model import AREAS, LEVELS, TITLES, area_level, orders_per_minute, plural

SIGNS = {"ok": "✓", "warning": "!", "failed": "✕", "none": "–"}
WORDS = {"ok": "well", "warning": "a warning", "failed": "failed", "none": "does not apply"}
SHORT = {"system": "System", "ha": "HA", "backups": "Backups", "compliance": "Compliance", "releases": "Releases"}
ORDER = {"failed": 0, "warning": 1, "ok": 2, "none": 3}


def esc(value: object) -> str:
    return html.escape(str(value), quote=True)


def sign(level: str, hidden: bool = False) -> str:
    """A mark that is told by its form as well as by its colour; with words for those who hear the page."""
    said = 'aria-hidden="true"' if hidden else f'role="img" aria-label="{WORDS[level]}"'
    return f'<span class="sign {level}" {said}>{SIGNS[level]}</span>'


def moment(at: float | None, now: float, empty: str = "never") -> str:
    """A time as a person reads it: how long ago, and when exactly."""
    if not at:
        return esc(empty)
    when = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
    shown = when.strftime("%H:%M") if abs(now - at) < 43200 else when.strftime("%-d %b %H:%M") if abs(now - at) < 200 * 86400 else when.strftime("%-d %b %Y")
    words = f"{ago(now - at)} ago" if at <= now + 60 else f"in {ago(at - now)}"
    return f'<time datetime="{iso(at)}">{words} <span class="dim">({shown} UTC)</span></time>'


def size(amount: object) -> str:
    if not isinstance(amount, (int, float)):
        return "–"
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= step:
            return f"{amount / step:.1f} {unit}"
    return f"{amount:.0f} B"


def fresh(now: float, minutes: int) -> str:
    """A pattern of the minutes in which a page made now is not old, as `2026-11-28T(19:(41|42)|20:(00))`; shorter than what SSI takes (256)."""
    hours: dict[tuple[str, str], list[str]] = {}
    for offset in range(-1, minutes + 1):
        at = datetime.datetime.fromtimestamp(now + 60 * offset, datetime.timezone.utc)
        hours.setdefault((at.strftime("%Y-%m-%d"), at.strftime("%H")), []).append(at.strftime("%M"))
    return "|".join(f"{day}T{hour}:({'|'.join(minutes)})" for (day, hour), minutes in hours.items())


def old_notice(state: dict, minutes: int) -> str:
    """Said by the web server, which knows the time, when this page is read long after it was made: nothing else would tell that nobody looks any more."""
    when = datetime.datetime.fromtimestamp(state["epoch"], datetime.timezone.utc).strftime("%-d %b %H:%M UTC")
    words = f"<div class=old role=alert>OLD: this page was made {when} and not since. Type: systemctl status botops-status.timer</div>"
    return (
        '<!--#config timefmt="%Y-%m-%dT%H:%M" -->'
        f'<!--#if expr="$date_gmt != /^({fresh(state["epoch"], minutes)})/" --><!--#set var="old" value="{words}" -->'
        '<!--#echo var="old" encoding="none" --><!--#endif -->'
    )


def page(name: str, title: str, body: str, state: dict, minutes: int) -> str:
    up = "" if name == "index" else "../"
    links = [("index", "Overview", up or "./", state["verdict"])]
    links += [(area, SHORT[area], f"{up}{area}/", area_level(state["checks"], area)) for area in AREAS]
    shown = "".join(
        f'<li><a href="{href}"{" aria-current=page" if key == name else ""}>{sign(level)}<span>{label}</span></a></li>' for key, label, href, level in links
    )
    made = state["epoch"]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="robots" content="noindex">\n<title>{SIGNS[state["verdict"]]} {esc(title)} – {esc(state["host"])}</title>\n'
        f'<link rel="icon" href="data:,">\n<link rel="stylesheet" href="{up}style.css">\n</head>\n<body>\n<a class="skip" href="#main">To the content</a>\n'
        f'<header class="top"><div class="wrap"><div class="brand">{esc(state["host"])}<span>status</span></div>\n'
        f'<nav aria-label="Pages"><ul>{shown}</ul></nav></div></header>\n'
        f'<main id="main" class="wrap">{old_notice(state, minutes)}\n{body}\n</main>\n'
        f'<footer><div class="wrap">Made <time datetime="{iso(made)}">{iso(made)}</time> on {esc(state["host"])}; ages are as of then. '
        f'<a href="{up}metrics">Metrics for Prometheus</a> · <a href="{up}state.json">JSON</a></div></footer>\n</body>\n</html>\n'
    )


def row(entry: dict, where: str = "") -> str:
    """One check. Whoever is told that something is wrong is told what to type."""
    title = f'<a href="{where}">{esc(entry["title"])}</a>' if where else f"<b>{esc(entry['title'])}</b>"
    wrong = entry["level"] in ("failed", "warning")
    advice = f'<div class="advice"><code>{esc(entry["advice"])}</code></div>' if wrong and entry["advice"] else ""
    return f'<li class="row {entry["level"]}">{sign(entry["level"])}<div>{title}<br>{esc(entry["words"])}</div>{advice}</li>'


def rows(entries: list[dict], linked: bool = False) -> str:
    """Checks, the worst first. linked: each leads to the page of its area."""
    entries = sorted(entries, key=lambda entry: ORDER[entry["level"]])
    return '<ul class="rows checks">' + "".join(row(entry, f"{entry['area']}/" if linked else "") for entry in entries) + "</ul>"


def section(title: str, body: str) -> str:
    return f"<section><h2>{esc(title)}</h2>{body}</section>" if body else ""


def tiles(pairs: list[tuple[str, str]]) -> str:
    """Names and figures; a figure is HTML."""
    return '<dl class="tiles">' + "".join(f'<div class="tile"><dt>{esc(name)}</dt><dd>{figure}</dd></div>' for name, figure in pairs) + "</dl>"


def table(caption: str, heads: list[str], lines: list[list[str]], numbers: tuple[int, ...] = (), wide: tuple[int, ...] = ()) -> str:
    """Cells are HTML. It scrolls by itself where it is wider than a phone."""
    kind = {**{index: ' class="number"' for index in numbers}, **{index: ' class="wide"' for index in wide}}
    top = "".join(f'<th scope="col"{kind.get(index, "") if index in numbers else ""}>{esc(head)}</th>' for index, head in enumerate(heads))
    body = "".join("<tr>" + "".join(f"<td{kind.get(index, '')}>{cell}</td>" for index, cell in enumerate(line)) + "</tr>" for line in lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}"><table><caption>{esc(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def ends(points: list[tuple[float, float]]) -> tuple[str, str]:
    """The first and the last time of a chart in words."""
    if not points:
        return "", ""
    form = "%H:%M" if points[-1][0] - points[0][0] < 86000 else "%-d %b %H:%M" if points[-1][0] - points[0][0] < 4 * 86400 else "%-d %b"
    return tuple(datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime(form) for at in (points[0][0], points[-1][0]))


def order_charts(state: dict, samples: list[dict]) -> str:
    found = []
    for bot in state["bots"]:
        points = orders_per_minute(samples, bot["name"])
        if points:
            found.append(charts.chart(f"Orders a minute, {bot['name']}", "a minute", points, *ends(points)))
    return f'<div class="charts">{"".join(found)}</div>' if found else ""


# --- the pages ----------------------------------------------------------------------------------------------------


def overview(state: dict, samples: list[dict], peers: list[dict]) -> str:
    now = state["epoch"]
    hosts = [{"name": state["host"], "level": state["verdict"], "line": state["line"], "epoch": now, "url": ""}, *peers]
    worst = max((host["level"] for host in hosts), key=LEVELS.index)
    bad = [host for host in hosts if host["level"] == "failed"]
    words = {
        "ok": "Everything is all right",
        "warning": "It works, and something wants a look",
        "failed": f"{plural(len(bad), 'host')} of {len(hosts)} {'is' if len(bad) == 1 else 'are'} not all right" if len(hosts) > 1 else "Something is wrong",
    }[worst]
    said = [f'<div class="hero {worst}">{sign(worst, hidden=True)}<h1>{esc(words)}</h1></div>']
    lines = []
    for host in hosts:
        name = f'<a href="{esc(host["url"])}">{esc(host["name"])}</a>' if host.get("url") else esc(host["name"])
        lines.append(
            f'<li class="row {host["level"]}">{sign(host["level"])}<div><div class="head"><b>{name}</b><span class="dim">'
            f"{moment(host['epoch'], now, 'never heard')}</span></div>{esc(host['line'])}</div></li>"
        )
    said.append(section("Hosts" if len(hosts) > 1 else "This host", f'<ul class="rows">{"".join(lines)}</ul>'))
    wrong = [entry for entry in state["checks"] if entry["level"] in ("failed", "warning")]
    said.append(section("What is wrong here, and what to type", rows(wrong, linked=True) if wrong else ""))
    areas = []
    for area in AREAS:
        level = area_level(state["checks"], area)
        areas.append(
            f'<li><a class="tile" href="{area}/"><span class="name">{TITLES[area]}</span><span class="figure">{sign(level)}'
            f"<span>{esc(summary(state, area))}</span></span></a></li>"
        )
    said.append(section("What was looked at", f'<ul class="tiles">{"".join(areas)}</ul>'))
    said.append(section("Today", order_charts(state, samples)))
    return "\n".join(filter(None, said))


def summary(state: dict, area: str) -> str:
    """The one figure of an area."""
    mine = [entry for entry in state["checks"] if entry["area"] == area]
    wrong = [entry for entry in mine if entry["level"] in ("failed", "warning")]
    if not mine:
        return "not set up"
    if area == "compliance" and state["compliance"]:
        return f"{state['compliance']['score']} %"
    if area == "releases" and not wrong:
        running = sum(bot["active"] for bot in state["bots"])
        return f"{plural(running, 'bot')} {'runs' if running == 1 else 'run'}"
    return f"{len(wrong)} of {len(mine)} not well" if wrong else f"all {len(mine)} well" if len(mine) > 1 else "well"


def system_page(state: dict) -> str:
    found, now = state["system"], state["epoch"]
    said = ["<h1>System</h1>"]
    if found:
        memory = 100 * (1 - (found["memory_available_bytes"] or 0) / found["memory_bytes"]) if found["memory_bytes"] else None
        said.append(
            tiles(
                [
                    ("Runs", esc(found["os"] or "?")),
                    ("Kernel", esc(found["kernel"])),
                    ("Booted", moment(now - found["uptime_seconds"], now) if found["uptime_seconds"] else "?"),
                    ("Load", f"{found['load1']:.2f} <span class=dim>of {plural(found['processors'], 'processor')}</span>"),
                    ("Memory used", "?" if memory is None else f"{memory:.0f} %"),
                    ("Clock", "synchronized" if found["clock_synchronized"] else "nobody says that it is synchronized"),
                ]
            )
        )
    said.append(section("Checks", rows([entry for entry in state["checks"] if entry["area"] == "system"])))
    if found and found["certificates"]:
        lines = [[esc(entry["name"]), moment(epoch(entry["ends"]), now)] for entry in found["certificates"]]
        said.append(section("Certificates", table("Until when each certificate is valid", ["certificate", "ends"], lines)))
    if found and found["timers"]:
        said.append(
            section(
                "Timers", table("Timers of this collection", ["timer", "state"], [[esc(name), esc(value)] for name, value in sorted(found["timers"].items())])
            )
        )
    if state["notify"]:
        lines = [
            [esc(name), esc(entry["sent"]), esc(entry["waiting"]), esc(entry["lost"]), moment(epoch(entry["last_sent"]), now)]
            for name, entry in sorted(state["notify"].items())
        ]
        said.append(section("Messages", table("Where messages go", ["destination", "sent", "waiting", "lost", "last sent"], lines, (1, 2, 3))))
    return "\n".join(filter(None, said))


def ha_page(state: dict, samples: list[dict]) -> str:
    pair, now = state["pair"], state["epoch"]
    said = ["<h1>High availability</h1>"]
    mine = [entry for entry in state["checks"] if entry["area"] == "ha"]
    if not mine:
        said.append('<p class="card">This host is no member of a pair, and nothing of it is replicated.</p>')
    if pair and pair["answers"]:
        said.append(
            tiles(
                [
                    ("Active", esc(", ".join(pair["active"]) or "nobody")),
                    ("Standby", esc(", ".join(pair["standby"]) or "nobody")),
                    ("Quorum", "yes" if pair["quorate"] else "NO"),
                    ("Witness", esc(pair["witness"])),
                    ("Fencing", "automatic" if pair["automatic"] else "an operator confirms"),
                ]
            )
        )
    found = []
    for entry in state["replication"]:
        points = [(sample["time"], sample["lag"][entry["bot"]]) for sample in samples if entry["bot"] in sample["lag"]]
        if points:
            found.append(charts.chart(f"Replication lag, {entry['bot']}", "s", points, *ends(points)))
    said.append(f'<div class="charts">{"".join(found)}</div>' if found else "")
    said.append(section("Checks", rows(mine) if mine else ""))
    lines = [
        [
            esc(entry["bot"]),
            "active" if entry["active"] else "standby",
            esc(name),
            "not known" if figures["lag_seconds"] is None else f"{figures['lag_seconds']:.1f} s",
        ]
        for entry in state["replication"]
        for name, figures in sorted(entry["databases"].items())
    ]
    if lines:
        said.append(section("Databases", table("How far each database is behind", ["bot", "this host", "database", "behind"], lines, (3,))))
    if pair and pair["tests"]:
        lines = [
            [esc(name), moment(entry["epoch"], now), esc(entry["result"]), "–" if entry["seconds"] is None else f"{entry['seconds']} s"]
            for name, entry in sorted(pair["tests"].items())
        ]
        said.append(
            section("Fencing tests", table("When each member was last switched off for real", ["member", "when", "result", "until it was off"], lines, (3,)))
        )
    return "\n".join(filter(None, said))


def backups_page(state: dict) -> str:
    found, now = state["backups"], state["epoch"]
    said = ["<h1>Backups</h1>"]
    mine = [entry for entry in state["checks"] if entry["area"] == "backups"]
    if not mine:
        said.append('<p class="card">No backups are set up on this host.</p>')
    if found:
        said.append(
            tiles(
                [
                    ("Last run", moment(epoch(found["time"]), now)),
                    ("Verdict", esc(found["verdict"] or "?")),
                    ("It took", "?" if found["seconds"] is None else ago(found["seconds"])),
                    ("Last verified restore", moment(epoch(found["drill_last_good"]), now)),
                ]
            )
        )
    said.append(section("Checks", rows(mine) if mine else ""))
    if found and found["snapshots"]:
        lines = [
            [
                "this host" if entry["what"] == "@host" else esc(entry["what"]),
                esc(entry["repository"]),
                f"<code>{esc(entry['snapshot'])}</code>",
                size(entry["bytes"]),
                size(entry["added"]),
                f"{entry['seconds']} s",
            ]
            for entry in found["snapshots"]
        ]
        said.append(section("Snapshots", table("What the last run saved", ["what", "repository", "snapshot", "size", "new", "took"], lines, (3, 4, 5))))
    if found and found["restored"]:
        lines = [
            [
                esc(entry["bot"]),
                esc(entry["repository"]),
                esc(entry["verdict"]),
                "–" if entry["rpo_seconds"] is None else ago(entry["rpo_seconds"]),
                "–" if entry["rto_seconds"] is None else ago(entry["rto_seconds"]),
            ]
            for entry in found["restored"]
        ]
        said.append(
            section(
                "Restored for a test",
                table(f"What the drill of {found['drill_time'] or '?'} found", ["bot", "repository", "verdict", "data lost", "took"], lines, (3, 4)),
            )
        )
    return "\n".join(filter(None, said))


def compliance_page(state: dict) -> str:
    found, now = state["compliance"], state["epoch"]
    said = ["<h1>Compliance</h1>"]
    mine = [entry for entry in state["checks"] if entry["area"] == "compliance"]
    if not found:
        said.append('<p class="card">Nobody has compared this host with what was declared of it.</p>' if not mine else "")
    else:
        counts = found["counts"]
        said.append(
            tiles(
                [
                    ("Score", f"{found['score']} % <span class=dim>of at least {found['minimum']} %</span>"),
                    ("Hold", str(counts.get("pass", 0))),
                    ("Fail", str(counts.get("fail", 0))),
                    ("Waived", str(counts.get("waived", 0))),
                    ("Looked at", moment(epoch(found["time"]), now)),
                ]
            )
        )
        points = [(epoch(entry["time"]), entry["score"]) for entry in found["history"] if epoch(entry["time"]) and entry["score"] is not None]
        said.append(section("The last 90 days", f'<div class="charts">{charts.chart("Score", "%", points, *ends(points), None)}</div>' if points else ""))
    said.append(section("Checks", rows(mine) if mine else ""))
    if found and found["sources"]:
        lines = [
            [esc(name), "no verdict" if entry.get("score") is None else f"{entry['score']} %", *(esc(entry.get(key, 0)) for key in ("pass", "fail", "waived"))]
            for name, entry in sorted(found["sources"].items())
        ]
        said.append(section("Judges", table("What each judge says", ["judge", "score", "hold", "fail", "waived"], lines, (1, 2, 3, 4))))
    for status, title in (("fail", "Controls that fail"), ("waived", "Controls that are waived")):
        chosen = [entry for entry in (found or {}).get("controls", []) if entry["status"] == status]
        said.append(section(title, '<ul class="rows">' + "".join(control(entry) for entry in chosen) + "</ul>" if chosen else ""))
    if state["audit"]:
        audit = state["audit"]
        said.append(
            section(
                "Audit trail",
                tiles(
                    [
                        ("Events of a day", esc(audit["events"])),
                        ("Lost", esc(audit["lost"])),
                        ("Volume", f"{audit['mb_per_day']} <span class=dim>of {audit['budget_mb_per_day']} MB a day</span>"),
                        ("Looked at", moment(epoch(audit["time"]), now)),
                    ]
                ),
            )
        )
    return "\n".join(filter(None, said))


def control(entry: dict) -> str:
    level = "failed" if entry["status"] == "fail" else "warning"
    waiver = entry.get("waiver")
    more = f'<br><span class="dim">until {esc(waiver.get("until"))}, {esc(waiver.get("owner"))}: {esc(waiver.get("reason"))}</span>' if waiver else ""
    return (
        f'<li class="row {level}">{sign(level)}<div><b>{esc(entry["title"])}</b> <code>{esc(entry["id"])}</code><br>There is: {esc(entry["actual"])}. '
        f"Expected: {esc(entry['expected'])}.{more}</div></li>"
    )


def releases_page(state: dict, samples: list[dict], log: dict) -> str:
    now = state["epoch"]
    said = ["<h1>Bots and releases</h1>"]
    if not state["bots"]:
        said.append('<p class="card">No bot is deployed on this host.</p>')
    said.append(order_charts(state, samples))
    said.append(section("Checks", rows([entry for entry in state["checks"] if entry["area"] == "releases"]) if state["bots"] else ""))
    for bot in state["bots"]:
        ran = log.get(bot["name"]) or []
        back = next((entry for entry in reversed(ran) if entry["kind"] == "rollback"), None)
        health = bot["health"] or {}
        figures = [
            ("Release", f"<code>{esc(bot['release'] or 'none')}</code>"),
            ("Version", esc(bot["version"] or "?")),
            ("Trades", esc(bot["mode"] or "?")),
            ("Running since", moment(bot["started"], now, "does not run here")),
            ("Last deployment", moment(bot["deployed"], now)),
            ("Last rollback", moment(back["since"], now) if back else "none on record"),
            ("Paper trading on record", f"{bot['paper_seconds'] / 3600:.1f} h"),
            ("Last order", moment(health.get("last_order"), now, "not known")),
            ("Restarts by itself", "?" if bot["restarts"] is None else str(bot["restarts"])),
        ]
        if bot["live"]:
            figures.append(("Let trade live", moment(epoch(bot["live"]["time"]), now) + (" by override" if bot["live"]["override"] else "")))
        said.append(section(bot["name"], tiles(figures)))
        lines = [
            [esc(entry["kind"]), f"<code>{esc(entry['release'])}</code>", esc(entry["version"] or "?"), moment(entry["since"], now)] for entry in reversed(ran)
        ]
        if lines:
            said.append(table(f"What {bot['name']} has run, the newest first", ["how", "release", "version", "since"], lines))
    return "\n".join(filter(None, said))


def everything(state: dict, memory: dict, peers: list[dict], minutes: int) -> dict[str, str]:
    """{path below the site: its text}. minutes: how old a page may be before it says so."""
    samples = memory["samples"]
    bodies = {
        "index": ("Overview", overview(state, samples, peers)),
        "system": ("System", system_page(state)),
        "ha": ("High availability", ha_page(state, samples)),
        "backups": ("Backups", backups_page(state)),
        "compliance": ("Compliance", compliance_page(state)),
        "releases": ("Releases", releases_page(state, samples, memory["releases"])),
    }
    return {("index.html" if name == "index" else f"{name}/index.html"): page(name, title, body, state, minutes) for name, (title, body) in bodies.items()}
