# Copyright (c) botops.fleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two VPCs joined by a peering connection: accepted, resolving each other's names, with routes on both sides."""

from __future__ import annotations

import ipaddress

from ansible_collections.botops.fleet.plugins.module_utils._aws.module import AwsAdapter, tag_dict, tag_list
from ansible_collections.botops.fleet.plugins.module_utils._resource import Failure, Gone, wait_for

ALIVE = ("initiating-request", "pending-acceptance", "provisioning", "active")
NO_CREDENTIALS = {"aws_access_key_id": None, "aws_secret_access_key": None, "aws_session_token": None}


class Side:
    """One of the two VPCs, seen with the credentials and in the region that it belongs to."""

    def __init__(self, adapter, word, vpc_id, tables, where, region):
        self.word, self.vpc_id, self.tables, self.region = word, vpc_id, tables, region
        self.api = adapter.client.api("ec2", **where)
        self._vpc = self._tables = None

    @property
    def cidrs(self):
        if self._vpc is None:
            try:
                self._vpc = self.api.read("describe_vpcs", VpcIds=[self.vpc_id])["Vpcs"][0]
            except Gone:
                raise Failure("%s: %s does not exist in %s." % (self.word, self.vpc_id, self.region)) from None
        blocks = [one["CidrBlock"] for one in self._vpc.get("CidrBlockAssociationSet") or [] if one["CidrBlockState"]["State"] == "associated"]
        return sorted(set(blocks or [self._vpc["CidrBlock"]]))

    def route_tables(self, fresh=False):
        """{id: {destination: route}} of the VPC's route tables."""
        if fresh or self._tables is None:
            listed = self.api.pages("describe_route_tables", "RouteTables", Filters=[{"Name": "vpc-id", "Values": [self.vpc_id]}])
            self._tables = {
                table["RouteTableId"]: {route["DestinationCidrBlock"]: route for route in table["Routes"] if route.get("DestinationCidrBlock")}
                for table in listed
            }
        return self._tables

    def connection(self, identity):
        try:
            return self.api.read("describe_vpc_peering_connections", VpcPeeringConnectionIds=[identity])["VpcPeeringConnections"][0]
        except (Gone, IndexError):
            return None  # another region hears of it a little later


class PeeringLink(AwsAdapter):
    kind = "vpc_peering_link"
    created_in_steps = True
    service = "ec2"
    computed = ("id", "status")

    def __init__(self, client, params, check_mode=False, log=None):
        if params["tags"] is not None:
            params = dict(params, tags={**params["tags"], "Name": params["name"]})
        super().__init__(client, params, check_mode, log)
        region = params["peer_region"] or client.region
        # Another account's side is out of reach without its credentials.
        self.reach = bool(params["peer_profile"]) or not params["peer_owner_id"]
        where = {"region": region} if region != client.region or params["peer_profile"] else {}
        if params["peer_profile"]:
            where.update(NO_CREDENTIALS, profile_name=params["peer_profile"])
        self.own = Side(self, "vpc_id", params["vpc_id"], params["route_tables"] or [], {}, client.region)
        self.peer = Side(self, "peer_vpc_id", params["peer_vpc_id"], params["peer_route_tables"] or [], where, region)

    @property
    def sides(self):
        return [self.own, self.peer] if self.reach else [self.own]

    def other(self, side):
        return self.peer if side is self.own else self.own

    def validate(self):
        if self.params["vpc_id"] == self.params["peer_vpc_id"]:
            raise Failure("peer_vpc_id: a network cannot be joined with itself.")
        if self.params["peer_route_tables"] and not self.reach:
            raise Failure("peer_route_tables: the other account's side can only be changed with peer_profile.")

    def find(self):
        both = [self.own.vpc_id, self.peer.vpc_id]
        filters = [{"Name": "%s-vpc-info.vpc-id" % side, "Values": both} for side in ("requester", "accepter")]
        filters.append({"Name": "status-code", "Values": list(ALIVE)})
        found = self.own.api.pages("describe_vpc_peering_connections", "VpcPeeringConnections", Filters=filters)
        # Whoever asked for it, it joins the same two networks.
        return [
            raw for raw in found
            if {raw["RequesterVpcInfo"]["VpcId"], raw["AccepterVpcInfo"]["VpcId"]} == set(both) and raw["Status"]["Code"] in ALIVE
        ]

    def describe(self, raw):
        return "%s, %s" % (raw["VpcPeeringConnectionId"], raw["Status"]["Code"])

    def tags_of(self, raw):
        return tag_dict(raw.get("Tags"))

    # --- routes

    def destinations(self, side):
        """Where routes of a side lead to; unknown while the other account cannot be asked."""
        other = self.other(side)
        if other in self.sides:
            return other.cidrs
        return [self.params["peer_cidr"]] if self.params["peer_cidr"] else []

    def wanted_routes(self):
        return [(side, table, cidr) for side in self.sides for table in side.tables for cidr in self.destinations(side)]

    def routes_of(self, identity, fresh=False):
        return [
            (side, table, cidr)
            for side in self.sides for table, routes in side.route_tables(fresh).items() for cidr, route in routes.items()
            if route.get("VpcPeeringConnectionId") == identity and route.get("State", "active") == "active"
        ]

    @staticmethod
    def lines(routes):
        return sorted("%s %s" % (table, cidr) for _unused, table, cidr in routes)

    def check_routes(self, identity=None):
        for side, table, cidr in self.wanted_routes():
            routes = side.route_tables().get(table)
            if routes is None:
                raise Failure("%s is not a route table of %s in %s." % (table, side.vpc_id, side.region))
            route = routes.get(cidr, {})
            ours = identity and route.get("VpcPeeringConnectionId") == identity
            if route and not ours and route.get("State", "active") == "active":
                target = next((route[key] for key in sorted(route) if key.endswith("Id") and route[key]), "elsewhere")
                raise Failure("%s sends %s to %s already; remove that route first." % (table, cidr, target))

    # --- comparing

    def role(self, raw, side):
        return "Requester" if raw["RequesterVpcInfo"]["VpcId"] == side.vpc_id else "Accepter"

    def resolves(self, raw, side):
        """Whether names of a side resolve to private addresses on the other."""
        seen = raw if side is self.own else side.connection(raw["VpcPeeringConnectionId"]) or raw
        options = seen[self.role(raw, side) + "VpcInfo"].get("PeeringOptions") or {}
        return bool(options.get("AllowDnsResolutionFromRemoteVpc"))

    def current(self, raw):
        found = {
            "status": raw["Status"]["Code"], "dns_resolution": self.resolves(raw, self.own),
            "routes": self.lines(self.routes_of(raw["VpcPeeringConnectionId"])), "tags": self.current_tags(raw),
        }
        return {**found, "peer_dns_resolution": self.resolves(raw, self.peer)} if self.reach else found

    def wanted(self, raw):
        have = self.lines(self.routes_of(raw["VpcPeeringConnectionId"])) if raw else []
        found = {
            # An account that cannot be reached has to accept by itself.
            "status": "active" if self.reach else None, "dns_resolution": self.params["dns_resolution"],
            # Routes of other tables through this connection are somebody else's business.
            "routes": sorted(set(have) | set(self.lines(self.wanted_routes()))), "tags": self.wanted_tags(raw),
        }
        if self.reach:
            return {**found, "peer_dns_resolution": self.params["dns_resolution"]}
        if raw is None or raw["Status"]["Code"] != "active":
            found.update(dns_resolution=None, routes=None)  # possible once it was accepted
        return found

    def check_creation(self, wanted):
        for mine in self.own.cidrs:
            for other in self.destinations(self.own):
                if ipaddress.ip_network(mine).overlaps(ipaddress.ip_network(other)):
                    raise Failure("The networks overlap (%s has %s, %s has %s) and cannot be joined." % (
                        self.own.vpc_id, mine, self.peer.vpc_id, other))
        self.check_routes()

    def check_update(self, raw, changes):
        if "routes" in changes:
            self.check_routes(raw["VpcPeeringConnectionId"])

    # --- changing

    def create(self, wanted):
        tags = {**{str(k): str(v) for k, v in (self.params["tags"] or {}).items()}, "Name": self.params["name"]}
        request = {"VpcId": self.own.vpc_id, "PeerVpcId": self.peer.vpc_id}
        if self.peer.region != self.own.region:
            request["PeerRegion"] = self.peer.region
        if self.params["peer_owner_id"]:
            request["PeerOwnerId"] = self.params["peer_owner_id"]
        said = self.own.api.create(
            "create_vpc_peering_connection",
            TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": tag_list(tags)}], **request,
        )
        return said["VpcPeeringConnection"]

    def accept(self, raw):
        identity = raw["VpcPeeringConnectionId"]
        accepter = self.own if self.role(raw, self.own) == "Accepter" else self.peer

        def visible():
            return accepter.connection(identity), "%s has not heard of %s" % (accepter.region, identity)

        def active():
            seen = [(side.connection(identity) or {"Status": {"Code": "unknown"}})["Status"]["Code"] for side in self.sides]
            return (True, "") if set(seen) == {"active"} else (None, " and ".join(seen))

        wait_for(visible, self.title, self.params["wait_timeout"], self.log)
        accepter.api.write("accept_vpc_peering_connection", VpcPeeringConnectionId=identity)
        self.did("accepted %s" % identity)
        wait_for(active, "%s to become active" % self.title, self.params["wait_timeout"], self.log)

    def update(self, raw, changes, wanted):
        identity = raw["VpcPeeringConnectionId"]
        if "status" in changes:
            self.accept(raw)
        for side, field in ((self.own, "dns_resolution"), (self.peer, "peer_dns_resolution")):
            if field in changes:
                options = {"%sPeeringConnectionOptions" % self.role(raw, side): {"AllowDnsResolutionFromRemoteVpc": changes[field][1]}}
                side.api.write("modify_vpc_peering_connection_options", VpcPeeringConnectionId=identity, **options)
                self.did("set DNS resolution of %s to %s" % (side.vpc_id, str(changes[field][1]).lower()))
        if "routes" in changes:
            have = {(table, cidr) for _unused, table, cidr in self.routes_of(identity)}
            for side, table, cidr in self.wanted_routes():
                if (table, cidr) in have:
                    continue
                # A route whose target is gone stands in the way of a new one.
                operation = "replace_route" if cidr in side.route_tables()[table] else "create_route"
                side.api.write(operation, RouteTableId=table, DestinationCidrBlock=cidr, VpcPeeringConnectionId=identity)
                self.did("routed %s in %s" % (cidr, table))
        if "tags" in changes:
            self.update_tags(
                raw,
                lambda tags: self.own.api.write("create_tags", Resources=[identity], Tags=tag_list(tags)),
                lambda keys: self.own.api.write("delete_tags", Resources=[identity], Tags=[{"Key": key} for key in keys]),
            )
            self.did("changed tags")
        self.routes_of(identity, fresh=True)
        return self.own.connection(identity) or raw

    def settled(self, raw):
        raw = self.own.connection(raw["VpcPeeringConnectionId"]) or raw
        code = raw["Status"]["Code"]
        if code not in ALIVE:
            raise Failure("%s: %s %s" % (self.title, code, raw["Status"].get("Message") or ""))
        # Waiting for acceptance is an answer: accepting is the next step.
        return (raw, code) if code in ("active", "pending-acceptance") else (None, code)

    def delete(self, raw):
        identity = raw["VpcPeeringConnectionId"]
        for side, table, cidr in self.routes_of(identity):
            side.api.write("delete_route", RouteTableId=table, DestinationCidrBlock=cidr)
            self.did("removed the route to %s from %s" % (cidr, table))
        self.own.api.write("delete_vpc_peering_connection", VpcPeeringConnectionId=identity)

    def vanished(self, raw):
        seen = self.own.connection(raw["VpcPeeringConnectionId"])
        code = seen["Status"]["Code"] if seen else "deleted"
        return (None, code) if code in ALIVE + ("deleting",) else (True, code)

    def planned(self, wanted):
        return {**super().planned(wanted), "requester_vpc_id": self.own.vpc_id, "accepter_vpc_id": self.peer.vpc_id}

    def shape(self, raw):
        return {
            **self.current(raw), "id": raw["VpcPeeringConnectionId"], "name": self.tags_of(raw).get("Name", ""),
            "requester_vpc_id": raw["RequesterVpcInfo"]["VpcId"], "accepter_vpc_id": raw["AccepterVpcInfo"]["VpcId"],
            "tags": self.tags_of(raw),
        }
