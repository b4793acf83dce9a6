"""The delivery: runs while something waits, one message at a time to each destination, so that a slow one keeps no other waiting."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import queue as queues
import re
import signal
import threading
import time
import urllib.request

from notify import common, plan, spool

BEAT_SECONDS = 55  # between heartbeats
ATTEMPT_SECONDS = 40  # after which a provider that neither takes nor refuses counts as one that refuses
LINGER = 90  # seconds: what is due later is left to the timer
LOOK = 0.5  # seconds between looks at the queue
IDLE = 3  # seconds for which an empty queue is still watched: what comes in a row is one process's work


class Words(logging.Handler):
    """What Apprise says of a failure."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(" ".join(record.getMessage().split()))


def without(text: str, url: str) -> str:
    """A provider's words without the parts of the destination's address."""
    for part in sorted(re.split(r"[/@?&=]|://", url), key=len, reverse=True):
        if len(part) > 5:
            text = text.replace(part, "[secret]")
    return text[:200]


def send(url: str, severity: str, title: str, body: str) -> str:
    """Nothing, or why the provider did not take it."""
    import apprise

    words = Words()
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    logger.addHandler(words)
    try:
        carrier = apprise.Apprise()
        if not carrier.add(url):
            return "the address is not one that this version of Apprise understands"
        for plugin in carrier:
            plugin.socket_connect_timeout, plugin.socket_read_timeout = 5.0, 15.0
            plugin.overflow_mode = "truncate"
            # How often is decided here, and never by sleeping.
            plugin.request_rate_per_sec = 0
        kind = {"info": "info", "warning": "warning", "critical": "failure"}[severity]
        if carrier.notify(title=title, body=body, notify_type=kind, body_format="text"):
            return ""
    except Exception as error:  # a plugin of somebody else's: whatever it is, the queue goes on
        words.lines.append(f"{type(error).__name__}: {error}")
    finally:
        logger.removeHandler(words)
    return without(words.lines[-1] if words.lines else "the provider did not take it", url)


class Delivery:
    def __init__(self, config: dict, addresses: dict, sender=send):
        self.config, self.addresses, self.heartbeat, self.sender = config, addresses["destinations"], addresses["heartbeat"], sender
        self.beating = None
        self.per_hour = config["max_per_hour"]
        self.names = [entry["name"] for entry in config["destinations"]]
        self.state = common.read_json(common.STATE / "state.json")
        spare = common.read_json(common.SPARE / "state.json")
        if spare.get("time", 0) > self.state.get("time", 0):
            self.state = spare
        self.keys = plan.Keys(self.state.setdefault("keys", {}), config["repeat_seconds"])
        known = self.state.get("destinations", {})
        self.state["destinations"] = {name: {**plan.fresh_destination(), **known.get(name, {})} for name in self.names}
        self.busy: dict = {}
        self.answers: queues.Queue = queues.Queue()

    # --- the queue

    def admit(self, now: float) -> None:
        """New events: counted where an equal one was just sent, else given their destinations."""
        spool.take_drops()
        if count := spool.overflowed():
            spool.put(spool.event("critical", f"{count} messages found no room in the queue", "type: sudo botops-notify status", "botops-notify-overflow"))
        for name, event in spool.waiting().items():
            if "to" in event:
                continue
            if self.keys.admit(event):
                event["to"] = {"names": plan.recipients(event, self.config["destinations"])}
            if event.get("to", {}).get("names"):
                spool.update(name, event)
            else:
                # The count is on disk before the event is gone.
                self.save(now)
                spool.remove(name)
        for event in self.keys.tell(now):
            self.save(now)
            spool.put(event)

    def pending(self, waiting: dict) -> dict:
        """{destination: [(name, event), …]}; for one that was taken out of the configuration nothing waits."""
        found: dict = {name: [] for name in self.names}
        for name, event in waiting.items():
            if "to" not in event:
                continue
            left = [each for each in event["to"]["names"] if each in found]
            if not left:
                spool.remove(name)
            for each in left:
                found[each].append((name, event))
        return found

    def done(self, destination: str, names: list[str]) -> None:
        waiting = spool.waiting()
        for name in names:
            event = waiting.get(name)
            if event is None:
                continue
            event["to"]["names"] = [each for each in event["to"]["names"] if each != destination]
            if event["to"]["names"]:
                spool.update(name, event)
            else:
                spool.remove(name)

    def expire(self, waiting: dict, now: float) -> None:
        for name, event in waiting.items():
            if now - event["time"] > self.config["keep_hours"] * 3600:
                for each in event.get("to", {}).get("names", []):
                    if each in self.state["destinations"]:
                        self.state["destinations"][each]["lost"] += 1
                print(f"given up after {self.config['keep_hours']} hours: {event['subject']}", flush=True)
                spool.remove(name)

    # --- one message

    def start(self, destination: str, chosen: list, now: float) -> None:
        severity, title, body = plan.message([event for _name, event in chosen], self.config["host"], now)
        token = object()
        self.busy[destination] = {"token": token, "names": [name for name, _event in chosen], "since": time.monotonic(), "title": title, "late": False}

        def work():
            self.answers.put((destination, token, self.sender(self.addresses.get(destination, ""), severity, title, body)))

        threading.Thread(target=work, daemon=True).start()

    def finish(self, destination: str, why: str, now: float) -> None:
        job, state = self.busy[destination], self.state["destinations"][destination]
        if not why:
            if state["fails"] >= plan.TELL_OTHERS:
                self.about(destination, "info", "takes messages again", "")
            plan.succeeded(state, now)
            self.done(destination, job["names"])
            print(f"{destination} has: {job['title']}", flush=True)
        else:
            plan.failed(state, now, why)
            if state["fails"] == plan.TELL_OTHERS:
                self.about(destination, "critical", "takes no messages", why)
            waiting = spool.waiting()
            for name in job["names"]:
                if name in waiting:
                    waiting[name]["to"]["tries"] = waiting[name]["to"].get("tries", 0) + 1
                    spool.update(name, waiting[name])
            print(f"{destination} did not take it ({why}); again in {state['next'] - now:.0f} s: {job['title']}", flush=True)
        self.record(now)

    def about(self, destination: str, severity: str, words: str, why: str) -> None:
        """A destination that is gone is trouble of its own: somebody else hears of it."""
        key = f"destination:{destination}"
        body = f"host: {self.config['host']}\nwhat: {destination} {words}" + (f": {why}" if why else "") + "\ntype:\n  sudo botops-notify status"
        subject = f"{words}: {destination}"
        with contextlib.suppress(OSError):
            if severity == "info":
                spool.put(spool.event(severity, subject, body, key + ":over", key, route="critical", **{"not": destination}))
            else:
                spool.put(spool.event(severity, subject, body, key, **{"not": destination}))

    def beat(self, now: float) -> None:
        """Somebody elsewhere expects this; what he answers is his business, and nobody here waits for it."""
        last = self.state.get("beat", 0)
        if not self.heartbeat or 0 <= now - last < BEAT_SECONDS or self.beating and self.beating.is_alive():
            return
        self.state["beat"] = now

        def ask():
            try:
                with urllib.request.urlopen(self.heartbeat, timeout=10):
                    pass
            except (OSError, ValueError) as error:
                print(f"the heartbeat was not taken: {without(str(error), self.heartbeat)}", flush=True)

        self.beating = threading.Thread(target=ask, daemon=True)
        self.beating.start()

    def collect(self, now: float) -> None:
        while True:
            try:
                destination, token, why = self.answers.get_nowait()
            except queues.Empty:
                break
            job = self.busy.get(destination)
            if job and job["token"] is token:
                # One that answered after all is believed, however late: else it would come twice.
                if not job["late"] or not why:
                    self.finish(destination, why, now)
                del self.busy[destination]
        for destination, job in self.busy.items():
            if not job["late"] and time.monotonic() - job["since"] > ATTEMPT_SECONDS:
                job["late"] = True
                self.finish(destination, f"no answer within {ATTEMPT_SECONDS} s", now)

    def step(self, now: float) -> float | None:
        """One look: what arrived, what may go. Returns when there is something to do next; None: nothing waits."""
        self.collect(now)
        self.admit(now)
        waiting = spool.waiting()
        self.expire(waiting, now)
        due = [found for found in [self.keys.next_due()] if found is not None]
        for destination, pairs in self.pending(waiting).items():
            if not pairs:
                continue
            state = self.state["destinations"][destination]
            # Times of a clock that was set back.
            state["next"] = min(state["next"], now + plan.LONGEST_WAIT)
            plan.refill(state, now, self.per_hour)
            if destination in self.busy:
                due.append(now)
            elif state["next"] > now:
                due.append(state["next"])
            elif chosen := plan.choose(pairs, state):
                self.start(destination, chosen, now)
                due.append(now)
            else:
                due.append(now + 3600 / self.per_hour)
        return min(due) if due else (now if self.busy else None)

    # --- what is known

    def save(self, now: float) -> None:
        self.state["time"] = now
        for place in (common.STATE, common.SPARE):
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True, mode=0o755)
                common.write_json(place / "state.json", self.state)
                return

    def record(self, now: float) -> None:
        """The state, and the evidence of it: readable by everyone, without an address."""
        self.save(now)
        pending = self.pending(spool.waiting())
        rows, bad = {}, []
        for name in self.names:
            state = self.state["destinations"][name]
            rows[name] = {
                "sent": state["sent"], "lost": state["lost"], "waiting": len(pending[name]), "last_error": state["last_error"],
                "last_sent": common.iso(state["last_sent"]) if state["last_sent"] else "",
                "failing_since": common.iso(state["failing_since"]) if state["failing_since"] else "",
            }  # fmt: skip
            if state["failing_since"] or state["lost"]:
                bad.append(name)
        value = {"time": common.iso(now), "source": "botops-notify deliver", "verdict": "failed" if bad else "ok", "destinations": rows}
        with contextlib.suppress(OSError):
            common.EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
            common.write_json(common.EVIDENCE, value, 0o644)


@contextlib.contextmanager
def alone():
    """Two deliveries never meet: a message would come twice."""
    common.SPARE.mkdir(parents=True, exist_ok=True, mode=0o755)
    with open(common.SPARE / "lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise common.Refused("A delivery runs already: systemctl status botops-notify-deliver.") from None
        yield


def stamp() -> list:
    """Changes when the configuration or the addresses do; the next delivery reads them."""
    return [path.stat().st_mtime_ns for path in (common.ETC / "config.json", common.ETC / "destinations.json") if path.exists()]


def run() -> None:
    """Until nothing waits that is due soon."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with alone():
        before = stamp()
        delivery = Delivery(common.config(), common.addresses())
        active = time.monotonic()
        while not stop.is_set() and not (stamp() != before and not delivery.busy):
            now = time.time()
            delivery.beat(now)
            due = delivery.step(now)
            if due is not None and due - now <= LINGER:
                active = time.monotonic()
            elif time.monotonic() - active > IDLE:
                break
            stop.wait(0.1 if due is not None and due - now < LOOK else LOOK)
        # A message on its way may still be answered.
        deadline = time.monotonic() + 20
        while delivery.busy and time.monotonic() < deadline:
            time.sleep(0.1)
            delivery.collect(time.time())
        if delivery.beating:
            delivery.beating.join(12)
        delivery.record(time.time())
    # A thread that hangs at a provider must not keep the process.
    os._exit(0)
