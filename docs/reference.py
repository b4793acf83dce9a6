"""What the documentation says of variables and plugins comes from their specification.

reference.py tables [--check]   write the tables into the READMEs, or fail where one is stale
reference.py site               an HTML site of every role, module, filter and playbook: build/docs/html/index.html
"""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import yaml
from antsibull_docs_parser.md import to_md
from antsibull_docs_parser.parser import Context, parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "docs"
KINDS = {"module": ("plugins/modules", "*.py"), "filter": ("plugins/filter", "*.yml"), "inventory": ("plugins/inventory", "*.py")}
LONGEST = 60  # characters of a default in a cell
CLOUDS = {"DigitalOcean": ("do_", "spaces_"), "AWS": ("aws_",)}


def text(markup: str | list[str]) -> str:
    """The first paragraph of a description as Markdown that fits into a cell."""
    first = markup if isinstance(markup, str) else markup[0]
    plain = to_md(parse(first.replace("\n", " "), Context()))
    # The library escapes for any place in a document; in a cell only these two mean something.
    return re.sub(r"\\([^|*<>\s])", r"\1", re.sub(r"</?(?:code|em|strong)>", lambda tag: "`" if "code" in tag[0] else "", plain)).strip()


def shown(option: dict) -> str:
    if option.get("required"):
        return "**required**"
    default = option.get("default")
    if default is None:
        return ""
    words = default if isinstance(default, str) and default else json.dumps(default)
    # A long one is easier to read where it is set.
    return "see defaults" if len(words) > LONGEST or "\n" in words else f"`{words}`".replace("|", "\\|")


def kind(option: dict) -> str:
    elements = f" of {option['elements']}" if option.get("elements") else ""
    return option.get("type", "str") + elements


def variables(role: pathlib.Path) -> str:
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    rows = [f"| `{name}` | {kind(option)} | {shown(option)} | {text(option['description'])} |" for name, option in options.items()]
    nested = f"\n\nWhat the entries of lists and dictionaries hold: `ansible-doc -t role botops.fleet.{role.name}`."
    return "\n".join(["| variable | type | default | meaning |", "|---|---|---|---|", *rows]) + nested


def short_descriptions(what: str) -> dict[str, str]:
    folder, pattern = KINDS[what]
    found = {}
    for path in sorted((ROOT / folder).glob(pattern)):
        match = re.search(r"^ *short_description: *(.+)$", path.read_text(), re.MULTILINE)
        if match:
            found[path.stem] = match[1].strip("\"'")
    return found


def plugins() -> str:
    """Those that a user calls; the rest say in their first line to which role they are internal."""
    modules = short_descriptions("module")
    internal = {name for name, words in modules.items() if words.startswith("Internal")}
    cloud = {name for name in modules for prefixes in CLOUDS.values() if name.startswith(prefixes)}
    rows = [f"| {cloud_name} | {', '.join(f'`{name}`' for name in modules if name.startswith(prefixes))} |" for cloud_name, prefixes in CLOUDS.items()]
    rows += [f"| `{name}` | {modules[name]} |" for name in modules if name not in internal | cloud]
    rows += [f"| inventory `{name}` | {words} |" for name, words in short_descriptions("inventory").items()]
    rows += [f"| filter `{name}` | {words} |" for name, words in short_descriptions("filter").items() if not words.startswith("Internal")]
    return "\n".join(["| plugin | what it does |", "|---|---|", *rows])


def blocks() -> dict[pathlib.Path, dict[str, str]]:
    """{file: {name of the block: what it shall hold}}."""
    roles = sorted(path.parent.parent for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
    return {ROOT / "README.md": {"plugins": plugins()}, **{role / "README.md": {"variables": variables(role)} for role in roles}}


def filled(old: str, wanted: dict[str, str], path: pathlib.Path) -> str:
    for name, body in wanted.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not block.search(old):
            sys.exit(f"{path.relative_to(ROOT)} has no block <!-- {name} --> … <!-- end -->: put one where the table belongs.")
        old = block.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", old)
    return old


def tables(check: bool) -> int:
    stale = 0
    for path, wanted in blocks().items():
        old = path.read_text()
        new = filled(old, wanted, path)
        if new == old:
            continue
        stale += 1
        if check:
            name = str(path.relative_to(ROOT))
            print("".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, f"{name} by its specification", n=0)))
        else:
            path.write_text(new)
    if check and stale:
        print(f"{stale} tables are stale: docs/reference.py tables writes them.")
    return 1 if check and stale else 0


def site() -> int:
    environ = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}
    tools = pathlib.Path(sys.executable).parent
    rst = SITE / "rst"
    shutil.rmtree(SITE, ignore_errors=True)
    rst.mkdir(parents=True)
    docs = [tools / "antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", rst, "botops.fleet"]
    subprocess.run(docs, check=True, env=environ)
    # No inventories of other sites, so that the build needs no network: references to them stay text.
    settings = ["-C", "-D", "project=botops.fleet", "-D", "extensions=sphinx_antsibull_ext", "-D", "html_theme=sphinx_ansible_theme",
                "-D", "suppress_warnings=ref.ref"]
    subprocess.run([tools / "sphinx-build", "-q", "-W", "--keep-going", *settings, rst, SITE / "html"], check=True)
    print(SITE / "html" / "index.html")
    return 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tables"]:
            sys.exit(tables(check=False))
        case ["tables", "--check"]:
            sys.exit(tables(check=True))
        case ["site"]:
            sys.exit(site())
        case _:
            sys.exit(__doc__)
