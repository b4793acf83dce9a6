"""Managed database clusters with their users, databases, pools and trusted sources."""

from __future__ import annotations

import ipaddress
import re

from .compute import check_tags, default_vpc, the_region
from .network import found
from .projects import project_of
from .server import Refusal, not_emulated, not_found, now, route

PORTS = {"pg": 25060, "mysql": 25060, "redis": 25061, "valkey": 25061, "mongodb": 27017}
VERSIONS = {"pg": "16", "mysql": "8", "redis": "7", "valkey": "8", "mongodb": "7"}
OFFERED = {
    "pg": ("13", "14", "15", "16", "17", "18"),
    "mysql": ("8",),
    "redis": ("6", "7"),
    "valkey": ("8",),
    "mongodb": ("5", "6", "7", "8"),
}
SIZES = {
    "db-s-1vcpu-1gb": 10240,
    "db-s-1vcpu-2gb": 30720,
    "db-s-2vcpu-4gb": 61440,
    "db-s-4vcpu-8gb": 117760,
    "gd-2vcpu-8gb": 40960,
}
POLICIES = ("noeviction", "allkeys_lru", "allkeys_random", "volatile_lru", "volatile_random", "volatile_ttl")
CA = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmVtdWxhdGVkCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K"


def prepare(emulator):
    emulator.table("databases")
    emulator.table("database_parts")


def connection(cluster, host, user, database):
    port = PORTS[cluster["engine"]]
    scheme = {"pg": "postgresql", "valkey": "rediss", "redis": "rediss"}.get(cluster["engine"], cluster["engine"])
    return {
        "uri": f"{scheme}://{user['name']}:{user['password']}@{host}:{port}/{database}?sslmode=require",
        "database": database,
        "host": host,
        "port": port,
        "user": user["name"],
        "password": user["password"],
        "ssl": True,
    }


def new_user(emulator, name, role="normal"):
    return {"name": name, "role": role, "password": f"canary-{emulator.number()}"}


def view(emulator, cluster):
    parts = emulator.table("database_parts")[cluster["id"]]
    admin = next(iter(parts["users"].values()))
    database = next(iter(parts["dbs"]), "")
    host = f"{cluster['name']}-do-user-1.db.example.com"
    answer = {k: v for k, v in cluster.items() if v is not None}
    if cluster["status"] != "creating":
        answer.update(
            connection=connection(cluster, host, admin, database),
            private_connection=connection(cluster, "private-" + host, admin, database),
        )
    if cluster["engine"] in ("pg", "mysql"):
        answer.update(users=list(parts["users"].values()), db_names=list(parts["dbs"]))
    else:
        answer.update(users=None, db_names=None)
    return answer


def the_cluster(emulator, identity):
    return found(emulator.table("databases"), identity), emulator.table("database_parts")[identity]


@route("GET", "/v2/databases")
def list_clusters(emulator, request):
    tag = request.query.get("tag_name")
    clusters = [c for c in emulator.table("databases").values() if tag is None or tag in c["tags"]]
    # This listing has no pages.
    return 200, {"databases": [view(emulator, cluster) for cluster in clusters]}


@route("POST", "/v2/databases")
def create_cluster(emulator, request):
    name, engine, size, region, nodes = request.need("name", "engine", "size", "region", "num_nodes")
    body = request.body
    region = the_region(region)["slug"]
    if engine in ("kafka", "opensearch", "advanced_pg", "advanced_mysql"):
        raise not_emulated(f"database engine {engine}")
    if engine not in PORTS:
        raise Refusal(422, "invalid engine")
    if body.get("version", VERSIONS[engine]) not in OFFERED[engine]:
        raise Refusal(422, "invalid version")
    if size not in SIZES:
        raise Refusal(422, "invalid size")
    if not re.match(r"^[a-z0-9][a-z0-9-]{2,62}$", name):
        raise Refusal(422, "invalid cluster name")
    if any(cluster["name"] == name for cluster in emulator.table("databases").values()):
        raise Refusal(422, "cluster name is not available")
    vpc = body.get("private_network_uuid") or default_vpc(emulator, region)["id"]
    if found(emulator.table("vpcs"), vpc)["region"] != region:
        raise Refusal(422, "private network is not in the region")
    identity = emulator.uuid()
    cluster = {
        "id": identity,
        "name": name,
        "engine": engine,
        "version": body.get("version", VERSIONS[engine]),
        "semantic_version": body.get("version", VERSIONS[engine]) + ".0",
        "num_nodes": nodes,
        "size": size,
        "region": region,
        "status": "creating",
        "created_at": now(),
        "private_network_uuid": vpc,
        "tags": check_tags(body.get("tags")),
        "maintenance_window": {"day": "saturday", "hour": "04:00:00", "pending": False, "description": []},
        "project_id": body.get("project_id") or project_of(emulator, f"do:dbaas:{identity}"),
        "storage_size_mib": body.get("storage_size_mib", SIZES[size]),
    }
    emulator.table("databases")[identity] = cluster
    admin = new_user(emulator, "doadmin", "primary")
    emulator.table("database_parts")[identity] = {
        "users": {"doadmin": admin},
        "dbs": {"defaultdb": {"name": "defaultdb"}} if engine in ("pg", "mysql") else {},
        "pools": {},
        "rules": [],
        "eviction": "noeviction",
    }
    emulator.later(lambda: cluster.update(status="online"))
    return 201, {"database": view(emulator, cluster)}


@route("GET", "/v2/databases/{identity}")
def get_cluster(emulator, request, identity):
    return 200, {"database": view(emulator, the_cluster(emulator, identity)[0])}


@route("DELETE", "/v2/databases/{identity}")
def delete_cluster(emulator, request, identity):
    the_cluster(emulator, identity)
    del emulator.table("databases")[identity], emulator.table("database_parts")[identity]
    return 204, None


def online(cluster):
    if cluster["status"] != "online":
        raise Refusal(422, "cluster is not online")


@route("PUT", "/v2/databases/{identity}/resize")
def resize(emulator, request, identity):
    cluster, _ = the_cluster(emulator, identity)
    online(cluster)
    size, nodes = request.need("size", "num_nodes")
    if size not in SIZES:
        raise Refusal(422, "invalid size")
    storage = request.body.get("storage_size_mib") or max(SIZES[size], cluster["storage_size_mib"])
    if storage < cluster["storage_size_mib"]:
        raise Refusal(422, "storage cannot be decreased")
    cluster["status"] = "resizing"
    emulator.later(lambda: cluster.update(status="online", size=size, num_nodes=nodes, storage_size_mib=storage))
    return 202, None


@route("PUT", "/v2/databases/{identity}/upgrade")
def upgrade(emulator, request, identity):
    cluster, _ = the_cluster(emulator, identity)
    online(cluster)
    (version,) = request.need("version")
    if version not in OFFERED[cluster["engine"]]:
        raise Refusal(422, "invalid version")
    if float(version) <= float(cluster["version"]):
        raise Refusal(422, "a cluster can only be upgraded")
    cluster.update(status="migrating", version=version)
    emulator.later(lambda: cluster.update(status="online"))
    return 204, None


@route("PUT", "/v2/databases/{identity}/maintenance")
def maintenance(emulator, request, identity):
    cluster, _ = the_cluster(emulator, identity)
    day, hour = request.need("day", "hour")
    hour = hour if hour.count(":") == 2 else hour + ":00"
    cluster["maintenance_window"] = {"day": day, "hour": hour, "pending": False, "description": []}
    return 204, None


@route("GET", "/v2/databases/{identity}/ca")
def authority(emulator, request, identity):
    the_cluster(emulator, identity)
    return 200, {"ca": {"certificate": CA}}


@route("GET", "/v2/databases/{identity}/eviction_policy")
def get_eviction(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    if cluster["engine"] not in ("redis", "valkey"):
        raise Refusal(422, "not supported by this engine")
    return 200, {"eviction_policy": parts["eviction"]}


@route("PUT", "/v2/databases/{identity}/eviction_policy")
def set_eviction(emulator, request, identity):
    _, parts = the_cluster(emulator, identity)
    if request.body.get("eviction_policy") not in POLICIES:
        raise Refusal(422, "invalid eviction policy")
    parts["eviction"] = request.body["eviction_policy"]
    return 204, None


@route("GET", "/v2/databases/{identity}/firewall")
def get_rules(emulator, request, identity):
    return 200, {"rules": the_cluster(emulator, identity)[1]["rules"]}


@route("PUT", "/v2/databases/{identity}/firewall")
def set_rules(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    rules = []
    for rule in request.body.get("rules", []):
        if rule.get("type") not in ("droplet", "k8s", "ip_addr", "tag", "app") or not isinstance(rule.get("value"), str):
            raise Refusal(422, "invalid trusted source")
        if rule["type"] == "ip_addr":
            try:
                ipaddress.ip_network(rule["value"], strict=False)
            except ValueError:
                raise Refusal(422, "trusted source is no IP address") from None
        if rule["type"] == "droplet" and not (rule["value"].isdigit() and int(rule["value"]) in emulator.table("droplets")):
            raise Refusal(422, "droplet does not exist")
        if rule["type"] == "tag" and rule["value"] not in emulator.table("tags"):
            raise Refusal(422, "tag does not exist")
        rules.append({"uuid": emulator.uuid(), "cluster_uuid": identity, "created_at": now(), **rule})
    parts["rules"] = rules
    return 204, None


# --- parts that have a name


def need_sql(cluster):
    online(cluster)
    if cluster["engine"] not in ("pg", "mysql"):
        raise Refusal(412, "not supported by this engine")


@route("GET", "/v2/databases/{identity}/users")
def list_users(emulator, request, identity):
    return 200, {"users": list(the_cluster(emulator, identity)[1]["users"].values())}


@route("POST", "/v2/databases/{identity}/users")
def add_user(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    need_sql(cluster)
    (name,) = request.need("name")
    if name in parts["users"]:
        raise Refusal(422, "user already exists")
    parts["users"][name] = new_user(emulator, name)
    return 201, {"user": parts["users"][name]}


@route("DELETE", "/v2/databases/{identity}/users/{name}")
def delete_user(emulator, request, identity, name):
    users = the_cluster(emulator, identity)[1]["users"]
    if name not in users:
        raise not_found()
    if users[name]["role"] == "primary":
        raise Refusal(422, "the primary user cannot be deleted")
    del users[name]
    return 204, None


@route("GET", "/v2/databases/{identity}/dbs")
def list_dbs(emulator, request, identity):
    return 200, {"dbs": list(the_cluster(emulator, identity)[1]["dbs"].values())}


@route("POST", "/v2/databases/{identity}/dbs")
def add_db(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    need_sql(cluster)
    (name,) = request.need("name")
    if name in parts["dbs"]:
        raise Refusal(422, "database already exists")
    parts["dbs"][name] = {"name": name}
    return 201, {"db": {"name": name}}


@route("DELETE", "/v2/databases/{identity}/dbs/{name}")
def delete_db(emulator, request, identity, name):
    dbs = the_cluster(emulator, identity)[1]["dbs"]
    found(dbs, name)
    del dbs[name]
    return 204, None


def pool_view(cluster, parts, pool):
    user = parts["users"][pool["user"]]
    return {
        **pool,
        "connection": connection(cluster, f"{cluster['name']}.db.example.com", user, pool["name"]),
        "private_connection": connection(cluster, f"private-{cluster['name']}.db.example.com", user, pool["name"]),
    }


def pool_from(parts, body):
    if body.get("db") not in parts["dbs"] or body.get("user") not in parts["users"]:
        raise Refusal(422, "the pool's database or user does not exist")
    if body.get("mode") not in ("transaction", "session", "statement"):
        raise Refusal(422, "invalid mode")
    return {name: body[name] for name in ("db", "user", "mode", "size")}


@route("GET", "/v2/databases/{identity}/pools")
def list_pools(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    return 200, {"pools": [pool_view(cluster, parts, pool) for pool in parts["pools"].values()]}


@route("POST", "/v2/databases/{identity}/pools")
def add_pool(emulator, request, identity):
    cluster, parts = the_cluster(emulator, identity)
    online(cluster)
    if cluster["engine"] != "pg":
        raise Refusal(412, "not supported by this engine")
    (name,) = request.need("name")
    if name in parts["pools"]:
        raise Refusal(422, "pool already exists")
    parts["pools"][name] = {"name": name, **pool_from(parts, request.body)}
    return 201, {"pool": pool_view(cluster, parts, parts["pools"][name])}


@route("PUT", "/v2/databases/{identity}/pools/{name}")
def change_pool(emulator, request, identity, name):
    _, parts = the_cluster(emulator, identity)
    found(parts["pools"], name).update(pool_from(parts, request.body))
    return 204, None


@route("DELETE", "/v2/databases/{identity}/pools/{name}")
def delete_pool(emulator, request, identity, name):
    pools = the_cluster(emulator, identity)[1]["pools"]
    found(pools, name)
    del pools[name]
    return 204, None
