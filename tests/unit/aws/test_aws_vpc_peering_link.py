"""aws_vpc_peering_link: the grid across regions, names and routes on both sides, and what must not be touched."""

import pytest

REGIONS = ("us-east-1", "eu-central-1")


@pytest.fixture
def networks(client):
    """Two networks in two regions with a route table each, as the module's arguments."""
    found = {"name": "core-outpost", "peer_region": REGIONS[1]}
    for region, cidr, prefix in ((REGIONS[0], "10.10.0.0/16", ""), (REGIONS[1], "10.20.0.0/16", "peer_")):
        ec2 = client("ec2", region)
        vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        found[prefix + "vpc_id"] = vpc
        found[prefix + "route_tables"] = [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]]
    return found


def identity(networks):
    return {key: networks[key] for key in ("name", "vpc_id", "peer_vpc_id", "peer_region")}


def routes(client, region, table):
    (found,) = client("ec2", region).describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return {route["DestinationCidrBlock"]: route.get("VpcPeeringConnectionId") for route in found["Routes"]}


def test_life(life, client, networks):
    def drift(link):
        client("ec2", REGIONS[1]).modify_vpc_peering_connection_options(
            VpcPeeringConnectionId=link["id"], AccepterPeeringConnectionOptions={"AllowDnsResolutionFromRemoteVpc": False}
        )
        client("ec2", REGIONS[0]).delete_route(RouteTableId=networks["route_tables"][0], DestinationCidrBlock="10.20.0.0/16")

    created = life(
        "vpc_peering_link", {**networks, "tags": {"env": "prod"}}, identity(networks), drift,
        ["ModifyVpcPeeringConnectionOptions", "CreateRoute"],
    )
    assert created.writes == [
        "CreateVpcPeeringConnection", "AcceptVpcPeeringConnection", "ModifyVpcPeeringConnectionOptions",
        "ModifyVpcPeeringConnectionOptions", "CreateRoute", "CreateRoute",
    ]
    link = created["vpc_peering_link"]
    assert link["status"] == "active" and link["dns_resolution"] and link["peer_dns_resolution"]
    assert link["tags"] == {"Name": "core-outpost", "env": "prod"} and len(link["routes"]) == 2
    for region, key in zip(REGIONS, ("route_tables", "peer_route_tables"), strict=True):
        assert link["id"] not in routes(client, region, networks[key][0]).values(), "a route into nothing was left"


def test_one_that_the_other_side_asked_for_is_accepted(aws, client, networks):
    pending = client("ec2", REGIONS[1]).create_vpc_peering_connection(
        VpcId=networks["peer_vpc_id"], PeerVpcId=networks["vpc_id"], PeerRegion=REGIONS[0]
    )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    said = aws("vpc_peering_link", **networks)
    assert said["vpc_peering_link"]["id"] == pending and said["vpc_peering_link"]["requester_vpc_id"] == networks["peer_vpc_id"]
    assert said.writes[0] == "AcceptVpcPeeringConnection" and "CreateVpcPeeringConnection" not in said.writes
    assert not aws("vpc_peering_link", **networks)["changed"]


def test_routes_of_others_are_left_alone(aws, client, networks):
    link = aws("vpc_peering_link", **networks)["vpc_peering_link"]
    ec2 = client("ec2", REGIONS[0])
    other = ec2.create_route_table(VpcId=networks["vpc_id"])["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=other, DestinationCidrBlock="10.20.1.0/24", VpcPeeringConnectionId=link["id"])
    assert not aws("vpc_peering_link", **networks)["changed"]
    assert aws("vpc_peering_link", state="absent", **identity(networks)).writes.count("DeleteRoute") == 3


def test_a_route_that_leads_elsewhere_is_refused(aws, client, networks):
    ec2 = client("ec2", REGIONS[0])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=networks["vpc_id"])
    ec2.create_route(RouteTableId=networks["route_tables"][0], DestinationCidrBlock="10.20.0.0/16", GatewayId=gateway)
    said = aws("vpc_peering_link", fails=True, **networks)
    assert f"sends 10.20.0.0/16 to {gateway} already; remove that route first" in said["msg"] and said.writes == []


def test_networks_that_overlap(aws, client, networks):
    vpc = client("ec2", REGIONS[1]).create_vpc(CidrBlock="10.10.128.0/17")["Vpc"]["VpcId"]
    said = aws("vpc_peering_link", fails=True, check=True, **{**networks, "peer_vpc_id": vpc, "peer_route_tables": None})
    assert "The networks overlap" in said["msg"] and "10.10.128.0/17" in said["msg"]


def test_another_account_has_to_accept_by_itself(aws, client, networks):
    """Without its credentials, the other side is neither read nor changed."""
    arguments = {**networks, "peer_owner_id": "210987654321", "peer_cidr": "10.20.0.0/16", "peer_route_tables": None}
    foreseen = aws("vpc_peering_link", check=True, **arguments)
    assert foreseen["changed"] and "peer_dns_resolution" not in foreseen["diff"]["after"] and "routes" not in foreseen["diff"]["after"]
    said = aws("vpc_peering_link", fails=True, **{**arguments, "peer_route_tables": ["rtb-1"]})
    assert "can only be changed with peer_profile" in said["msg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"peer_vpc_id": "same"}, "a network cannot be joined with itself"),
        ({"vpc_id": "vpc-12345678"}, "vpc_id: vpc-12345678 does not exist in us-east-1"),
        ({"route_tables": ["rtb-12345678"]}, "rtb-12345678 is not a route table of"),
    ],
)
def test_mistakes(aws, networks, arguments, sentence):
    if arguments.get("peer_vpc_id") == "same":
        arguments = {"peer_vpc_id": networks["vpc_id"]}
    assert sentence in aws("vpc_peering_link", fails=True, check=True, **{**networks, **arguments})["msg"]
