"""docs/runbook.md says what the phone says and what there is to type: each of it exists."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs/runbook.md").read_text()
ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in TEXT.splitlines() if re.match(r"\| \d+\. ", line)]
# What stands for a name or a detail, and splits a message into what is always the same.
VARIABLE = re.compile(r"\b(?:bot-NAME|NAME|HOST|alpha|beta|lost)\b|…| / ")
SOURCES = "\n".join(
    path.read_text(errors="replace") for top in ("roles", "plugins") for path in sorted((ROOT / top).rglob("*"))
    if path.is_file() and path.suffix not in (".md", ".pyc") and "collections" not in path.parts
)  # fmt: skip


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def test_there_are_ten_rows_with_all_their_cells():
    assert [row[0].partition(".")[0] for row in ROWS] == [str(number) for number in range(1, 11)]
    assert all(len(row) == 5 and all(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_phone_says_that(row):
    said = [phrase for phrase in quoted(row[1]) if not phrase.startswith(("ansible-playbook", "HTTP", "unreachable"))]
    # How a variable is written in the source: {0}, %s, $name.
    for phrase in said:
        for piece in filter(None, (part.strip() for part in VARIABLE.split(phrase))):
            assert piece in SOURCES, f"nothing says {piece!r} (of {phrase!r})"


def test_every_playbook_and_every_option_that_is_named_exists():
    named = set(re.findall(r"playbooks/\w+\.yml", TEXT))
    assert len(named) >= 4
    for name in named:
        assert (ROOT / name).exists(), name
    for command in re.findall(r"`ansible-playbook (playbooks/\w+\.yml|site\.yml)([^`]*)`", TEXT):
        known = (ROOT / command[0]).read_text() + SOURCES
        for option in re.findall(r"-e (\w+)=", command[1]):
            assert option in known, f"{command[0]} knows no {option}"


def test_every_tag_of_site_yml_that_is_named_exists():
    site = (ROOT / "playbooks/site.yml").read_text()
    for tag in set(re.findall(r"site\.yml --tags (\w+)", TEXT)):
        assert re.search(rf"tags: \[.*\b{tag}\b", site), tag


def test_every_program_of_ours_that_is_named_is_installed_by_a_role():
    for name in set(re.findall(r"sudo (botops-[\w-]+)", TEXT)):
        assert list((ROOT / "roles").glob(f"*/files/{name}")), name
    for tag in set(re.findall(r"journalctl -t (botops-[\w-]+)", TEXT)):
        assert f'"{tag}"' in SOURCES, tag


def test_nothing_tells_to_type_what_no_role_installs():
    """crmsh and pcs are not among the packages of a pair."""
    assert not re.search(r"\b(?:pcs status|crm resource|crm status)\b", SOURCES + TEXT + (ROOT / "docs/backups.md").read_text())
