"""What stood under another name is moved once, and nothing that points into it ever points to nothing."""

from ansible_collections.botops.fleet.plugins.module_utils import _takeover


def test_a_directory_is_moved_and_its_old_name_leads_there(tmp_path):
    old, new = tmp_path / "old", tmp_path / "deep" / "new"
    old.mkdir()
    (old / "key").write_text("kept")
    renamed = {str(old): str(new)}
    assert _takeover.begin(renamed, check_mode=True) == [str(new)] and not new.exists()
    assert _takeover.begin(renamed) == [str(new)]
    assert (new / "key").read_text() == (old / "key").read_text() == "kept"
    assert _takeover.begin(renamed) == []
    assert _takeover.links(renamed) == [str(old)]


def test_a_taken_name_and_a_foreign_link_are_left_alone(tmp_path):
    old, new, other = tmp_path / "old", tmp_path / "new", tmp_path / "other"
    for directory in (old, new):
        directory.mkdir()
    other.symlink_to("elsewhere")
    renamed = {str(old): str(new), str(other): str(new)}
    assert _takeover.begin(renamed) == []
    assert _takeover.links(renamed) == []
    assert old.is_dir() and other.is_symlink()


def test_paths_in_a_text():
    renamed = {"/var/www/old": "/var/www/new"}
    text = "webroot_path = /var/www/old,\nhook = /var/www/old/auth\nother = /var/www/older\n"
    assert _takeover.rewrite(text, renamed) == "webroot_path = /var/www/new,\nhook = /var/www/new/auth\nother = /var/www/older\n"
