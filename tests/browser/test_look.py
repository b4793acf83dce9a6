"""The status site in a browser: at the width of a phone and of a desktop, light and dark, on a good day and on a bad one."""

import urllib.parse
import urllib.request

from conftest import OUT, PATHS


def test_every_page_was_looked_at(seen):
    _base, found = seen
    assert len(found) == 2 * 2 * len(PATHS) and {entry["name"] for entry in found} == set(PATHS)
    print(f"\n{len(found)} screenshots in {OUT}; axe-core: {sum(len(entry['passed']) for entry in found)} rules held")
    assert all((OUT / "good" / entry["file"]).stat().st_size > 5000 for entry in found)


def test_nothing_is_said_on_the_console_and_nothing_is_missing(seen):
    assert [(entry["name"], entry["device"], entry["said"]) for entry in seen[1] if entry["said"]] == []


def test_no_page_is_wider_than_its_screen_and_has_a_script(seen):
    assert [(entry["name"], entry["device"], entry["wide"]) for entry in seen[1] if entry["wide"] > 0 or entry["scripts"]] == []


def test_links_are_large_enough_for_a_thumb(seen):
    assert [(entry["name"], entry["small"]) for entry in seen[1] if entry["device"] == "phone" and entry["small"]] == []


def test_contrast_landmarks_and_names_by_an_accessibility_judge(seen):
    assert [(entry["name"], entry["device"], entry["scheme"], entry["violations"]) for entry in seen[1] if entry["violations"]] == []
    # It looked: these rules had something to hold for.
    assert all({"color-contrast", "region", "landmark-one-main", "page-has-heading-one"} <= set(entry["passed"]) for entry in seen[1])


def test_every_link_leads_somewhere(seen):
    base, found = seen
    links = {urllib.parse.urldefrag(link)[0] for entry in found for link in entry["links"] if link.startswith(base)}
    assert len(links) >= 8
    for link in sorted(links):
        with urllib.request.urlopen(link, timeout=5) as answer:
            assert answer.status == 200, link
