"""Block volumes: where they are, how large they are, and what it takes to lose one. The request log is the witness."""

import pytest
from do_harness import util

DROPLET = {"name": "bot-1", "region": "nyc3", "size": "s-1vcpu-1gb", "image": "debian-13-x64"}
KNOWN = {"name": "bot-1-data", "region": "nyc3"}
VOLUME = {**KNOWN, "size_gigabytes": 20, "filesystem_type": "ext4", "filesystem_label": "data", "tags": ["env:prod"], "owner_tag": "fleet:prod"}


@pytest.fixture
def droplet(do):
    def make(name="bot-1", **more):
        return do("droplet", **{**DROPLET, "name": name, **more})["droplet"]

    return make


def the_volume(cloud):
    (volume,) = cloud.table("volumes").values()
    return volume


def refused(do, expected, **arguments):
    """The same sentence in check mode and in a run, and not one write."""
    for check in (True, False):
        result = do("volume", check=check, fails=True, **arguments)
        assert expected in result["msg"] and "Traceback" not in result["msg"], result["msg"]
        assert result.writes == []


def test_created_attached_and_found_again(do, cloud, droplet):
    bot = droplet()
    planned = do("volume", check=True, droplet="bot-1", **VOLUME)
    assert planned["changed"] and cloud.table("volumes") == {} and planned["diff"]["before"] == {}
    made = do("volume", droplet="bot-1", **VOLUME)
    assert made["changed"] and made["diff"]["after"] == planned["diff"]["after"] and "warnings" not in made
    assert planned["volume"].keys() == made["volume"].keys() and "not there yet" in planned["volume"]["id"]
    assert made["actions"] == ["created", f"attached to droplet {bot['id']}"]
    assert made["volume"]["droplet_id"] == bot["id"] and made["volume"]["tags"] == ["env:prod", "fleet:prod"]
    assert do("droplet", name="bot-1")["droplet"]["volume_ids"] == [made["volume"]["id"]]
    for check in (True, False):
        again = do("volume", check=check, droplet="bot-1", **VOLUME)
        assert not again["changed"] and again.writes == [] and again["volume"] == made["volume"]
        assert again["diff"]["before"] == again["diff"]["after"] and len(again.reads) == 2
    assert not do("volume", **KNOWN)["changed"], "a droplet that is not declared is left alone"


def test_info_finds_it_by_region_name_and_tag(do, cloud):
    made = do("volume", **VOLUME)["volume"]
    do("volume", name="bot-1-data", region="fra1", size_gigabytes=1)
    assert do("info", kind="volume", region="nyc3")["resources"] == [made]
    assert do("info", kind="volume", tag="fleet:prod")["resources"] == [made]
    assert do("info", kind="volume", name="bot-1-data")["count"] == 2
    assert do("info", kind="tag", name="fleet:prod")["resources"][0]["count"] == 1


def test_a_plan_runs_through_with_a_droplet_that_is_not_there_yet(do, cloud):
    planned = do("droplet", check=True, **DROPLET)["droplet"]
    volume = do("volume", check=True, droplet=planned["id"], **VOLUME)
    assert volume["changed"] and "not there yet" in volume["diff"]["after"]["droplet_id"]
    assert cloud.writes() == []


def test_grows_and_never_shrinks(do, cloud):
    do("volume", **VOLUME)
    foreseen = do("volume", check=True, **{**VOLUME, "size_gigabytes": 50})
    grown = do("volume", **{**VOLUME, "size_gigabytes": 50})
    assert grown["changed"] and grown["volume"]["size_gigabytes"] == 50 and grown["diff"] == foreseen["diff"]
    assert [write.rpartition("/")[2] for write in grown.writes] == ["actions"]
    refused(do, "has 50 GiB, wanted are 20, and a volume never shrinks. Write 50 or more. Nothing was changed.", **VOLUME)


def test_moves_only_when_that_is_allowed(do, cloud, droplet):
    first, second = droplet("bot-1"), droplet("bot-2")
    do("volume", droplet="bot-1", **VOLUME)
    refused(do, f"is on droplet {first['id']}. Taking it away from there needs move: true. Nothing was changed.", droplet="bot-2", **VOLUME)
    moved = do("volume", droplet="bot-2", move=True, **VOLUME)
    assert moved["actions"] == [f"detached from droplet {first['id']}", f"attached to droplet {second['id']}"]
    assert cloud.table("droplets")[first["id"]]["volume_ids"] == []
    assert cloud.table("droplets")[second["id"]]["volume_ids"] == [moved["volume"]["id"]]
    assert not do("volume", droplet="bot-2", **VOLUME)["changed"]


def test_an_empty_droplet_detaches(do, cloud, droplet):
    droplet()
    do("volume", droplet="bot-1", **VOLUME)
    assert do("volume", check=True, droplet="", **KNOWN)["changed"]
    detached = do("volume", droplet="", **KNOWN)
    assert detached["changed"] and detached["volume"]["droplet_id"] is None and the_volume(cloud)["droplet_ids"] == []
    assert not do("volume", droplet="", **KNOWN)["changed"]


def test_a_droplet_that_goes_leaves_its_volume(do, cloud, droplet):
    droplet()
    do("volume", droplet="bot-1", **VOLUME)
    do("droplet", name="bot-1", state="absent")
    assert do("volume", **VOLUME)["volume"]["droplet_id"] is None


def test_goes_only_with_its_data(do, cloud, droplet):
    droplet()
    do("volume", droplet="bot-1", **VOLUME)
    refused(do, "goes with all that is on it, for good. Allow that with with_data: true. Nothing was changed.", state="absent", **KNOWN)
    assert do("volume", check=True, state="absent", with_data=True, **KNOWN)["changed"]
    gone = do("volume", state="absent", with_data=True, **KNOWN)
    assert gone["changed"] and gone["actions"][-1] == "deleted" and cloud.table("volumes") == {}
    assert do("droplet", name="bot-1")["droplet"]["volume_ids"] == []
    for allowed in (True, False):
        nothing = do("volume", state="absent", with_data=allowed, **KNOWN)
        assert not nothing["changed"] and nothing.writes == [] and nothing["volume"] == {}


def test_what_is_not_this_fleets_is_neither_changed_nor_removed(do, cloud):
    do("volume", size_gigabytes=20, **KNOWN)
    refused(do, "does not carry the tag fleet:prod, so it is not this fleet's", **VOLUME)
    assert not do("volume", state="absent", with_data=True, owner_tag="fleet:prod", **KNOWN)["changed"]
    assert len(cloud.table("volumes")) == 1


def test_tags_are_as_declared(do, cloud):
    do("volume", **VOLUME)
    changed = do("volume", **{**VOLUME, "tags": ["env:paper"]})
    assert changed["volume"]["tags"] == ["env:paper", "fleet:prod"] and the_volume(cloud)["tags"] == ["fleet:prod", "env:paper"]
    assert not do("volume", **{**VOLUME, "tags": ["env:paper"]})["changed"]


def test_the_same_name_in_another_region_is_another_volume(do, cloud):
    do("volume", **VOLUME)
    assert do("volume", **{**VOLUME, "region": "fra1"})["changed"] and len(cloud.table("volumes")) == 2
    do("volume", name="bot-1-data", region="fra1", state="absent", with_data=True)
    assert the_volume(cloud)["region"]["slug"] == "nyc3"


def test_twins_are_refused(do, cloud):
    do("volume", **VOLUME)
    twin = {**the_volume(cloud), "id": cloud.uuid()}
    cloud.table("volumes")[twin["id"]] = twin
    refused(do, "is not unique: 2 match", **VOLUME)
    refused(do, "is not unique: 2 match", state="absent", with_data=True, **KNOWN)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"name": "Data"}, "name: 'Data' is not the name of a volume"),
        ({"size_gigabytes": 0}, "size_gigabytes: 0 is not a size; write a whole number of GiB from 1 to 16384."),
        ({"size_gigabytes": 16385}, "size_gigabytes: 16385 is not a size"),
        ({"size_gigabytes": None}, "creating it needs size_gigabytes"),
        ({"filesystem_type": "xfs", "filesystem_label": "recordings-of-1"}, "is too long for xfs; write at most 12 characters"),
        ({"filesystem_type": None}, "filesystem_label needs filesystem_type"),
        ({"region": "nyc33"}, "region: 'nyc33' is not offered"),
        ({"tags": ["a b"]}, "tags: 'a b' is not a tag"),
        ({"droplet": "far"}, "droplet: far is in fra1"),
    ],
)
def test_input(do, cloud, droplet, wrong, expected):
    droplet("far", region="fra1")
    refused(do, expected, **{name: value for name, value in {**VOLUME, **wrong}.items() if value is not None})


def test_unknown_droplet(do, cloud):
    assert "there is no droplet with the name or id 'nobody'" in do("volume", fails=True, droplet="nobody", **VOLUME)["msg"]
    assert cloud.table("volumes") == {}


def test_another_file_system_is_refused(do, cloud):
    do("volume", **VOLUME)
    refused(do, 'filesystem_type is "ext4", wanted is "xfs" (a file system is made at creation only', **{**VOLUME, "filesystem_type": "xfs"})


def test_a_lost_answer_makes_one_volume_and_attaches_it(do, cloud, droplet):
    bot = droplet()
    cloud.fault(method="POST", path="^/v2/volumes$", after=True, drop=True)
    made = do("volume", droplet="bot-1", **VOLUME)
    assert [write for write in made.writes if write.endswith("/volumes")] == ["POST /v2/volumes"]
    assert the_volume(cloud)["droplet_ids"] == [bot["id"]] and "lost" in made["warnings"][0]


def test_a_look_up_that_failed_is_no_absence(do, cloud):
    cloud.fault(method="POST", path="^/v2/volumes$", status=503, after=True)
    cloud.fault(path="^/v2/volumes\\?", skip=1, times=9999, status=503)
    result = do("volume", fails=True, **VOLUME)
    assert len(result.writes) == 1 and "so it may exist. Nothing was sent twice." in result["msg"]
    cloud.faults.clear()
    assert not do("volume", **VOLUME)["changed"]


def test_an_action_is_waited_for_and_one_that_failed_is_told(do, cloud, droplet, monkeypatch):
    droplet()
    do("volume", **VOLUME)
    cloud.action_seconds = 0.1
    attached = do("volume", droplet="bot-1", **VOLUME)
    assert len([path for path in attached.reads if "/actions/" in path]) > 1 and attached["volume"]["droplet_id"]
    cloud.fault(path="/actions/[0-9]+$", body={"action": {"id": 7, "status": "errored"}})
    failed = do("volume", fails=True, droplet="", **VOLUME)
    assert "failed on the vendor's side" in failed["msg"]


@pytest.mark.parametrize("body", [None, [], {}, {"volumes": [None]}, {"volumes": [{"name": "bot-1-data"}]}, {"volumes": {}}])
def test_an_answer_that_cannot_be_read_is_a_sentence(do, cloud, body):
    cloud.fault(path="^/v2/volumes\\?", times=99, body=body)
    result = do("volume", fails=True, **VOLUME)
    assert "Traceback" not in result["msg"] and "listing volumes" in result["msg"] and result.writes == []


def test_limits_are_the_vendors():
    assert util("_digitalocean.volume").LARGEST == 16384
