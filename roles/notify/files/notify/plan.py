"""What is sent when: equal events in one message, no more than a phone can bear, patience with a provider. Pure: the time is an argument."""

from __future__ import annotations

from notify import common

TELL_OTHERS = 3  # refusals in a row after which the other destinations hear of it
FORGET = 3600  # seconds without an equal event after which the next one rings at once
BURST = 15  # messages that a destination takes in one go before the hourly limit counts
FIRST_WAIT, LONGEST_WAIT = 5, 900  # seconds between attempts at a provider that refuses
DIGEST_LINES = 12


class Keys:
    """Equal events. The first one rings; later ones are counted, and the count is told after `steps` seconds, then again after the next."""

    def __init__(self, known: dict, steps: list[int]):
        self.known, self.steps = known, steps

    def admit(self, event: dict) -> bool:
        """Whether this one is a message of its own; else it was counted."""
        if event.get("clears"):
            self.known.pop(event["clears"], None)
        entry = self.known.get(event["key"])
        if event.get("only") or event.get("count"):
            return True
        if entry is None or event["time"] - entry["last"] > FORGET:
            self.known[event["key"]] = {
                "severity": event["severity"], "subject": event["subject"], "body": event["body"], "last": event["time"], "held": 0, "step": 0,
                "since": event["time"], "due": event["time"] + self.steps[0],
            }  # fmt: skip
            return True
        entry.update(held=entry["held"] + 1, last=event["time"], body=event["body"])
        return False

    def tell(self, now: float) -> list[dict]:
        """Counts that are due, as events; what was quiet for long is forgotten."""
        found = []
        for key, entry in sorted(self.known.items()):
            if now < entry["due"]:
                continue
            if entry["held"]:
                found.append(
                    {
                        "time": now, "severity": entry["severity"], "key": key, "clears": "", "count": entry["held"],
                        "subject": f"{entry['held']} more: {entry['subject']}",
                        "body": f"equal events since {common.clock(entry['since'])} UTC, the last one at {common.clock(entry['last'])} UTC\n{entry['body']}",
                    }
                )  # fmt: skip
                entry["step"] = min(entry["step"] + 1, len(self.steps) - 1)
                entry.update(held=0, since=now, due=now + self.steps[entry["step"]])
            elif now - entry["last"] > FORGET:
                del self.known[key]
        return found

    def next_due(self) -> float | None:
        return min((entry["due"] for entry in self.known.values() if entry["held"]), default=None)


def fresh_destination() -> dict:
    return {"fails": 0, "next": 0, "tokens": float(BURST), "filled": 0, "sent": 0, "lost": 0, "last_sent": 0, "last_error": "", "failing_since": 0}


def refill(state: dict, now: float, per_hour: int) -> None:
    passed = max(0.0, now - state["filled"]) if state["filled"] else 0.0
    state["tokens"] = min(float(BURST), state["tokens"] + passed * per_hour / 3600)
    state["filled"] = now


def choose(pending: list, state: dict) -> list:
    """Of (name, event) pairs those that are one message now: one of them, or all when there are more than may be sent singly."""
    if not pending:
        return []
    asked = [pair for pair in pending if pair[1].get("only")]
    if asked:
        return asked[:1]
    if state["tokens"] < 1:
        return []
    # The last message that may be sent says everything.
    if len(pending) > 1 and state["tokens"] < 2:
        return pending
    # One that was refused lets others go first: it may be the message and not the provider.
    return [min(pending, key=lambda pair: (pair[1]["to"].get("tries", 0), -common.rank(pair[1]["severity"]) if len(pending) > BURST else 0, pair[0]))]


def message(events: list[dict], host: str, now: float) -> tuple[str, str, str]:
    """(severity, title, body) of one event, or of several in one message."""
    if len(events) == 1:
        event = events[0]
        late = now - event["time"]
        body = event["body"]
        if late > 120:
            body = f"{body}\nsent late: this was at {common.iso(event['time'])}, {common.ago(late)} ago".strip()
        return event["severity"], f"[{event['severity']}] {host}: {event['subject']}", body or f"at {common.iso(event['time'])}"
    events = sorted(events, key=lambda event: (-common.rank(event["severity"]), event["time"]))
    lines = [f"{common.clock(event['time'])} {event['severity']}: {event['subject']}"[:110] for event in events[:DIGEST_LINES]]
    if len(events) > DIGEST_LINES:
        lines.append(f"and {len(events) - DIGEST_LINES} more")
    lines.append("type: journalctl -t botops-notify --since -2h")
    return events[0]["severity"], f"[{events[0]['severity']}] {host}: {len(events)} messages in one", "\n".join(lines)


def succeeded(state: dict, now: float) -> None:
    state.update(fails=0, next=0, failing_since=0, last_error="", last_sent=now, sent=state["sent"] + 1, tokens=max(0.0, state["tokens"] - 1))


def failed(state: dict, now: float, why: str) -> None:
    state.update(fails=state["fails"] + 1, last_error=why, failing_since=state["failing_since"] or now)
    state["next"] = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(state["fails"] - 1, 12))


def recipients(event: dict, destinations: list[dict]) -> list[str]:
    if event.get("only"):
        return [entry["name"] for entry in destinations if entry["name"] == event["only"]]
    destinations = [entry for entry in destinations if entry["name"] != event.get("not")]
    # That trouble is over is told to whoever was told of the trouble.
    severity = event.get("route") or event["severity"]
    return [entry["name"] for entry in destinations if common.rank(severity) >= common.rank(entry["severity"])]
