"""What a host behind a cloud's machine is made of."""

import io
import json
import pathlib
import sys
import tarfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "lab"))

import cloud_hosts  # noqa: E402


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ({"slug": "debian-13-x64", "name": "13 x64"}, "debian13"),
        ({"slug": "ubuntu-24-04-x64"}, "ubuntu2404"),
        ({"name": "debian-12-amd64-20260202-2374"}, "debian12"),
        ({"name": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101"}, "ubuntu2404"),
    ],
)
def test_the_release_is_that_of_the_image(image, release):
    assert cloud_hosts.release({"image": image}) == release


def test_an_image_that_the_lab_has_no_host_for_is_named():
    with pytest.raises(SystemExit, match="'docker-20-04': use Debian 12 or 13"):
        cloud_hosts.release({"image": {"slug": "docker-20-04"}})


def test_the_user_data_reach_the_host_unchanged_and_only_root_reads_them():
    machine = {"id": 7, "name": "engine-1", "private": {"user_data": "#cloud-config\n{}", "public_keys": ["ssh-ed25519 AAAA"]}}
    archive = tarfile.open(fileobj=io.BytesIO(cloud_hosts.seed(machine)))
    assert {entry.name.rpartition("/")[2]: (entry.mode, entry.uid) for entry in archive.getmembers()} == {"user-data": (0o600, 0), "meta-data": (0o600, 0)}
    read = {entry.name.rpartition("/")[2]: archive.extractfile(entry).read().decode() for entry in archive.getmembers()}
    assert read["user-data"] == "#cloud-config\n{}"
    assert json.loads(read["meta-data"]) == {"instance-id": "7", "local-hostname": "engine-1", "public-keys": ["ssh-ed25519 AAAA"]}


def test_a_machine_without_user_data_boots_too():
    archive = tarfile.open(fileobj=io.BytesIO(cloud_hosts.seed({"id": 7, "name": "bare", "private": {"user_data": None, "public_keys": []}})))
    assert archive.extractfile(f"{cloud_hosts.SEED}/user-data").read().startswith(b"#cloud-config\n")


def test_the_lowest_free_address_is_given(monkeypatch):
    class Done:
        stdout = "10.77.31.10\n10.77.31.12\n"

    monkeypatch.setattr(cloud_hosts.hosts, "run", lambda *argv, **more: Done)
    assert cloud_hosts.free_address("cloud", "10.77.31") == "10.77.31.11"
