"""What monit cannot ask by itself: clock, certificates, bots, timers, units. Each answer is remembered, so that only a change is told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import time
import urllib.error
import urllib.request

from notify import common

LEVELS = ("", "warning", "critical")
ROOT = pathlib.Path("/")
AGAIN = 2  # answers in a row that change a level; monit asks once in a cycle
NEAR = 0.9  # a value has to fall below this part of its threshold before it is well again


@dataclasses.dataclass
class Answer:
    """`what` it is about, its level ("" is well), and the figures in words. `near`: well, but not by enough to say so."""

    what: str
    level: str
    words: str
    near: str = ""


def level(value: float, warning: float, critical: float, below: bool = False) -> tuple[str, str]:
    """(level, level that it would keep): above a threshold, or below one; between a threshold and NEAR of it a level that was reached stays."""
    if below:
        value, warning, critical = -value, -warning, -critical

    def judged(slack):
        if value >= critical - abs(critical) * slack:
            return "critical"
        return "warning" if value >= warning - abs(warning) * slack else ""

    return judged(0), judged(1 - NEAR)


# --- the questions ----------------------------------------------------------------------------------------------


def clock(limits: dict, _now: float) -> list[Answer]:
    text = common.output(["chronyc", "-n", "-c", "tracking"])
    fields = text.strip().split(",")
    if len(fields) > 5 and fields[1] not in ("", "7F7F0101") and fields[0] != "00000000":
        offset = abs(float(fields[4])) * 1000
        reached, near = level(offset, *limits["clock_ms"])
        return [Answer("", reached, f"the clock is {offset:.1f} ms off", near)]
    # Nobody can say how wrong it is: only that nobody corrects it.
    synchronized = common.output(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).strip()
    if synchronized == "yes" or not synchronized:
        return [Answer("", "", "synchronized, by what timedatectl says")]
    return [Answer("", "warning", "the clock is not synchronized")] if limits.get("clock_required") else [Answer("", "", "not synchronized, and not asked for")]


def certificates(limits: dict, now: float) -> list[Answer]:
    found = []
    for pattern in limits["certificates"]:
        for path in sorted(ROOT.glob(pattern.lstrip("/"))):
            text = common.output(["openssl", "x509", "-noout", "-enddate", "-in", str(path)])
            ends = re.search(r"notAfter=(.+)", text)
            if not ends:
                continue
            days = (time.mktime(time.strptime(ends[1].replace(" GMT", "").strip(), "%b %d %H:%M:%S %Y")) - time.timezone - now) / 86400
            name = path.parent.name if path.name == "fullchain.pem" else path.name
            reached, _near = level(days, *limits["certificate_days"], below=True)
            found.append(Answer(name, reached, f"{name} is good for {days:.1f} days", reached))
    return found


def bots() -> dict:
    """{name: what bot_app wrote about it}."""
    return {path.parent.name[4:]: common.read_json(path) for path in sorted(ROOT.glob("etc/bot-*/bot.json"))}


def timed(url: str, seconds: float) -> tuple[float, dict]:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            raw = answer.read(65536)
    except urllib.error.HTTPError as error:
        raw = error.read(65536)
        if error.code >= 500:
            raise OSError(f"status {error.code}") from None
    took = (time.monotonic() - began) * 1000
    with contextlib.suppress(ValueError):
        value = json.loads(raw)
        return took, value if isinstance(value, dict) else {}
    return took, {}


def health(limits: dict, now: float) -> list[Answer]:
    """Of every bot that runs here: whether it answers, how fast, and how old its last order is."""
    found = []
    for name, about in bots().items():
        url = (about.get("health") or {}).get("url") or ""
        active = is_active(f"bot-{name}")
        if active not in ("active", "reloading") or not url.startswith(("http://127.", "http://localhost", "http://[::1]")):
            continue
        try:
            took, said = timed(url, limits["response_ms"][1] * 2 / 1000)
        except OSError as error:
            found.append(Answer(f"health:{name}", "critical", f"{name} does not answer: {error}"))
            continue
        found.append(Answer(f"health:{name}", "", f"{name} answers"))
        reached, near = level(took, *limits["response_ms"])
        found.append(Answer(f"response:bot-{name}", reached, f"{name} took {took:.0f} ms to answer", near))
        last = said.get("last_order") or said.get("last_order_at")
        if limits["order_minutes"] and isinstance(last, (int, float)) and last:
            age = (now - last) / 60
            reached, near = level(age, *limits["order_minutes"])
            found.append(Answer(f"orders:{name}", reached, f"the last order of {name} is {age:.0f} min old", near))
    return found


def restarts(limits: dict, now: float) -> list[Answer]:
    """How often each of our units was started again within the last hour, by systemd's own count, which we look at over time."""
    path = common.STATE / "restarts.json"
    seen, found = common.read_json(path), []
    text = common.output(["systemctl", "show", "--property=Id,NRestarts", "bot-*.service", "botops-*.service"])
    kept = {}
    for block in text.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = unit.get("Id", "")
        if not name or "botops-notify" in name:
            continue
        count = int(unit.get("NRestarts") or 0)
        history = [pair for pair in seen.get(name, []) if now - pair[0] < 3600 and pair[1] <= count]
        if not history or history[-1][1] != count:
            history.append([now, count])
        # The first look of this hour is where it is counted from.
        before = history[0][1] if len(history) > 1 or name in seen else count
        kept[name] = history
        reached, _near = level(count - before, *limits["restarts_per_hour"])
        if count - before or reached:
            found.append(Answer(name, reached, f"{name} was started again {count - before} times within the hour", reached))
        else:
            found.append(Answer(name, "", f"{name}: no restarts"))
    with contextlib.suppress(OSError):
        common.write_json(path, kept)
    return found


def timers(limits: dict, _now: float) -> list[Answer]:
    """Timers of bots and of ours that should run and do not: somebody stopped them, and nothing else would say so."""
    found = []
    text = common.output(["systemctl", "list-unit-files", "--type=timer", "--plain", "--no-legend", "bot-*.timer", "botops-*.timer"])
    for line in text.splitlines():
        name, _space, rest = line.partition(" ")
        health = re.fullmatch(r"bot-(.+)-health\.timer", name)
        # That of a bot's health check is started by its bot.
        wanted = is_active(f"bot-{health[1]}.service") == "active" if health else rest.split()[:1] == ["enabled"]
        if wanted:
            state = is_active(name)
            found.append(Answer(name, "" if state == "active" else "critical", f"{name} is {state or 'unknown'}"))
    return found


def is_active(unit: str) -> str:
    return common.output(["systemctl", "is-active", unit]).strip()


PROBES = {"clock": clock, "certificates": certificates, "bots": health, "restarts": restarts, "timers": timers}


# --- what changed -----------------------------------------------------------------------------------------------


def remembered(state: dict, answers: list[Answer]) -> list[tuple[Answer, list]]:
    """Each answer, with the levels that were reached or left: (level, whether it is over). One odd answer changes nothing."""
    out = []
    for answer in answers:
        known = state.setdefault(answer.what, {"level": "", "wanted": "", "times": 0})
        wanted = answer.level
        if LEVELS.index(wanted) < LEVELS.index(known["level"]) and answer.near == known["level"]:
            wanted = known["level"]
        if wanted == known["level"]:
            known.update(wanted=wanted, times=0)
            out.append((answer, []))
            continue
        known["times"] = known["times"] + 1 if known["wanted"] == wanted else 1
        known["wanted"] = wanted
        changes = []
        if known["times"] >= AGAIN:
            before = known["level"]
            known.update(level=wanted, times=0)
            if LEVELS.index(wanted) > LEVELS.index(before):
                changes.append((wanted, False))
            else:
                changes.append((before, True))
        out.append((answer, changes))
    return out


def run(name: str, limits: dict, now: float) -> list[tuple[Answer, list]]:
    path = common.STATE / f"probe-{name}.json"
    state = common.read_json(path)
    answers = PROBES[name](limits, now)
    for gone in set(state) - {answer.what for answer in answers}:
        del state[gone]
    out = remembered(state, answers)
    with contextlib.suppress(OSError):
        common.write_json(path, state)
    return out
