"""file_set against a real file system: all or nothing, honest diffs, check mode that writes nothing."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
MODULE = ROOT / "plugins/modules/file_set.py"


def run(files, check=False, diff=True, **options):
    arguments = {"files": files, **options, "_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, str(MODULE)], input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), text=True, capture_output=True
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "etc" / "a.conf"
    return [{"path": str(path.parent), "state": "directory", "mode": "0750"}, {"path": str(path), "content": "one\n"}]


def test_check_apply_check_apply(conf, tmp_path):
    first = run(conf, check=True)
    assert first["changed"] and not (tmp_path / "etc").exists()
    assert [d["after"] for d in first["diff"]] == ["[directory]\n", "one\n"]
    assert run(conf)["changed_paths"] == [entry["path"] for entry in conf]
    assert (tmp_path / "etc/a.conf").read_text() == "one\n"
    assert oct((tmp_path / "etc").stat().st_mode)[-3:] == "750"
    assert run(conf, check=True)["changed"] is False
    assert run(conf) == {"changed": False, "changed_paths": [], "diff": [], "invocation": run(conf)["invocation"]}


def test_mode_drift_is_seen_and_shown(conf, tmp_path):
    run(conf)
    (tmp_path / "etc").chmod(0o777)
    drift = run(conf, check=True)
    assert drift["changed_paths"] == [str(tmp_path / "etc")]
    assert "mode=0777" in drift["diff"][0]["before"] and "mode=0750" in drift["diff"][0]["after"]
    run(conf)
    assert oct((tmp_path / "etc").stat().st_mode)[-3:] == "750"


def test_refused_by_check_command_puts_everything_back(conf, tmp_path):
    run(conf)
    link = tmp_path / "etc" / "link"
    link.symlink_to("a.conf")
    new = [
        {"path": conf[1]["path"], "content": "two\n", "mode": "0600"},
        {"path": str(tmp_path / "new"), "state": "directory"},
        {"path": str(tmp_path / "new" / "b"), "content": "b"},
        {"path": str(link), "state": "absent"},
    ]
    result = run(new, check_command=f"grep -q one {conf[1]['path']}")
    assert result["failed"] and "old ones were put back" in result["msg"]
    assert pathlib.Path(conf[1]["path"]).read_text() == "one\n"
    assert oct(os.stat(conf[1]["path"]).st_mode)[-3:] == "644"
    assert not (tmp_path / "new").exists()
    assert os.readlink(link) == "a.conf"


def test_validate_names_the_file_and_changes_nothing(conf, tmp_path):
    conf[1].update(validate="grep -q two %s")
    result = run(conf)
    assert result["failed"] and str(tmp_path / "etc/a.conf") in result["msg"]
    assert not (tmp_path / "etc").exists()


def test_secret_never_in_result(tmp_path):
    files = [{"path": str(tmp_path / "s"), "secret_content": "canary-3141"}]
    result = run(files)
    assert "canary-3141" not in json.dumps(result)
    assert oct((tmp_path / "s").stat().st_mode)[-3:] == "600"
    assert (tmp_path / "s").read_text() == "canary-3141"


def test_keep_leaves_content_alone(tmp_path):
    path = tmp_path / "k"
    path.write_text("mine")
    assert run([{"path": str(path), "content": "theirs", "keep": True}])["changed"] is False


def test_directory_in_the_way_and_unknown_owner_are_sentences(tmp_path):
    assert "is a directory where a file was declared" in run([{"path": str(tmp_path), "content": ""}])["msg"]
    (tmp_path / "f").write_text("x")
    unknown = run([{"path": str(tmp_path / "f"), "content": "x", "owner": "no-such-user"}])
    assert "the user no-such-user does not exist" in unknown["msg"]
    assert run([{"path": str(tmp_path / "f"), "content": "x", "owner": "no-such-user"}], check=True)["changed"]


def test_directory_that_is_not_empty_is_left(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    result = run([{"path": str(tmp_path / "d"), "state": "absent"}])
    assert result["failed"] and (tmp_path / "d" / "f").exists()


def test_backup_keeps_the_old_file(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    run([{"path": str(path), "content": "new"}], backup=True)
    assert sorted(p.read_text() for p in tmp_path.iterdir()) == ["new", "old"]


def test_purge_removes_what_is_not_declared_and_puts_it_back_when_refused(conf, tmp_path):
    conf[0]["purge"] = True
    run(conf)
    stale = tmp_path / "etc" / "stale.key"
    stale.write_text("a secret\n")
    (tmp_path / "etc" / "kept").mkdir()
    seen = run(conf, check=True)
    assert seen["changed_paths"] == [str(stale)] and stale.exists()
    assert "a secret" not in json.dumps(seen), "what nobody declares may be a secret"
    refused = run(conf, check_command="false")
    assert refused["failed"] and stale.read_text() == "a secret\n"
    assert run(conf)["changed_paths"] == [str(stale)]
    assert not stale.exists() and (tmp_path / "etc" / "kept").is_dir()
    assert run(conf)["changed"] is False
