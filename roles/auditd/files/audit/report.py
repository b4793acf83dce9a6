"""What the events say, in words. Pure: names of accounts come from a function."""

from __future__ import annotations

import dataclasses
import datetime
import posixpath
from collections.abc import Callable, Iterable

from audit.records import Event, is_unset

DAY = 86400
SHOWN = 25
# -EPERM and -EACCES: somebody was kept from it. Any other failure, such as a file that is there already, changed nothing and is nobody's act.
REFUSED = ("-1", "-13")
# Names of a moment, before a file is renamed to its own.
PASSING = ("/.file_set-", ".dpkg-new", ".dpkg-tmp", ".json.new")
ROOT_PROGRAMS = ("sudo", "su", "pkexec", "doas")
CHANGES = ("systemd-units", "scheduled-jobs", "identity", "sudoers", "ssh-server", "login-rules", "kernel-modules", "kernel-settings", "loader", "network",
           "packages", "clock", "mounts", "docker", "botops-state", "bot-releases", "audit-trail")  # fmt: skip
ACCOUNTS = {
    "ADD_USER": "user made", "DEL_USER": "user removed", "ADD_GROUP": "group made", "DEL_GROUP": "group removed", "USER_CHAUTHTOK": "password changed",
    "USER_MGMT": "user changed", "GRP_MGMT": "group changed", "ACCT_LOCK": "account locked", "ACCT_UNLOCK": "account unlocked",
}  # fmt: skip


@dataclasses.dataclass
class Row:
    """Equal events: how often, from when to when."""

    words: str
    count: int = 0
    first: float = 0
    last: float = 0

    def line(self) -> str:
        when = clock(self.first) if self.count == 1 else f"{clock(self.first)} to {clock(self.last)}, {self.count} times"
        return f"{self.words} ({when})"


def clock(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


class Rows:
    """Sentences in the order in which each first came; equal ones are one."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def add(self, words: str, at: float) -> None:
        row = self.rows.setdefault(words, Row(words, first=at))
        row.count, row.first, row.last = row.count + 1, min(row.first, at), max(row.last, at)

    def lines(self, most: int = SHOWN) -> list[str]:
        found = sorted(self.rows.values(), key=lambda row: row.last, reverse=True)
        more = len(found) - most
        return [row.line() for row in found[:most]] + ([f"and {more} more; `ausearch -i -k KEY` shows each event"] if more > 0 else [])


def who(event: Event, name: Callable[[str], str]) -> str:
    """`admin`, `admin as root`, `the account bot-paper` for what nobody logged in for."""
    login, uid = event.fields.get("auid", ""), event.fields.get("euid", event.fields.get("uid", ""))
    if is_unset(login):
        return f"a service as {name(uid)}" if uid else "a service"
    return name(login) if uid in ("", login) else f"{name(login)} as {name(uid)}"


def what(event: Event) -> str:
    """The path that an event is about, the last one: of a rename it is the new name."""
    path = event.paths[-1] if event.paths else ""
    return path if path.startswith("/") or not path else posixpath.normpath(posixpath.join(event.fields.get("cwd", "/"), path))


def by(event: Event) -> str:
    program = posixpath.basename(event.fields.get("exe", ""))
    # Of a script its own name, not its interpreter's.
    return event.fields.get("comm", program) if not program or program.startswith(("python", "perl")) else program


def told(command: str) -> str:
    """A command line, cut; what Ansible wraps its tasks in is the same each time but for a random word."""
    return "a task of Ansible's" if "BECOME-SUCCESS-" in command else command[:120]


class Report:
    """Goes once over the events. `bots`: their names; `name`: the name of an account by its number."""

    def __init__(self, bots: Iterable[str], name: Callable[[str], str], now: float) -> None:
        self.bots, self.name, self.now = list(bots), name, now
        self.root, self.refused_root, self.secrets, self.accounts, self.denied = Rows(), Rows(), Rows(), Rows(), Rows()
        self.changes: dict[str, Rows] = {}
        self.bytes: dict[str, int] = {}
        self.events: dict[str, int] = {}
        self.root_commands: dict[str, int] = {}
        self.first = self.last = 0.0
        self.total = 0

    def take(self, event: Event) -> None:
        self.first = min(self.first or event.at, event.at)
        self.last = max(self.last, event.at)
        self.total += event.size
        loading = "CONFIG_CHANGE" in event.kinds
        # The record of a rule that is loaded bears that rule's key.
        key = event.keys[0] if event.keys and not loading else f"type {event.kind()}"
        self.bytes[key] = self.bytes.get(key, 0) + event.size
        self.events[key] = self.events.get(key, 0) + 1
        if loading:
            self.changes.setdefault("audit-trail", Rows()).add(f"{who(event, self.name)}: the audit rules, by {by(event)}", event.at)
            return
        self.become_root(event)
        self.touched(event)
        if kinds := event.kinds & set(ACCOUNTS):
            about = event.fields.get("acct") or self.name(event.fields.get("id", ""))
            failed = "" if event.succeeded() else ", which failed"
            self.accounts.add(f"{who(event, self.name)}: {ACCOUNTS[sorted(kinds)[0]]}: {about}{failed}", event.at)
        for key in event.keys:
            if (key in CHANGES or key.startswith("own-")) and "SYSCALL" in event.kinds:
                if not event.succeeded() and event.fields.get("exit") not in REFUSED or any(part in what(event) for part in PASSING):
                    continue
                failed = "" if event.succeeded() else ", and was refused"
                rows = self.changes.setdefault(key, Rows())
                rows.add(f"{who(event, self.name)}: {what(event) or event.fields.get('SYSCALL', 'a system call')}, by {by(event)}{failed}", event.at)

    def become_root(self, event: Event) -> None:
        login, program = event.fields.get("auid", ""), by(event)
        person = f"a service as {self.name(event.fields.get('uid', ''))}" if is_unset(login) else self.name(login)
        if "USER_CMD" in event.kinds:
            rows = self.root if event.succeeded() else self.refused_root
            rows.add(f"{person} by {program}: {told(event.fields.get('cmd', '?'))}", event.at)
        elif event.kinds & {"USER_AUTH", "USER_ACCT"} and program in ROOT_PROGRAMS and not event.succeeded():
            self.refused_root.add(f"{person} by {program}: refused", event.at)
        elif "USER_START" in event.kinds and program in ("su", "pkexec", "doas") and event.succeeded():
            self.root.add(f"{person} by {program}: a session as {event.fields.get('acct', 'root')}", event.at)
        elif "escalation" in event.keys and not program.startswith("sshd"):  # which makes sure that it cannot go back to root
            self.refused_root.add(f"{who(event, self.name)}: {event.fields.get('SYSCALL', 'a system call')} by {by(event)}: refused by the kernel", event.at)
        if "root-commands" in event.keys:
            self.root_commands[person] = self.root_commands.get(person, 0) + 1

    def touched(self, event: Event) -> None:
        path = what(event)
        about = next((bot for bot in self.bots if path.startswith(f"/etc/bot-{bot}/") or path == f"/etc/bot-{bot}"), "")
        if "bot-secrets" not in event.keys and not ("denied" in event.keys and about):
            if "denied" in event.keys:
                self.denied.add(f"{who(event, self.name)}: {path or '?'}, by {by(event)}", event.at)
            return
        did = "" if event.succeeded() else "tried and was refused: "
        self.secrets.add(f"{who(event, self.name)}: {did}{path or about}, by {by(event)}", event.at)

    # --- volume

    def span(self, since: float) -> float:
        """Seconds that the events stand for. All that was asked for: a host that was set up an hour ago has had one run of Ansible, not 24."""
        return max(self.now - since, 1)

    def per_day(self, since: float) -> dict[str, float]:
        """MB a day by key, the largest first."""
        scale = DAY / self.span(since) / 1e6
        return {key: size * scale for key, size in sorted(self.bytes.items(), key=lambda entry: -entry[1])}

    def over(self, since: float, budget: float) -> dict[str, float]:
        """Keys without which the rest would be within the budget, the largest first; none where all of it is."""
        # Of less than a day what there was, and no guess of what a day would make of it.
        rates = {key: rate * min(self.span(since), DAY) / DAY for key, rate in self.per_day(since).items()}
        left, found = sum(rates.values()), {}
        for key, rate in rates.items():
            if left <= budget:
                break
            found[key], left = rate, left - rate
        return found

    def evidence(self, since: float, budget: float) -> dict:
        rates = self.per_day(since)
        return {
            "seconds": round(self.span(since)), "events": sum(self.events.values()), "mb_per_day": round(sum(rates.values()), 2), "budget_mb_per_day": budget,
            "keys": {key: {"events": self.events.get(key, 0), "mb_per_day": round(rate, 3)} for key, rate in list(rates.items())[:SHOWN]},
            "over_budget": sorted(self.over(since, budget)),
        }  # fmt: skip

    def sections(self, words: dict[str, str]) -> list[tuple[str, list[str]]]:
        """(heading, lines) in the order of what matters."""
        root = self.root.lines() + [f"{person} ran {count} commands as root" for person, count in sorted(self.root_commands.items())]
        found = [("Who became root", root), ("Who asked for more rights and was refused", self.refused_root.lines()),
                 ("Who touched a bot's secrets", self.secrets.lines()), ("Users and groups", self.accounts.lines())]  # fmt: skip
        for key in CHANGES:
            if key in self.changes:
                found.append((f"{words.get(key, key)} [{key}]", self.changes[key].lines()))
        for key in sorted(set(words) - set(CHANGES)):
            if key.startswith("own-") and key in self.changes:
                found.append((f"{words[key]} [{key}]", self.changes[key].lines()))
        return [*found, ("Who was refused a file", self.denied.lines())]
