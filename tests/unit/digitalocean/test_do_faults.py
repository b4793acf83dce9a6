"""What goes wrong on the way: limits, failures, lost answers, half a list, bad tokens. Each ends well or in one sentence."""

import contextlib
import importlib
import io
import json
import sys
import time

import pytest
from do_harness import TOKEN, run_module, util

DROPLET = {"name": "bot-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvdG9wcy1mbGVldC10ZXN0LWtleS0wMDAwMDAwMDAx operator@laptop"


def sentence(result):
    assert "Traceback" not in result["msg"] and "\n" not in result["msg"] and len(result["msg"]) < 700, result["msg"]
    return result["msg"]


# --- creating is never repeated blindly


def test_create_answered_503_after_it_took_effect_makes_one_droplet(do, cloud):
    """Existing collections sent the POST four times."""
    cloud.fault(method="POST", path="^/v2/droplets$", status=503, after=True)
    result = do("droplet", **DROPLET)
    assert result["changed"] and result["droplet"]["public_ipv4"]
    assert result.writes == ["POST /v2/droplets"]
    assert len(cloud.table("droplets")) == 1
    assert "looked for by name" in result["warnings"][0]


UNREADABLE = {
    "no answer": {"drop": True}, "HTML 500": {"status": 500, "html": True}, "front end": {"status": 524, "html": True}, "timeout": {"status": 408},
    "half": {"truncate": True}, "null": {"body": None}, "empty": {"body": {}}, "without it": {"body": {"droplet": None}}, "page": {"status": 200, "html": True},
}


@pytest.mark.parametrize("fault", UNREADABLE.values(), ids=UNREADABLE)
def test_create_whose_answer_was_lost_makes_one_droplet(do, cloud, fault):
    cloud.fault(method="POST", path="^/v2/droplets$", after=True, **fault)
    assert do("droplet", **DROPLET).writes == ["POST /v2/droplets"]
    assert len(cloud.table("droplets")) == 1


def test_create_that_failed_without_effect_is_repeated_after_looking(do, cloud):
    cloud.fault(method="POST", path="^/v2/droplets$", status=503)
    result = do("droplet", **DROPLET)
    assert result.writes == ["POST /v2/droplets"] * 2
    between = result.requests.index(next(r for r in reversed(result.requests) if r["method"] == "POST"))
    looked = [r for r in result.requests[:between] if r["path"].startswith("/v2/droplets?name=bot-1")]
    assert len(looked) > 2, "sent again without looking"
    assert len(cloud.table("droplets")) == 1


def test_create_that_never_gets_an_answer_gives_up_and_says_how_to_go_on(do, cloud):
    cloud.fault(method="POST", path="^/v2/droplets$", status=503, times=9)
    result = do("droplet", fails=True, **DROPLET)
    assert len(result.writes) == 2
    assert "Run the task again" in sentence(result)


BY_KIND = {
    "droplet": (DROPLET, "^/v2/droplets$", "^/v2/droplets\\?"),
    "reserved_ip": ({"region": "nyc3"}, "^/v2/reserved_ips$", "^/v2/reserved_ips\\?"),
    "uptime_check": ({"name": "up", "target": "https://bot.example.com"}, "^/v2/uptime/checks$", "^/v2/uptime/checks\\?"),
    "volume": ({"name": "data", "region": "nyc3", "size_gigabytes": 1}, "^/v2/volumes$", "^/v2/volumes\\?"),
}
LOST = [{"status": 503}, {"status": 429, "headers": {"retry-after": "3000"}}, {"drop": True}]


@pytest.mark.parametrize("fault", LOST, ids=["503", "429", "no answer"])
@pytest.mark.parametrize("kind", BY_KIND)
def test_look_up_that_failed_is_no_absence(do, cloud, kind, fault):
    """A second POST followed, and two of them ran."""
    arguments, post, listing = BY_KIND[kind]
    cloud.fault(method="POST", path=post, status=503, after=True)
    cloud.fault(path=listing, skip=1, times=9999, **fault)
    result = do(kind, fails=True, **arguments)
    assert len(result.writes) == 1
    said = sentence(result)
    assert "so it may exist. Nothing was sent twice. Run the task again when the API answers" in said
    cloud.faults.clear()
    assert do(kind, **arguments)["changed"] is False, "the next run finds it"


@pytest.mark.parametrize("kind", BY_KIND)
def test_look_up_that_fails_for_a_while_is_repeated_until_it_is_answered(do, cloud, kind, monkeypatch):
    monkeypatch.setattr(util("_resource"), "LOOKUP_SECONDS", 5)
    arguments, post, listing = BY_KIND[kind]
    cloud.fault(method="POST", path=post, status=503, after=True)
    cloud.fault(path=listing, skip=1, times=4, status=503)
    result = do(kind, **arguments)
    assert result["changed"] and len(result.writes) == 1


def test_address_for_a_droplet_is_not_reserved_twice_while_it_is_being_assigned(do, cloud):
    """Until then it is listed without the droplet, as one that is free."""
    do("droplet", **DROPLET)
    cloud.action_seconds = 0.6
    cloud.fault(method="POST", path="^/v2/reserved_ips$", after=True, drop=True)
    result = do("reserved_ip", fails=True, droplet="bot-1")
    assert len(result.writes) == 1 and "it may still appear. Run the task again in some minutes" in sentence(result)


def test_snapshot_that_got_no_answer_is_not_taken_twice(do, cloud):
    """It is listed only when it is finished, so not to find it proves nothing."""
    do("droplet", **DROPLET)
    cloud.action_seconds = 0.6
    cloud.fault(method="POST", path="/actions$", status=503, after=True)
    result = do("snapshot", fails=True, name="before", droplet="bot-1")
    assert len(result.writes) == 1 and "Run the task again in some minutes" in sentence(result)
    time.sleep(0.5)
    assert do("snapshot", name="before", droplet="bot-1")["changed"] is False


def test_records_whose_creation_was_interrupted_are_completed(do, cloud):
    cloud.fault(method="POST", path="/records$", skip=1, drop=True)
    result = do("domain_record", domain="example.com", create_domain=True, name="bot", values=["192.0.2.1", "192.0.2.2"])
    assert result["domain_record"]["values"] == ["192.0.2.1", "192.0.2.2"]


def test_domain_whose_creation_got_no_answer_is_not_added_twice(do, cloud):
    cloud.fault(method="POST", path="^/v2/domains$", after=True, drop=True)
    result = do("domain_record", domain="example.com", create_domain=True, name="bot", values=["192.0.2.1"])
    assert result.writes == ["POST /v2/domains", "POST /v2/domains/example.com/records"]


# --- limits and temporary failures


def test_429_is_honoured_by_its_header(do, cloud, monkeypatch):
    slept = []
    client = util("_digitalocean.client")
    monkeypatch.setattr(client.time, "sleep", slept.append)
    cloud.fault(path="^/v2/vpcs", status=429, headers={"retry-after": "7"})
    assert do("vpc", name="bots", region="nyc3")["changed"]
    assert 7.0 in slept


def test_429_on_create_did_not_happen_so_it_may_be_sent_again(do, cloud):
    cloud.fault(method="POST", path="^/v2/vpcs", status=429, headers={"retry-after": "0"})
    assert do("vpc", name="bots", region="nyc3").writes == ["POST /v2/vpcs"] * 2
    assert [vpc["name"] for vpc in cloud.table("vpcs").values()].count("bots") == 1


def test_limit_that_opens_too_late_is_a_sentence(do, cloud):
    cloud.fault(path="^/v2/vpcs", status=429, headers={"retry-after": "3000"})
    assert "rate limit is used up; it opens again in 3000 s" in sentence(do("vpc", name="bots", region="nyc3", fails=True))


def test_budget_that_is_known_to_be_empty_is_not_asked_for(cloud, monkeypatch):
    cloud.rate_limit = 2
    client = util("_digitalocean.client").Client(TOKEN, cloud.url)
    client.get("/v2/account")
    client.get("/v2/account")
    failure = util("_resource").Failure
    with pytest.raises(failure, match="opens again in 60 minutes"):
        client.get("/v2/account")
    assert len(cloud.log) == 2


def test_temporary_failures_of_reading_are_repeated(do, cloud):
    cloud.fault(method="GET", path="^/v2/vpcs", status=502)
    cloud.fault(method="GET", path="^/v2/vpcs", status=522, html=True)
    cloud.fault(method="GET", path="^/v2/vpcs", drop=True)
    assert do("vpc", name="bots", region="nyc3")["changed"]


def test_lasting_html_500_is_a_sentence(do, cloud):
    """A non-JSON 500 ended in an attribute error in existing collections."""
    cloud.fault(path="^/v2/vpcs", status=500, html=True, times=99)
    said = sentence(do("vpc", name="bots", region="nyc3", fails=True))
    assert "HTTP 500 with an HTML page" in said and "something went wrong" in said and "<" not in said


def test_update_and_delete_are_repeated_because_they_may_be(do, cloud):
    do("vpc", name="bots", region="nyc3")
    cloud.fault(method="PUT", path="^/v2/vpcs", status=503, after=True)
    assert do("vpc", name="bots", description="new")["vpc"]["description"] == "new"
    cloud.fault(method="DELETE", path="^/v2/vpcs", status=503, after=True)
    assert do("vpc", name="bots", state="absent")["changed"]


def test_deleted_by_somebody_else_meanwhile_is_no_change(do, cloud):
    do("vpc", name="bots", region="nyc3")
    cloud.fault(method="DELETE", path="^/v2/vpcs", status=404)
    assert do("vpc", name="bots", state="absent")["changed"] is False


def test_deleted_by_somebody_else_while_its_members_are_read_is_no_change(do, cloud):
    do("vpc", name="bots", region="nyc3")
    cloud.fault(path="/members", status=404, times=2)
    for check in (True, False):
        assert do("vpc", check=check, name="bots", state="absent")["changed"] is False


# --- complete lists or none


def fill(cloud, count):
    for number in range(count):
        cloud.table("firewalls")[f"f{number}"] = {
            "id": cloud.uuid(),
            "name": f"wall-{number}",
            "status": "succeeded",
            "created_at": "2026-01-01T00:00:00Z",
            "pending_changes": [],
            "inbound_rules": [],
            "outbound_rules": [],
            "droplet_ids": [],
            "tags": [],
        }


def test_what_is_on_the_last_page_is_found(do, cloud):
    """27 modules of an existing collection read page 1 only, and created again what was on page 2."""
    fill(cloud, 450)
    result = do("firewall", name="wall-449", inbound_rules=[], outbound_rules=[], tags=[])
    assert not result["changed"] and result.writes == []
    assert sorted(result.reads) == [f"/v2/firewalls?per_page=200&page={page}" for page in (1, 2, 3)]


@pytest.mark.parametrize("fault", [{"drop": True}, {"truncate": True}, {"status": 500}], ids=["no answer", "half an answer", "500"])
def test_page_lost_half_way_is_read_again(do, cloud, fault):
    fill(cloud, 450)
    cloud.fault(path="page=2", **fault)
    assert do("firewall", name="wall-300", inbound_rules=[], outbound_rules=[])["changed"] is False


def test_page_that_stays_lost_decides_nothing(do, cloud):
    fill(cloud, 450)
    cloud.fault(path="page=2", status=500, times=99)
    result = do("firewall", name="wall-300", fails=True, inbound_rules=[{"protocol": "tcp", "sources": {"addresses": ["10.0.0.1"]}}])
    assert result.writes == []
    assert "listing firewalls failed 4 times" in sentence(result)


def test_list_that_shrinks_while_it_is_read_is_read_again(cloud):
    fill(cloud, 401)
    client = util("_digitalocean.client").Client(TOKEN, cloud.url)
    real = client._page
    calls = []

    def shrinking(path, key, what, query, number):
        answer = real(path, key, what, query, number)
        calls.append(number)
        if len(calls) == 1:
            del cloud.table("firewalls")["f5"]  # everything behind it moves up one place
        return answer

    client._page = shrinking
    names = {item["name"] for item in client.listing("/v2/firewalls", "firewalls")}
    assert names == {f"wall-{n}" for n in range(401) if n != 5}


# --- the connection


def test_wrong_and_expired_token(do, cloud):
    cloud.token = "another"
    said = sentence(do("vpc", name="bots", region="nyc3", fails=True))
    assert "API token was refused (HTTP 401): it is wrong, expired or revoked" in said
    assert len(cloud.log) == 1


@pytest.mark.parametrize("token", ["two words", "line\nbreak", " padded", "ünïcode"])
def test_token_that_cannot_be_one_is_not_sent(do, cloud, token):
    result = run_module("do_vpc", {"name": "bots", "api_token": token, "api_endpoint": cloud.url})
    assert result["failed"] and "spaces, line breaks or other characters" in sentence(result)
    assert cloud.log == []


def test_no_token_names_the_variable(cloud):
    assert "DIGITALOCEAN_TOKEN" in sentence(run_module("do_vpc", {"name": "bots", "api_endpoint": cloud.url}))


@pytest.mark.parametrize("variable", ["DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN"])
def test_token_from_the_environment(cloud, monkeypatch, variable):
    monkeypatch.setenv(variable, TOKEN)
    if variable == "DIGITALOCEAN_TOKEN":
        monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", "not-the-first")
    monkeypatch.setenv("DIGITALOCEAN_API_ENDPOINT", cloud.url)
    result = run_module("do_vpc", {"name": "bots", "region": "nyc3"})
    assert result["changed"] and TOKEN not in str(result)


def test_missing_library_names_the_interpreter(monkeypatch):
    monkeypatch.setattr(util("_digitalocean.client"), "IMPORT_ERROR", ImportError("No module named 'pydo'"))
    said = sentence(run_module("do_vpc", {"name": "bots", "api_token": TOKEN}))
    assert sys.executable in said and "pip install pydo" in said


def test_refused_connection():
    result = run_module("do_vpc", {"name": "bots", "api_token": TOKEN, "api_endpoint": "http://127.0.0.1:9"})
    assert "http://127.0.0.1:9 did not answer (Connection refused)" in sentence(result)


def test_slow_answer_is_a_sentence(cloud, monkeypatch):
    monkeypatch.setattr(util("_digitalocean.client"), "ATTEMPTS", 2)
    cloud.fault(path="^/v2/vpcs", delay=1.3, times=9)
    result = run_module("do_vpc", {"name": "bots", "api_token": TOKEN, "api_endpoint": cloud.url, "api_timeout": 1, "state": "absent"})
    assert result["failed"] and "no answer within 1 s" in sentence(result)


def test_endpoint_that_is_none(cloud):
    assert "api_endpoint must be" in sentence(run_module("do_vpc", {"name": "b", "api_token": TOKEN, "api_endpoint": "api.example.com"}))


PUBLIC = [
    "http://api.digitalocean.com", "http://203.0.114.9:80", "http://[2606:4700::1]", "http://[::ffff:8.8.8.8]", "http://134744072",
    "http://0x08080808", "HTTP://8.8.8.8",
]


@pytest.mark.parametrize("endpoint", PUBLIC)
def test_token_does_not_cross_the_internet_in_clear_text(endpoint):
    assert "unencrypted over a public network" in sentence(run_module("do_vpc", {"name": "b", "api_token": TOKEN, "api_endpoint": endpoint}))


@pytest.mark.parametrize("endpoint", ["http://x:canary-password@8.8.8.8", "https://x@api.example.com", "http://localhost@8.8.8.8", "http://a:b@c:d"])
def test_endpoint_with_a_user_in_it(endpoint):
    """It was taken for a bare name, so the token went to 8.8.8.8 in clear text."""
    said = sentence(run_module("do_vpc", {"name": "b", "api_token": TOKEN, "api_endpoint": endpoint}))
    assert "must not contain a user or password" in said and "canary-password" not in said


@pytest.mark.parametrize("endpoint", ["http://lab-host:8480", "http://10.77.30.1:8480", "http://[::1]:9", "https://8.8.8.8", "http://localhost"])
def test_endpoint_that_may_be_asked(endpoint):
    assert util("_cloud").endpoint_problem(endpoint) is None


def test_endpoint_that_is_something_else(do, cloud):
    cloud.fault(path="^/v2/vpcs", status=404, html=True)
    assert "HTTP 404 with an HTML page instead of an answer" in sentence(do("vpc", name="bots", fails=True))
    cloud.fault(path="^/v2/domains", status=404, html=True)
    assert "Is api_endpoint right?" in sentence(do("domain_record", domain="example.com", state="absent", fails=True))


def test_what_broke_while_it_was_read_may_have_been_sent():
    errors = importlib.import_module("azure.core.exceptions")
    client = util("_digitalocean.client")
    read = errors.ServiceRequestError("x", error=ConnectionError("Read timed out while reading the answer"))
    assert not client.never_sent(read) and not client.never_sent(errors.ServiceResponseError("x"))
    refused = errors.ServiceRequestError("x", error=ConnectionError("MaxRetryError(NewConnectionError('refused'))"))
    broken = errors.ServiceRequestError("x", error=ConnectionError("SSLError(SSLEOFError: EOF occurred in violation of protocol)"))
    assert not client.never_sent(broken)
    assert client.never_sent(refused) and client.never_sent(errors.ServiceRequestTimeoutError("x"))


def test_waiting_has_a_deadline_and_says_what_it_saw(do, cloud):
    cloud.action_seconds = 60
    result = do("droplet", fails=True, **{**DROPLET, "wait_timeout": 1})
    said = sentence(result)
    assert "Gave up waiting for droplet bot-1 after 1 s; it was last seen as: new, locked" in said
    # The next run finds it and goes on waiting, instead of creating another.
    cloud.action_seconds = 0
    droplet = next(iter(cloud.table("droplets").values()))
    cloud._due.clear()
    cloud.table("private")[droplet["id"]]["ipv6"] = False
    compute = importlib.import_module("emulators.digitalocean.compute")
    compute.addresses(cloud, droplet, cloud.table("private")[droplet["id"]], {})
    droplet.update(status="active", locked=False)
    compute.touch(cloud, droplet)
    again = do("droplet", **DROPLET)
    assert again["changed"] is False and again.writes == [] and again["droplet"]["public_ipv4"]


# --- answers that are none


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, "is no JSON object but null"),
        ([], "is no JSON object but []"),
        ({}, "the answer has no 'vpcs'"),
        ({"vpcs": [None], "meta": {"total": 1}}, "is no list of vpcs"),
        ({"vpcs": {"id": 1}, "meta": {"total": 1}}, "is no list of vpcs"),
        ({"vpcs": [], "meta": {"total": "many"}}, "is no list of vpcs"),
        ({"vpcs": [], "meta": {"total": 10**8}}, "claims 100000000 items, which no account has"),
        ({"vpcs": [], "meta": {"total": 150_000}}, "gave 0 of 150000; the list is incomplete"),
    ],
    ids=str,
)
def test_listing_that_is_none_is_a_sentence(do, cloud, body, expected):
    """They were bare Python sentences, and the big total did not end."""
    cloud.fault(path="^/v2/vpcs", body=body, times=99)
    result = do("vpc", fails=True, name="bots", region="nyc3")
    assert expected in sentence(result) and result.writes == []
    assert len(result.requests) <= 2


@pytest.mark.parametrize("body", [None, [], {}, {"droplet": None}], ids=str)
def test_answer_without_the_resource_is_a_sentence(do, cloud, body):
    droplet = do("droplet", **DROPLET)["droplet"]
    cloud.fault(path="^/v2/droplets/", body=body)
    assert "reading droplet" in sentence(do("droplet", fails=True, id=droplet["id"]))


def test_lists_that_are_null_are_empty(do, cloud):
    cloud.fault(path="^/v2/vpcs", body={"vpcs": None, "links": {}, "meta": None})
    assert do("vpc", check=True, name="bots", region="nyc3")["changed"]
    cloud.fault(path="^/v2/volumes", body={"volumes": None, "links": {}, "meta": {"total": 0}})
    assert do("volume", check=True, name="data", region="nyc3", size_gigabytes=1)["changed"]
    droplet = do("droplet", **DROPLET)["droplet"]
    bare = {**cloud.table("droplets")[droplet["id"]], "tags": None, "features": None, "image": None}
    cloud.fault(path="^/v2/droplets/", body={"droplet": bare})
    seen = do("droplet", id=droplet["id"])
    assert not seen["changed"] and seen["droplet"]["tags"] == seen["droplet"]["features"] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "no such thing"}, "was refused: no such thing (HTTP 422)"),
        ({"errors": [{"detail": "bad name"}]}, 'was refused: [{"detail": "bad name"}] (HTTP 422)'),
        ({"id": "unprocessable_entity"}, "was refused: unprocessable_entity (HTTP 422)"),
        ({"code": 7}, 'was refused: {"code": 7} (HTTP 422)'),
        (["bad name"], 'was refused: ["bad name"] (HTTP 422)'),
    ],
    ids=str,
)
def test_error_in_another_form_is_told_as_it_is(do, cloud, body, expected):
    """It was called "no JSON"."""
    cloud.fault(path="^/v2/vpcs", status=422, body=body)
    assert expected in sentence(do("vpc", fails=True, name="bots", region="nyc3"))


def test_short_advice_to_retry_is_followed_for_longer_than_four_attempts(do, cloud, monkeypatch):
    """With `retry-after: 1` the task gave up after three seconds."""
    slept = []
    monkeypatch.setattr(util("_digitalocean.client").time, "sleep", slept.append)
    cloud.fault(path="^/v2/vpcs", status=429, headers={"retry-after": "1"}, times=12)
    assert do("vpc", name="bots", region="nyc3")["changed"]
    assert 12 <= sum(slept) <= 120
    cloud.fault(path="^/v2/vpcs", status=429, headers={"retry-after": "1"}, times=9999)
    slept.clear()
    assert "rate limit is used up" in sentence(do("vpc", name="bots", region="nyc3", fails=True))
    assert sum(slept) <= 121


# --- secrets inside of what is free in form


APP = {
    "name": "dashboard",
    "services": [{
        "name": "web", "image": {"registry_type": "DOCKER_HUB", "repository": "web", "registry_credentials": "canary-registry"},
        "envs": [{"key": "API_KEY", "value": "canary-variable", "type": "SECRET"}, {"key": "MODE", "value": "paper"}],
        "log_destinations": [{"name": "logs", "datadog": {"endpoint": "https://logs.example.com", "api_key": "canary-logs"}}],
    }],
    "envs": [{"key": "SHARED", "value": "canary-shared", "type": "SECRET", "scope": "RUN_TIME"}],
}


@pytest.mark.parametrize("failing", [False, True])
def test_secrets_of_a_spec_are_in_no_result_and_no_journal(do, cloud, monkeypatch, failing):
    """With -vvv, and in the journal, the invocation showed them."""
    from ansible.module_utils import basic

    written = []
    monkeypatch.setattr(basic.AnsibleModule, "_log_to_syslog", lambda self, text: written.append(text))
    monkeypatch.setattr(basic, "has_journal", False)
    module = importlib.import_module("ansible_collections.botops.fleet.plugins.modules.do_app")
    if failing:
        cloud.fault(method="POST", path="^/v2/apps", status=422, message="canary-variable is no good")
    result = json.loads(raw_output(module, {"spec": APP, "api_token": TOKEN, "api_endpoint": cloud.url, "wait": False}))
    assert bool(result.get("failed")) == failing and result["invocation"]["module_args"]["spec"]["name"] == "dashboard"
    assert written, "the invocation is written down"
    assert "canary" not in json.dumps(result).replace(TOKEN, "") and "canary" not in "".join(map(str, written))


def raw_output(module, arguments):
    """What a module prints, its journal left as it is."""
    from ansible.module_utils.testing import patch_module_args

    out = io.StringIO()
    internal = {"_ansible_check_mode": False, "_ansible_diff": True, "_ansible_remote_tmp": "/tmp", "_ansible_no_log": False}
    with patch_module_args({**arguments, **internal}), contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        module.main()
    return out.getvalue().strip().splitlines()[-1]
