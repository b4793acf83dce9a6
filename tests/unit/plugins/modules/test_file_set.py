"""file_set against a real file system: all or nothing, honest diffs, check mode that writes nothing."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
MODULE = ROOT / "plugins/modules/file_set.py"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "collections")}


def run(files, check=False, diff=True, **options):
    arguments = {"files": files, **options, "_ansible_check_mode": check, "_ansible_diff": diff}
    done = subprocess.run(
        [sys.executable, str(MODULE)], input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}), text=True, capture_output=True, env=ENV
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
    assert run(conf) == {"changed": False, "changed_paths": [], "pending_paths": [], "diff": [], "invocation": run(conf)["invocation"]}


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


def test_the_host_log_gets_paths_and_no_content(tmp_path, monkeypatch):
    """A secret of several lines looks different inside the text of a list, so masking by value would miss it."""
    from ansible.module_utils.testing import patch_module_args

    from ansible_collections.botops.fleet.plugins.modules import file_set

    logged = []
    monkeypatch.setattr(file_set.Module, "log", lambda self, text, log_args=None: logged.append(text))
    arguments = {"files": [{"path": str(tmp_path / "key"), "secret_content": 'canary "one"\ncanary two\n'}]}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        file_set.main()
    assert (tmp_path / "key").read_text().startswith("canary")
    assert logged and "canary" not in "".join(logged) and str(tmp_path / "key") in "".join(logged)


# --- a run that ends in the middle


def test_a_python_error_in_the_middle_puts_the_first_back(tmp_path):
    first = tmp_path / "first"
    first.write_text("old\n")
    seen = run([{"path": str(first), "content": "new\n"}, {"path": str(tmp_path / "second"), "content": "half a \ud800"}])
    assert seen["failed"] and "put back" in seen["msg"]
    assert first.read_text() == "old\n" and not (tmp_path / "second").exists()


@pytest.mark.parametrize("mode", ["u=rw,g=r", "rw-r--r--", "0888", "420x"])
def test_a_mode_that_is_no_number_is_refused_before_anything(tmp_path, mode):
    seen = run([{"path": str(tmp_path / "a"), "content": "x"}, {"path": str(tmp_path / "b"), "content": "x", "mode": mode}])
    assert seen["failed"] and f"{tmp_path}/b: mode is {mode!r}" in seen["msg"] and list(tmp_path.iterdir()) == []


def test_parents_that_were_made_go_again(tmp_path):
    deep = tmp_path / "a/b/c"
    seen = run([{"path": str(deep), "state": "directory"}, {"path": str(deep / "f"), "content": "x"}], check_command="false")
    assert seen["failed"] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_it_puts_everything_back(tmp_path, number):
    old = tmp_path / "old"
    old.write_text("old\n")
    files = [{"path": str(old), "content": "new\n"}, {"path": str(tmp_path / "d/e"), "state": "directory"}]
    arguments = {"ANSIBLE_MODULE_ARGS": {"files": files, "check_command": "sleep 30"}}
    with subprocess.Popen([sys.executable, str(MODULE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENV) as process:
        process.stdin.write(json.dumps(arguments))
        process.stdin.close()
        deadline = time.monotonic() + 20
        while old.read_text() != "new\n":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        seen = json.loads(process.stdout.read().splitlines()[-1])
    assert seen["failed"] and number.name in seen["msg"]
    assert old.read_text() == "old\n" and not (tmp_path / "d").exists()


# --- lines in a file of somebody else's


def test_settings_keep_the_rest_and_give_old_lines_back(tmp_path):
    path = tmp_path / "login.defs"
    path.write_text("# kept\nUMASK\t\t022\nOTHER yes\n")
    memory = tmp_path / "memory.json"
    code = (
        f"import runpy, ansible_collections.botops.fleet.plugins.modules.file_set as m; m.MEMORY = {str(memory)!r}; m.main()"
    )

    def lines(settings):
        arguments = {"ANSIBLE_MODULE_ARGS": {"files": [{"path": str(path), "settings": settings}, {"path": "/none", "settings": {"a": "b"}}]}}
        done = subprocess.run([sys.executable, "-c", code], input=json.dumps(arguments), text=True, capture_output=True, env=ENV)
        return json.loads(done.stdout.splitlines()[-1])

    assert lines({"UMASK": "027", "NEW": "1"})["changed_paths"] == [str(path)]
    assert path.read_text() == "# kept\nUMASK 027\nOTHER yes\nNEW 1\n"
    assert lines({"UMASK": "027", "NEW": "1"})["changed"] is False
    assert lines({})["changed"] and path.read_text() == "# kept\nUMASK\t\t022\nOTHER yes\n"


def test_what_was_changed_is_noted_until_it_is_taken_over(tmp_path):
    code = (
        f"import ansible_collections.botops.fleet.plugins.module_utils._pending as p; p.HOME = {str(tmp_path / 'pending')!r}\n"
        "import ansible_collections.botops.fleet.plugins.modules.file_set as m; m.main()"
    )

    def put(text, **options):
        arguments = {"ANSIBLE_MODULE_ARGS": {"files": [{"path": str(tmp_path / "a"), "content": text}], "pending": "web", **options}}
        done = subprocess.run([sys.executable, "-c", code], input=json.dumps(arguments), text=True, capture_output=True, env=ENV)
        return json.loads(done.stdout.splitlines()[-1])

    assert put("1", check_command="false")["pending_paths"] == []
    assert put("1")["pending_paths"] == [str(tmp_path / "a")]
    again = put("1")
    assert again["changed"] is False and again["pending_paths"] == [str(tmp_path / "a")]
