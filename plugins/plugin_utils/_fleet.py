# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role fleet's declaration comes to: arguments for the do_* modules, a table of what they would do, and what it costs."""

from __future__ import annotations

import json

try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
except ImportError:  # ansible-core brings it; only a checker of imports does without
    Ed25519PrivateKey = None

ANYWHERE = ["0.0.0.0/0", "::/0"]
# The vendor adds a fifth for weekly backups: https://docs.digitalocean.com/products/backups/details/pricing/
BACKUPS = 0.2
# How long before a certificate ends somebody is told: as compliance_certificate_days, from when on the report fails.
CERTIFICATE_DAYS = 14


def owner_tag(values):
    return values["owner_tag"] or f"fleet:{values['name']}"


def hosts(declared):
    """Every host by itself: (name, its declaration)."""
    found = []
    for host in declared["hosts"]:
        names = [host["name"]] if host["count"] == 1 else [f"{host['name']}-{number}" for number in range(1, host["count"] + 1)]
        found += [(name, host) for name in names]
    return found


def volumes(declared):
    """Every block volume by itself: (its name at the vendor, its host's, its declaration). Another vendor's hosts have none."""
    return [(f"{name}-{volume['name']}", name, volume) for name, host in hosts(declared) for volume in host.get("volumes") or []]


def tags_of(host, values):
    bot = [f"bot:{host['bot']}"] if host.get("bot") else []
    return sorted({f"env:{values['environment']}", *bot, *(f"role:{role}" for role in host["roles"]), *host["tags"]})


def _peers(listed, roles):
    """Addresses and tags out of a list that names both, as the firewall's module takes them."""
    tags = [f"role:{entry}" for entry in listed if entry in roles]
    addresses = [entry for entry in listed if entry not in roles] or ([] if tags else ANYWHERE)
    return {**({"addresses": addresses} if addresses else {}), **({"tags": tags} if tags else {})}


def _firewall(declared, name, owner):
    if "firewall" not in declared:
        return None
    roles = {role for _name, host in hosts(declared) for role in host["roles"]}
    rules = declared["firewall"]
    outbound = rules.get("outbound_rules")
    if outbound is None:
        outbound = [{"protocol": protocol, "ports": "all", "to": []} for protocol in ("tcp", "udp", "icmp")]

    def rule(entry, end, key):
        # ICMP has no ports.
        ports = {} if entry["protocol"] == "icmp" else {"ports": entry["ports"]}
        return {"protocol": entry["protocol"], **ports, end: _peers(entry[key], roles)}

    return {
        "name": name, "tags": [owner],
        "inbound_rules": [rule(entry, "sources", "from") for entry in rules["inbound_rules"]],
        "outbound_rules": [rule(entry, "destinations", "to") for entry in outbound],
    }  # fmt: skip


def _bucket(declared, region, owner):
    return declared and {**{key: value for key, value in declared.items() if value is not None}, "region": declared.get("region") or region, "owner": owner}


def _uptime(check, emails):
    """A check from outside, and who is told: of a target that no region reaches, and of a certificate that ends. Without `emails` nobody is, by the fleet."""
    if not emails:
        return check
    told = [{"name": f"{check['name']} is down", "type": "down_global", "period": "2m", "emails": emails}]
    if check["type"] == "https":
        told.append({"name": f"{check['name']}: certificate", "type": "ssl_expiry", "threshold": CERTIFICATE_DAYS, "emails": emails})
    return {**check, "alerts": told}


def digitalocean(values):
    """Arguments of the do_* modules, by kind, in the order in which they depend on each other."""
    declared, name, owner = values["digitalocean"], values["name"], owner_tag(values)
    region = declared["region"]
    keys = [key["name"] for key in declared["ssh_keys"]]
    droplets = [
        {
            "name": host, "owner_tag": owner, "region": region, "size": about["size"], "image": about["image"], "vpc": name, "ssh_keys": keys,
            "tags": tags_of(about, values), "backups": about["backups"], "monitoring": about["monitoring"],
        }
        for host, about in hosts(declared)
    ]  # fmt: skip
    databases = [
        {
            "owner_tag": owner, "region": region, "vpc": name, "trusted_sources": [{"type": "tag", "value": owner}],
            **{key: about[key] for key in about if about[key] not in ([], None)},
        }
        for about in declared["databases"]
    ]  # fmt: skip
    balancer = declared.get("load_balancer")
    alerts = declared.get("alerts")
    return {
        "owner_tag": owner,
        "ssh_keys": [key for key in declared["ssh_keys"] if key.get("public_key")],
        "vpc": {"name": name, "region": region, **({"ip_range": declared["ip_range"]} if declared.get("ip_range") else {})},
        "droplets": droplets,
        "volumes": [
            {"name": volume, "host": host, "owner_tag": owner, "region": region, "size_gigabytes": about["size_gigabytes"],
             "filesystem_type": about["filesystem_type"]}
            for volume, host, about in volumes(declared)
        ],
        "firewall": _firewall(declared, name, owner),
        "databases": databases,
        "reserved_addresses": [host for host, about in hosts(declared) if about["reserved_address"]],
        "certificates": declared["certificates"],
        "load_balancer": balancer and {
            "name": name, "region": region, "vpc": name, "tag": f"role:{balancer['role']}",
            **{key: balancer[key] for key in ("forwarding_rules", "health_check", "redirect_http_to_https") if key in balancer},
        },
        "records": declared["records"],
        "alerts": [
            {"name": f"{name} {metric} above {value}", "metric": metric, "when": "above", "value": float(value), "window": alerts["window"],
             "tags": [owner], "emails": alerts["emails"]}
            for metric, value in sorted((alerts or {"above": {}})["above"].items())
        ],
        "uptime_checks": [_uptime(check, (alerts or {}).get("emails")) for check in declared["uptime_checks"]],
        "bucket": _bucket(declared.get("bucket"), region, owner),
        "project": {"name": name} if declared["project"] else None,
    }  # fmt: skip


# --- the first connection


def host_keys(names):
    """{name: {private, public}}: keys that new hosts get from cloud-init, so that the first connection can be checked."""
    found = {}
    for name in names:
        key = Ed25519PrivateKey.generate()
        found[name] = {
            "private": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
            "public": key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
        }
    return found


def alias(name, fleet):
    """Under what a host's key is known before its address is: it is written down before the host is asked for."""
    return f"{name}.{fleet}.fleet"


def known(droplets, fleet, text):
    """Entries of known_hosts that are missing: the key that each host's alias has, under its address."""
    keys = dict(line.split(" ", 1) for line in (text or "").splitlines() if line.count(" ") >= 2)
    found = []
    for droplet in droplets:
        key, address = keys.get(alias(droplet["name"], fleet)), droplet["public_ipv4"]
        if key and address and keys.get(address) != key:
            found.append({"name": address, "key": f"{address} {key}"})
    return found


def user_data(key, admin):
    """cloud-init's configuration of a new host: https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh"""
    config = {"ssh_deletekeys": True, "ssh_keys": {"ed25519_private": key["private"], "ed25519_public": key["public"]}, "ssh_pwauth": False}
    if admin.get("name"):
        account = {"name": admin["name"], "groups": "sudo", "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "lock_passwd": True}
        config["users"] = ["default", {**account, "ssh_authorized_keys": admin["keys"]}]
    return "#cloud-config\n" + json.dumps(config)


def values_of(record, addresses):
    """A record's values: what is written down, and the hosts' public addresses."""
    return [*record["values"], *(addresses[host] for host in record["hosts"])]


# --- what it costs, and what would happen


def undeclared(plan, there):
    """Hosts, volumes and databases that bear the owner tag and are declared no more. A run leaves them, so they go on costing."""
    # A volume's name means another one in another region.
    keys = {"droplets": ("name",), "volumes": ("name", "region"), "databases": ("name",)}

    def known(kind, one):
        return tuple(one[key] for key in keys[kind])

    return {kind: [one for one in there[kind] if known(kind, one) not in {known(kind, other) for other in plan[kind]}] for kind in keys}


def notes(plan, there):
    """What differs and no run corrects, and in a line of its own what to type."""
    words = {
        "droplets": ("droplet", ("id",), "", ""),
        "volumes": ("volume", ("name", "region"), " with all that is on it", "with_data=true "),
        "databases": ("database", ("name",), " with all that is in it", ""),
    }
    return [
        f"{kind} {one['name']} is not declared and stays; to remove it{more}:\n"
        f'ansible localhost -m botops.fleet.do_{kind} -a "{" ".join(f"{key}={one[key]}" for key in keys)} {consent}state=absent"'
        for kinds, (kind, keys, more, consent) in words.items() for one in undeclared(plan, there)[kinds]
    ]  # fmt: skip


def costs(plan, sizes, prices, there):
    """Lines of {what, size, monthly, today, declared}: what a thing costs after a run, and before it, where `there` is what bears the owner tag.

    A price is None where neither the API nor `fleet_prices` tells it.
    """
    known = {size["slug"]: size["price_monthly"] for size in sizes}
    running = {
        "droplets": [{**one, "backups": "backups" in one["features"]} for one in there["droplets"]],
        "volumes": there["volumes"],
        "databases": there["databases"],
        "load_balancer": plan["load_balancer"] if there["load_balancer"] else None,
        "bucket": plan["bucket"] if there["bucket"] else None,
    }
    staying = {**undeclared(plan, running), "load_balancer": None, "bucket": None}
    return beside(_priced(plan, known, prices), _priced(staying, known, prices), _priced(running, known, prices))


def _priced(plan, known, prices):
    lines = []
    for droplet in plan["droplets"]:
        price = prices.get(droplet["size"], known.get(droplet["size"]))
        lines.append({"what": f"droplet {droplet['name']}", "size": droplet["size"], "monthly": price})
        if droplet["backups"]:
            lines.append({"what": f"backups of {droplet['name']}", "size": "weekly", "monthly": None if price is None else round(price * BACKUPS, 2)})
    for volume in plan["volumes"]:
        price, size = prices.get("volume"), volume["size_gigabytes"]
        # The API tells no price of a GiB; what to write into fleet_prices is not the size that the line shows.
        lines.append({"what": f"volume {volume['name']}", "size": f"{size} GiB", "price": "volume",
                      "monthly": None if price is None else round(price * size, 2)})  # fmt: skip
    for database in plan["databases"]:
        price = prices.get(database["size"])
        nodes = database.get("num_nodes", 1)
        lines.append({"what": f"database {database['name']}", "size": f"{nodes} x {database['size']}", "monthly": None if price is None else price * nodes})
    if plan["load_balancer"]:
        lines.append({"what": f"load balancer {plan['load_balancer']['name']}", "size": "load_balancer", "monthly": prices.get("load_balancer")})
    if plan["bucket"]:
        # The vendor's API tells no price of Spaces. What an account pays for all of its buckets is counted with this one.
        lines.append({"what": f"bucket {plan['bucket']['name']}", "size": "spaces", "monthly": prices.get("spaces")})
    return lines


def beside(declared, staying, running):
    """Lines of what is declared and of what stays undeclared, with what the same cost before; last, what is paid no more."""
    before, after = {line["what"]: line for line in running}, []
    for line in [*({**line, "declared": True} for line in declared), *({**line, "declared": False} for line in staying)]:
        old = before.pop(line["what"], {"size": line["size"], "monthly": 0})
        size = line["size"] if line["size"] == old["size"] else f"{old['size']} -> {line['size']}"
        after.append({**line, "size": size, "today": old["monthly"]})
    return after + [{**line, "today": line["monthly"], "monthly": 0, "declared": True} for line in before.values()]


def total(lines, when="monthly"):
    return round(sum(line[when] or 0 for line in lines), 2)


def over_budget(lines, budget):
    """The sentence that refuses a plan; nothing when it is within the budget or there is none."""
    if not budget:
        return ""
    unknown = [line.get("price") or line["size"].rpartition(" ")[2] for line in lines if line["monthly"] is None]
    if unknown:
        return (
            f"fleet_monthly_budget is {budget:g}, but no price is known of {', '.join(sorted(set(unknown)))}: "
            "write what the vendor asks for a month into fleet_prices, or set fleet_monthly_budget: 0."
        )
    if total(lines) > budget:
        staying = [line["what"] for line in lines if not line["declared"]]
        less = f"declare less, remove what is not declared ({', '.join(staying)})" if staying else "declare less"
        return f"The plan costs {total(lines):g} dollars a month, and fleet_monthly_budget is {budget:g}: {less}, or raise it. Nothing was created."
    return ""


def changes(results):
    """{kind, name, action} of every registered result, looped or not, that would change something."""
    found = []
    for kind, result in results:
        for one in result.get("results", [result]):
            if one.get("skipped") or not one.get("changed"):
                continue
            diff = (one.get("diff") or [{}])[0] if isinstance(one.get("diff"), list) else one.get("diff") or {}
            found.append({
                "kind": kind, "name": diff.get("before_header") or diff.get("after_header") or str(one.get("item", "")),
                "action": "change" if diff.get("before") and diff.get("after") else "destroy" if diff.get("before") else "create",
            })  # fmt: skip
    return found


def _row(entry):
    why = f" ({', '.join(entry['why'])})" if entry.get("why") else ""
    return f"  {entry['action']:8} {entry.get('title') or entry['name']}{why}"


def _dollars(amount):
    return f"{'?' if amount is None else format(amount, '.2f'):>9}"


def table(found, lines, notes=()):
    """What an operator reads before anything happens. `notes` are what no run corrects."""
    rows = [_row(entry) for entry in found] or ["  nothing to change"]
    # What is to be typed has a line of its own: a longer one is folded where results are shown as YAML.
    rows += [line for note in notes for line in f"  look at  {note}".replace("\n", "\n    ").splitlines()]
    money = [f"  {_dollars(line['today'])}  {_dollars(line['monthly'])}  {line['what']} ({line['size']}){'' if line['declared'] else ', not declared'}"
             for line in lines]  # fmt: skip
    unknown = sum(line["monthly"] is None for line in lines)
    more = f", and {unknown} of which no price is known (fleet_prices)" if unknown else ""
    dates = sorted({line["dated"] for line in lines if line.get("dated")})
    dated = f", AWS by the list prices of {', '.join(dates)}" if dates else ""
    return [
        *rows, "", f"dollars a month, without traffic and stored objects{dated}:", f"  {'today':>9}  {'then':>9}", *money,
        f"  {total(lines, 'today'):9.2f}  {total(lines):9.2f}  altogether{more}",
    ]  # fmt: skip


def document(found, lines, notes=()):
    """The plan for programs: what `table` shows, with a version that changes when a key changes its meaning."""

    def change(one):
        # The do_* modules head their differences with the kind in words.
        name = one["name"].removeprefix(one["kind"].replace("_", " ") + " ")
        return {"action": one["action"], "kind": one["kind"], "name": name, "why": list(one.get("why") or [])}

    return {
        "version": 1,
        "changes": [change(one) for one in found],
        "notes": [note.replace("\n", " ") for note in notes],
        "costs": [{key: line.get(key) for key in ("what", "size", "monthly", "today", "declared", "dated")} for line in lines],
        "currency": "USD",
        "monthly": total(lines),
        "monthly_today": total(lines, "today"),
        "without_price": sum(line["monthly"] is None for line in lines),
    }
