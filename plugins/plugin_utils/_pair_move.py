# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the bots of a pair may be moved to the other member now, and what `ha_status` says of them. Pure: it judges what both members answered.

`views` is {member: what cluster_status answered there, or nothing where it could not be asked}.
"""

from __future__ import annotations

# What arrives is restored every second or two; a standby that is further behind would start with old data or keep the bot waiting.
LAG_SECONDS = 10
# A member that has just come back is still being caught up with.
SETTLED_SECONDS = 10
SAFE = ("Make sure that it IS off (pull the plug, use the provider's console); a host that still runs would trade beside the other one. "
        "Then type: playbooks/failover.yml -e failed_node_is_off=%s")


def answered(view):
    return isinstance(view, dict) and bool((view.get("cluster") or {}).get("answers"))


def spokesman(views):
    """The member whose word counts: one that has the quorum before one that has not."""
    found = [name for name in views if answered(views[name])]
    found.sort(key=lambda name: not views[name]["cluster"]["quorate"])
    return found[0] if found else ""


def runs_on(cluster, bots):
    """{bot: the members on which its resource is started}."""
    by_id = {resource["id"]: resource for resource in cluster["resources"]}
    return {bot: by_id[bot + "-bot"]["on"] if bot + "-bot" in by_id else [] for bot in bots}


def on_off(value):
    return str(value).strip().lower() in ("true", "yes", "1", "on")


def plan(views, bots, wanted):
    """What is to be done: `kind` nothing, move, confirm, wait or refuse; `old`, `new`, `speaker`, and `refusals` or what it `says`.

    `wanted`: to, back (to normal: failback.yml), failed_node_is_off, cleanup, accept_no_witness, accept_diverged, accept_lag_seconds.
    """
    speaker = spokesman(views)
    found = {"kind": "refuse", "old": "", "new": "", "speaker": speaker, "refusals": [], "says": ""}
    if not speaker:
        why = "; ".join("%s: %s" % (name, why_silent(views[name])) for name in views)
        found["refusals"] = ["No member answers for the cluster (%s). Start it with `systemctl start corosync pacemaker` on a member, or run site.yml." % why]
        return found
    cluster = views[speaker]["cluster"]
    to, off = wanted.get("to") or "", wanted.get("failed_node_is_off") or ""
    for name, given in (("to", to), ("failed_node_is_off", off)):
        if given and given not in views:
            found["refusals"].append("%s is %s, and that is no member; write one of %s." % (name, given, ", ".join(sorted(views))))
    if found["refusals"]:
        return found
    lost = [name for name in views if not (cluster["nodes"].get(name) or {}).get("online")]
    return recovery(found, views, cluster, bots, lost, off) if lost or off else planned(found, views, cluster, bots, to, wanted)


def why_silent(view):
    view = view if isinstance(view, dict) else {}
    return (view.get("cluster") or {}).get("why") or "cannot be reached"


# --- one member is lost --------------------------------------------------------------------------------------


def recovery(found, views, cluster, bots, lost, off):
    if off and off not in lost:
        found["refusals"] = ["failed_node_is_off is %s, and the cluster sees it online: it is not off. For a planned move leave that out." % off]
        return found
    if len(lost) > 1:
        found["refusals"] = ["Nobody is online as %s sees it. Look at `crm_mon -1` there." % found["speaker"]]
        return found
    found["old"] = node = lost[0]
    found["new"] = survivor = next(name for name in views if name != node)
    if not cluster["quorate"]:
        found["refusals"] = [
            "%s has no quorum: %s is lost and the witness does not answer either, so it cannot know that it is not the one that is cut off. Bring the "
            "witness back: then this goes on by itself." % (survivor, node)]
        return found
    unclean = node in cluster["waiting_for_operator"]
    if off and answers_at_all(views[node]):
        found["refusals"] = ["failed_node_is_off is %s, and it answers over SSH: it is not off. Switch it off first." % off]
    elif unclean and not off:
        found["refusals"] = ["%s is lost, and nobody knows whether it still trades: no fencing device has switched it off. %s" % (node, SAFE % node)]
    elif unclean:
        found["kind"] = "confirm"
    else:
        started = runs_on(cluster, bots)
        waiting = [bot for bot in bots if survivor not in started[bot]]
        found["kind"] = "wait" if waiting else "nothing"
        found["says"] = "" if waiting else "%s is off; %s on %s." % (node, trades(bots), survivor)
    return found


def answers_at_all(view):
    return isinstance(view, dict) and "cluster" in view


def trades(bots):
    return "%s trades" % bots[0] if len(bots) == 1 else "%s trade" % ", ".join(bots)


# --- both are there ------------------------------------------------------------------------------------------


def planned(found, views, cluster, bots, to, wanted):
    active = sorted({name for names in runs_on(cluster, bots).values() for name in names})
    if len(active) != 1:
        found["refusals"] = [
            "%s on %s. Look at `crm_mon -1` and, when a start failed too often, type: playbooks/failover.yml -e cleanup=true -e to=HOST"
            % ("Nothing runs" if not active else "Bots run", " and ".join(active) or "either member")]
        if active or not (on_off(wanted.get("cleanup")) and to):
            return found
        found["refusals"] = []
    old = active[0] if active else next(name for name in views if name != to)
    new = to or next(name for name in views if name != old)
    found.update(old=old, new=new)
    if active == [new]:
        found.update(kind="nothing", says="%s on %s already." % (trades(bots), new))
        return found
    found["refusals"] = refusals(views, cluster, bots, old, new, wanted)
    found["kind"] = "refuse" if found["refusals"] else "move"
    return found


def refusals(views, cluster, bots, old, new, wanted):
    said = []
    for name in (old, new):
        if not answered(views[name]):
            said.append("%s is online in the cluster and does not answer here (%s): what it has of the data is unknown." % (name, why_silent(views[name])))
    if not cluster["quorate"]:
        said.append("The cluster has no quorum: nothing may be moved. Look at `corosync-quorumtool`.")
    if cluster["maintenance"]:
        said.append("The cluster is in maintenance mode and moves nothing. When that work is done: `crm_attribute -n maintenance-mode -D` on %s." % new)
    said += looked_away(cluster)
    if cluster["nodes"][new]["standby"]:
        said.append("%s was put into standby mode, where nothing runs. Type there: `crm_node --name | xargs crm_standby -D -N`." % new)
    if cluster["witness"] != "connected" and not on_off(wanted.get("accept_no_witness")):
        said.append(
            "The witness does not vote (%s): while the bots move, the loss of either member would stop trading. Bring it back, or go on with "
            "-e accept_no_witness=true." % cluster["witness"])
    if not on_off(wanted.get("cleanup")):
        said += ["%s still stands: %s. Take it away and go on with -e cleanup=true." % (each["id"], "a constraint of an earlier move of %s" % each["resource"])
                 for each in cluster["moves"]]
        banned = [each for each in cluster["failures"] if each["node"] == new and each["banned"]]
        said += ["%s is left out for %s, which failed %s times there%s. When the reason is gone, go on with -e cleanup=true."
                 % (new, each["resource"], each["count"], each["why"] and " (%s)" % each["why"]) for each in banned]
    joined = views[new]["cluster"].get("joined_seconds") if answered(views[new]) else None
    if joined is not None and joined < SETTLED_SECONDS:
        said.append("%s came back %d s ago and is still being caught up with: wait a moment and type the same again." % (new, joined))
    return said + [sentence for bot in bots for sentence in of_a_bot(views, bot, old, new, wanted)]


def looked_away(cluster):
    """Hosts that a deployment left unwatched. Of a whole cluster in maintenance mode somebody else speaks."""
    away = sorted(name for name, node in cluster["nodes"].items() if node["maintenance"] and not cluster["maintenance"])
    return ["The cluster looks away from %s, as it does while a release is tried there. When nobody deploys, that was cut off; type on %s: "
            "crm_attribute --node %s --name maintenance --lifetime reboot --delete" % (name, name, name) for name in away]


def of_a_bot(views, bot, old, new, wanted):
    here = ((views[new] or {}).get("cluster") or {}).get("bots", {}).get(bot) or {}
    there = ((views[old] or {}).get("cluster") or {}).get("bots", {}).get(bot) or {}
    said = []
    if here.get("release") != there.get("release") and not on_off(wanted.get("new_release")):
        said.append("%s would run another release on %s (%s) than on %s (%s). Type: playbooks/deploy.yml -e bot=%s" % (
            bot, new, here.get("release") or "none", old, there.get("release") or "none", bot))
    replication = here.get("replication")
    if replication is None:  # a bot without replicated data
        return said
    limit = float(wanted.get("accept_lag_seconds") or LAG_SECONDS)
    restorable = (replication.get("restorable") or {}).get("databases") or {}
    if not restorable and replication.get("active") is not True:
        said.append("Nothing of %s has arrived on %s that restores yet. Look at `botops-rsync-ha status %s` on both." % (bot, new, bot))
    for name, entry in sorted(restorable.items()):
        if entry["reason"]:
            said.append("What arrived of %s on %s cannot be restored (%s): it would start without it. Look at `botops-rsync-ha status %s` on %s." % (
                name, new, entry["reason"], bot, old))
        elif entry["lag_seconds"] is None or entry["lag_seconds"] > limit:
            said.append("%s on %s is %s s behind (at most %g). Wait, look at `botops-rsync-ha status %s`, or go on with -e accept_lag_seconds=N." % (
                name, new, entry["lag_seconds"], limit, bot))
    # They are aside and in nobody's way; but who goes back to normal should have looked at them.
    if replication.get("diverged") and on_off(wanted.get("back")) and not on_off(wanted.get("accept_diverged")):
        said.append("%s keeps rows of %s that the other one never had (%s). Compare them with the exchange first, or go on with -e accept_diverged=true." % (
            new, bot, ", ".join(map(str, replication["diverged"]))))
    return said


# --- a deployment --------------------------------------------------------------------------------------------


def deploy_refusals(views, bots, accept_degraded=False):
    """Why no release should be tried on this pair now. Where no member runs the cluster, nothing trades yet, and nothing is refused."""
    speaker = spokesman(views)
    if not speaker:
        return []
    cluster = views[speaker]["cluster"]
    said = []
    if not cluster["quorate"]:
        said.append("The cluster has no quorum: nothing may be restarted. Look at `corosync-quorumtool`.")
    if cluster["maintenance"]:
        said.append("The cluster is in maintenance mode: end that work first, with `crm_attribute -n maintenance-mode -D` on %s." % speaker)
    said += looked_away(cluster)
    said += ["%s is left out for %s, which failed %s times there. Look at playbooks/ha_status.yml, and type: crm_resource --cleanup on %s." % (
        each["node"], each["resource"], each["count"], speaker) for each in cluster["failures"] if each["banned"]]
    lost = [name for name in views if not (cluster["nodes"].get(name) or {}).get("online")]
    if not on_off(accept_degraded):
        said += ["%s is lost: a release that fails could not be taken over from. Bring it back, or go on with -e accept_degraded=true; deploy "
                 "once more when it is back." % name for name in lost]
        if cluster["witness"] != "connected":
            said.append("The witness does not vote: bring it back, or go on with -e accept_degraded=true.")
        if not lost:
            said += not_restorable(views, cluster, bots)
    return said


def not_restorable(views, cluster, bots):
    said = []
    for bot, active in runs_on(cluster, bots).items():
        for name in views:
            entry = of(views, name, bot).get("replication") or {}
            for database, state in sorted(((entry.get("restorable") or {}).get("databases") or {}).items()) if active and name not in active else ():
                if state["reason"]:
                    said.append("What arrived of %s on %s cannot be restored (%s): should the release fail, nobody could take over. Look at "
                                "`botops-rsync-ha status %s`, or go on with -e accept_degraded=true." % (database, name, state["reason"], bot))
    return said


# --- afterwards ----------------------------------------------------------------------------------------------


def moved(found, bots, after, check_mode=False):
    """The last sentence of failover.yml. `after` is what both members answered when all was done."""
    if found["kind"] == "nothing":
        return found["says"] + " Nothing to do."
    if check_mode:
        return "%s: %s would run on %s." % ({"move": "Planned", "confirm": "On your word", "wait": "By itself"}[found["kind"]], ", ".join(bots), found["new"])
    if found["kind"] != "move":
        return "%s is off; %s on %s." % (found["old"], trades(bots), found["new"])
    gaps = []
    for bot in bots:
        stopped, started = (of(after, name, bot).get(key) for name, key in ((found["old"], "stopped"), (found["new"], "started")))
        if stopped and started:
            gaps.append(started - stopped)
    seconds = "; %.1f s between its stop on %s and healthy" % (max(gaps), found["old"]) if gaps else ""
    return "%s on %s%s." % (trades(bots), found["new"], seconds)


def of(views, name, bot):
    view = views.get(name)
    return ((view.get("cluster") or {}).get("bots") or {}).get(bot) or {} if isinstance(view, dict) else {}


# --- ha_status -----------------------------------------------------------------------------------------------


def lines(views, bots):
    """What ha_status prints below the cluster's own table: each bot's data and release, who is left out, and what to type."""
    speaker = spokesman(views)
    if not speaker:
        return []
    cluster, said = views[speaker]["cluster"], []
    for bot, names in runs_on(cluster, bots).items():
        said.append("bot        %s: %s" % (bot, "on " + ", ".join(names) if names else "NOT STARTED"))
        for name in views:
            if not answered(views[name]):
                continue
            about = (views[name]["cluster"].get("bots") or {}).get(bot) or {}
            said.append("           %s has release %s%s" % (name, about.get("release") or "none", data(about.get("replication"))))
    said += ["left out   %s of %s: failed %s times%s" % (each["node"], each["resource"], each["count"], each["why"] and " (%s)" % each["why"])
             for each in cluster["failures"] if each["banned"]]
    said += ["left over  %s" % each["id"] for each in cluster["moves"]]
    found = plan(views, bots, {})
    if found["kind"] == "move":
        said.append("to type    playbooks/failover.yml moves %s to %s" % (", ".join(bots), found["new"]))
    said += ["no move    " + sentence for sentence in found["refusals"]]
    return said


def data(replication):
    if not replication:
        return ""
    if replication.get("active"):
        return ", active"
    each = ["%s restores, %s s behind" % (name, entry["lag_seconds"]) if not entry["reason"] else "%s DOES NOT RESTORE: %s" % (name, entry["reason"])
            for name, entry in sorted(((replication.get("restorable") or {}).get("databases") or {}).items())]
    kept = replication.get("diverged") or []
    return ", " + "; ".join(each or ["nothing arrived that restores"]) + ("; DIVERGED: %s" % ", ".join(map(str, kept)) if kept else "")
