# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""ufw's rule files as data: declared rules in, the text of user.rules and user6.rules out. Nothing here touches a host.

ufw keeps each rule as one `### tuple ###` line followed by the iptables lines made from it, and reloads from these files.
Writing the files whole, as ufw itself would write them, makes a change of any size one atomic `iptables-restore`.
"""

from __future__ import annotations

import binascii
import ipaddress
import re

ANY = {4: "0.0.0.0/0", 6: "::/0"}
TUPLE = "### tuple ### "
BEGIN, END = "### RULES ###", "### END RULES ###"
# Protocols without ports; ufw knows the first two for IPv4 only.
IPV4_ONLY = ("igmp", "ipv6")
PORTLESS = ("ah", "esp", "gre", "vrrp") + IPV4_ONLY
PROTOCOLS = ("any", "tcp", "udp") + PORTLESS
TARGETS = {"allow": "ACCEPT", "deny": "DROP", "reject": "REJECT"}
MAX_PORTS = 15  # of iptables' multiport match; a range counts twice
POLICIES = {"allow": "ACCEPT", "deny": "DROP", "reject": "REJECT"}
# A skeleton for hosts where ufw is not installed yet: only check mode ever reads it.
EMPTY = "%s\n\n%s\n" % (BEGIN, END)


class RuleError(ValueError):
    """A rule that cannot work; the text is a sentence for the operator."""


# --- from what is declared to ufw's tuples


def port_parts(port):
    """'80', '6000:6010' or '80,443,6000:6010', in the order and form that ufw writes: numeric, no spaces."""
    parts = [part.strip() for part in str(port).split(",")]
    found = []
    for part in parts:
        if not re.match(r"^\d{1,5}([:-]\d{1,5})?$", part):
            raise RuleError("%r is not a port; write a number from 1 to 65535 or a range such as 6000:6010" % part)
        low, _sep, high = part.replace("-", ":").partition(":")
        for number in (low, high or low):
            if not 1 <= int(number) <= 65535:
                raise RuleError("port %s is outside 1 to 65535" % number)
        if high and int(low) >= int(high):
            raise RuleError("the range %s runs backwards; write the smaller port first" % part)
        if (int(low), int(high or 0)) not in found:
            found.append((int(low), int(high or 0)))
    return ["%d:%d" % pair if pair[1] else str(pair[0]) for pair in sorted(found)]


def port_text(ports):
    if not ports:
        return "any"
    parts = port_parts(",".join(str(port) for port in ports))
    if sum(2 if ":" in part else 1 for part in parts) > MAX_PORTS:
        raise RuleError("more than %d ports in one rule (a range counts twice); split it" % MAX_PORTS)
    return ",".join(parts)


def network(text):
    """(family, text as ufw writes it). Host bits are refused: they are mostly a typing error in the prefix."""
    try:
        found = ipaddress.ip_network(str(text), strict=True)
    except ValueError:
        try:
            meant = ipaddress.ip_network(str(text), strict=False)
        except ValueError:
            raise RuleError("%r is not an address or CIDR; write for example 203.0.113.0/24 or 2001:db8::/32" % text) from None
        raise RuleError("%s has host bits set; write %s for the network or %s for the one host" % (text, meant, str(text).partition("/")[0])) from None
    if found.prefixlen == 0:
        return found.version, ANY[found.version]
    if found.prefixlen == found.max_prefixlen:
        return found.version, str(found.network_address)
    return found.version, str(found)


def normalise(rule):
    """Fill in what is left out, so that the rest reads plain keys."""
    full = {
        "action": "allow", "direction": "in", "route": False, "proto": "any", "port": [], "from": [], "from_port": [], "to": [],
        "interface_in": None, "interface_out": None, "log": "none", "family": "both", "comment": "",
    }
    full.update({key: value for key, value in rule.items() if value is not None})
    for key in ("port", "from", "from_port", "to"):
        if not isinstance(full[key], (list, tuple)):
            full[key] = [full[key]]
    return full


def check_rule(rule):
    """The sentences about one rule; what they start with is added by the caller."""
    full = normalise(rule)
    said = []
    texts = {}
    for key in ("port", "from_port"):
        try:
            texts[key] = port_text(full[key])
        except RuleError as error:
            said.append("%s: %s" % (key, error))
    families = {}
    for key in ("from", "to"):
        for item in full[key]:
            try:
                families.setdefault(key, set()).add(network(item)[0])
            except RuleError as error:
                said.append("%s: %s" % (key, error))
    has_port = any(text != "any" for text in texts.values())
    if full["proto"] in PORTLESS and has_port:
        said.append("proto: %s has no ports; remove port and from_port" % full["proto"])
    if full["proto"] == "any" and any("," in text or ":" in text for text in texts.values()):
        said.append("proto: a list or range of ports needs proto tcp or udp")
    if full["proto"] in IPV4_ONLY and (full["family"] == "ipv6" or 6 in families.get("from", ()) or 6 in families.get("to", ())):
        said.append("proto: ufw knows %s for IPv4 only" % full["proto"])
    if not said and not expand(full, "check"):
        said.append("family: from, to and family leave no address family in which the rule could match")
    if full["route"] and full["direction"] == "out":
        said.append("direction: a routed rule has none; name interface_in or interface_out")
    if not full["route"] and full["direction"] == "in" and full["interface_out"]:
        said.append("interface_out: an incoming rule has none; use interface_in, or route for forwarded traffic")
    if not full["route"] and full["direction"] == "out" and full["interface_in"]:
        said.append("interface_in: an outgoing rule has none; use interface_out, or route for forwarded traffic")
    for key in ("interface_in", "interface_out"):
        if full[key] and not re.match(r"^[A-Za-z0-9_.@+-]{1,15}$", full[key]):
            said.append("%s: %r is not an interface name (an alias such as eth0:1 cannot be matched)" % (key, full[key]))
    if "'" in full["comment"] or "\n" in full["comment"]:
        said.append("comment: ufw takes neither apostrophes nor line breaks")
    return said


def expand(rule, owner):
    """One declared rule as ufw tuples: a list of dicts, one for each source, destination and family."""
    full = normalise(rule)
    allowed = {"both": (4, 6), "ipv4": (4,), "ipv6": (6,)}[full["family"]]
    if full["proto"] in IPV4_ONLY:
        allowed = (4,)
    direction = full["direction"]
    if full["route"]:
        sides = [("in", full["interface_in"]), ("out", full["interface_out"])]
        named = ["%s_%s" % side for side in sides if side[1]]
        direction = "!".join(named) or "in"
    else:
        interface = full["interface_in"] or full["interface_out"]
        if interface:
            direction = "%s_%s" % (direction, interface)
    comment = ("%s: %s" % (owner, full["comment"])) if full["comment"] else "%s:" % owner
    found = []
    for family in allowed:
        sources = _of_family(full["from"], family)
        targets = _of_family(full["to"], family)
        for source in sources:
            for target in targets:
                item = {
                    "family": family, "action": full["action"], "route": full["route"], "log": {"new": "log", "all": "log-all"}.get(full["log"], ""),
                    "proto": full["proto"], "dport": port_text(full["port"]), "dst": target,
                    "sport": port_text(full["from_port"]), "src": source, "direction": direction, "comment": comment,
                }
                if item not in found:
                    found.append(item)
    return found


def _of_family(items, family):
    if not items:
        return [ANY[family]]
    return [text for version, text in map(network, items) if version == family]


# --- ufw's own text


def tuple_line(item):
    action = item["action"] + ("_" + item["log"] if item["log"] else "")
    if item["route"]:
        action = "route:" + action
    words = [action, item["proto"], item["dport"], item["dst"], item["sport"], item["src"], item["direction"]]
    if item["comment"]:
        words.append("comment=" + binascii.hexlify(item["comment"].encode()).decode())
    return TUPLE + " ".join(words)


def comment_of(line):
    found = re.search(r" comment=([0-9a-f]+)$", line)
    return binascii.unhexlify(found.group(1)).decode("utf-8", "replace") if found else ""


def without_comment(line):
    return re.sub(r" comment=[0-9a-f]+$", "", line)


def _matches(item, proto):
    """The iptables arguments that select the packets, for one protocol."""
    words = []
    for side in item["direction"].split("!"):
        name, _sep, interface = side.partition("_")
        if interface:
            words.append("-%s %s" % ({"in": "i", "out": "o"}[name], interface))
    if proto != "any":
        words.append("-p " + proto)
    dport, sport = item["dport"], item["sport"]
    multi = any("," in port or ":" in port for port in (dport, sport))
    if multi:
        words += ["-m multiport --%s %s" % (name, port) for name, port in (("dports", dport), ("sports", sport)) if port != "any"]
    if item["dst"] not in ANY.values():
        words.append("-d " + item["dst"])
    if dport != "any" and not multi:
        words.append("--dport " + dport)
    if item["src"] not in ANY.values():
        words.append("-s " + item["src"])
    if sport != "any" and not multi:
        words.append("--sport " + sport)
    return " ".join(words)


def iptables_lines(item):
    prefix = "ufw" if item["family"] == 4 else "ufw6"
    hook = "forward" if item["route"] else item["direction"].split("_")[0] + "put"
    chain, logging = "%s-user-%s" % (prefix, hook), "%s-user-logging-%s" % (prefix, hook)
    has_port = item["dport"] != "any" or item["sport"] != "any"
    protocols = ("tcp", "udp") if item["proto"] == "any" and has_port else (item["proto"],)
    lines = []
    for proto in protocols:
        match = _matches(item, proto)
        match = " " + match if match else ""
        if item["log"]:
            word = {"allow": "ALLOW", "limit": "LIMIT"}.get(item["action"], "BLOCK")
            state = "" if item["log"] == "log-all" else " -m conntrack --ctstate NEW"
            limit = "-m limit --limit 3/min --limit-burst 10"
            lines += [
                '-A %s%s%s %s -j LOG --log-prefix "[UFW %s] "' % (logging, match, state, limit, word),
                "-A %s%s -j RETURN" % (logging, match),
                "-A %s%s -j %s" % (chain, match, logging),
            ]
        if item["action"] == "limit":
            recent = "-A %s%s -m conntrack --ctstate NEW -m recent" % (chain, match)
            lines += [
                "%s --set" % recent,
                "%s --update --seconds 30 --hitcount 6 -j %s-user-limit" % (recent, prefix),
                "-A %s%s -j %s-user-limit-accept" % (chain, match, prefix),
            ]
        else:
            target = TARGETS[item["action"]]
            if target == "REJECT" and proto == "tcp":
                target += " --reject-with tcp-reset"
            lines.append("-A %s%s -j %s" % (chain, match, target))
    return lines


def block(item):
    return [tuple_line(item)] + iptables_lines(item)


def split(text):
    """(lines before the rules, blocks, lines after them); a block is a list of lines that starts with its tuple."""
    lines = text.splitlines()
    try:
        begin, end = lines.index(BEGIN), lines.index(END)
    except ValueError:
        raise RuleError("ufw's rule file has no section between `%s` and `%s`; run `ufw reset` or reinstall ufw" % (BEGIN, END)) from None
    blocks = []
    for line in lines[begin + 1 : end]:
        if line.startswith(TUPLE):
            blocks.append([line])
        elif line.strip() and blocks:
            blocks[-1].append(line)
    return lines[: begin + 1], blocks, lines[end:]


def join(head, blocks, tail):
    middle = [""]
    for lines in blocks:
        middle += lines + [""]
    return "\n".join(head + middle + tail) + "\n"


def is_ours(line, owner):
    comment = comment_of(line)
    return comment == owner + ":" or comment.startswith(owner + ": ")


def merged(text, items, owner, purge=False):
    """The rule file with exactly `items` as the owner's rules.

    The owner's rules stand together, where the first of them stood (at the end when there was none), so that rules of
    others keep their place before or after them. A foreign rule that says the same as one of ours is taken over: ufw
    knows only one rule of a kind.
    """
    head, blocks, tail = split(text)
    declared = {without_comment(tuple_line(item)) for item in items}
    ours = [block(item) for item in items]
    if [lines[0] for lines in blocks if is_ours(lines[0], owner)] == [lines[0] for lines in ours]:
        others = {without_comment(lines[0]) for lines in blocks if not is_ours(lines[0], owner)}
        if not others & declared and not (purge and others):
            return text
    result, placed = [], False
    for lines in blocks:
        if is_ours(lines[0], owner):
            if not placed:
                result += ours
                placed = True
        elif not purge and without_comment(lines[0]) not in declared:
            result.append(lines)
    if not placed:
        result += ours
    return join(head, result, tail)


def describe(text):
    """A rule file for people: one line a rule."""
    _head, blocks, _tail = split(text)
    return [describe_line(lines[0]) for lines in blocks]


def describe_line(line):
    words = without_comment(line)[len(TUPLE) :].split()
    if len(words) == 9:  # application profiles: names instead of ports
        words[2], words[4] = words[6], words[7]
        words = words[:6] + words[8:]
    action, proto, dport, dst, sport, src, direction = words
    said = [action.replace("_", " "), direction.replace("_", " on ").replace("!", " ")]
    if proto != "any":
        said.append("proto " + proto)
    said.append("from " + ("any" if src in ANY.values() else src) + ("" if sport == "any" else " port " + sport))
    said.append("to " + ("any" if dst in ANY.values() else dst) + ("" if dport == "any" else " port " + dport))
    comment = comment_of(line)
    return " ".join(said) + (" # " + comment if comment else "") + (" (v6)" if "::/0" in (src, dst) else "")


# --- shell-style settings of /etc/default/ufw and ufw.conf


def setting(text, key):
    found = re.findall(r"^%s=[\"']?([^\"'\n]*)[\"']?\s*$" % re.escape(key), text, re.M)
    return found[-1] if found else None


def with_setting(text, key, value):
    if setting(text, key) == value:
        return text
    line = '%s="%s"' % (key, value)
    pattern = re.compile(r"^%s=.*$" % re.escape(key), re.M)
    if pattern.search(text):
        return pattern.sub(lambda _found: line, text)
    return text + ("" if text.endswith("\n") or not text else "\n") + line + "\n"


def appended(text, chains):
    """How many rules a file appends to each chain: what the kernel must hold when the file is loaded."""
    counts = dict.fromkeys(chains, 0)
    for line in text.splitlines():
        words = line.split(" ", 2)
        if words[0] == "-A" and words[1] in counts:
            counts[words[1]] += 1
    return counts


# --- who would still get in


def admits(rules, default, client, port, server=None):
    """Whether a new TCP connection from `client` to `port` at `server` is let in: the first rule that matches decides, else the default.

    Rules for an interface are taken as matching when they forbid and as not matching when they allow: on which interface
    the connection arrives is not known, and the answer must not be too hopeful.
    """
    client, server = _plain(client), _plain(server) if server else None
    for rule in rules:
        full = normalise(rule)
        if full["route"] or full["direction"] != "in" or full["proto"] not in ("any", "tcp"):
            continue
        lets_in = full["action"] in ("allow", "limit")
        if lets_in and (full["interface_in"] or full["from_port"]):
            continue
        for item in expand(full, "check"):
            if item["family"] != client.version or client not in ipaddress.ip_network(item["src"]):
                continue
            if server and server not in ipaddress.ip_network(item["dst"]):
                continue
            if item["dport"] == "any" or _in_ports(port, item["dport"]):
                return lets_in
    return default == "allow"


def lets_out(rules, proto, port):
    """Whether some rule lets the host itself open connections to `port` somewhere."""
    for rule in rules:
        full = normalise(rule)
        if full["route"] or full["direction"] != "out" or full["action"] not in ("allow", "limit") or full["proto"] not in ("any", proto):
            continue
        ports = port_text(full["port"])
        if ports == "any" or _in_ports(port, ports):
            return True
    return False


def _plain(text):
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _in_ports(port, text):
    for part in text.split(","):
        low, _sep, high = part.partition(":")
        if int(low) <= port <= int(high or low):
            return True
    return False
