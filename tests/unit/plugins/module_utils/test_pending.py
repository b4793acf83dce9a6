"""The durable note of what was changed and not yet taken over."""

from ansible_collections.botops.fleet.plugins.module_utils._pending import Note


def test_it_outlives_the_run_that_wrote_it(tmp_path):
    Note("nginx", str(tmp_path)).add("/etc/nginx/a", "/etc/nginx/b")
    Note("nginx", str(tmp_path)).add("/etc/nginx/a", "/etc/nginx/c")
    assert Note("nginx", str(tmp_path)).paths == ["/etc/nginx/a", "/etc/nginx/b", "/etc/nginx/c"]
    assert Note("haproxy", str(tmp_path)).paths == []
    Note("nginx", str(tmp_path)).clear()
    assert Note("nginx", str(tmp_path)).paths == [] and not list(tmp_path.iterdir())
    Note("nginx", str(tmp_path)).clear()


def test_without_a_name_nothing_is_remembered(tmp_path):
    note = Note(None, str(tmp_path))
    note.add("/etc/a")
    assert note.paths == [] and not list(tmp_path.iterdir())


def test_a_torn_note_counts_as_everything(tmp_path):
    (tmp_path / "nginx.json").write_text('{"paths": ["/etc')
    assert Note("nginx", str(tmp_path)).paths == ["/"]
