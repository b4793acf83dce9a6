"""SCAP content for a release that its own package does not know: Debian 12 is described by the package of Debian 13, and by no other.

apt fetches it, out of the sources and with the keys that this host already trusts; nothing is installed, one file is unpacked.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import tempfile

from compliance import common, scanners

# The release whose package describes this one.
DESCRIBED_IN = {"bookworm": "trixie"}


def renamed(text: str, old: str, new: str) -> str:
    """A source of the distribution itself, of the other release: one-line or deb822. Suites beside it (-updates, -security) are not needed."""
    kept = []
    for line in text.splitlines():
        if line.startswith("deb ") and not re.search(rf"\s{old}\s", line):
            continue
        if re.match(r"(?i)suites:", line):
            if old not in line.split():
                return ""
            line = f"Suites: {new}"
        kept.append(re.sub(rf"(\s){old}(\s)", rf"\g<1>{new}\g<2>", line) if line.startswith("deb ") else line)
    return "\n".join(kept) + "\n"


def fetch(codename: str, name: str) -> bool:
    """Whether the file `name` was brought. Refused where apt cannot."""
    target, newer = scanners.CONTENT_OF_OURS / name, DESCRIBED_IN[codename]
    if target.exists():
        return False
    with tempfile.TemporaryDirectory(prefix="botops-scap-") as place:
        top = pathlib.Path(place)
        # apt's own account fetches.
        top.chmod(0o755)
        for directory in ("sources", "lists/partial", "cache/archives/partial", "unpacked"):
            (top / directory).mkdir(parents=True)
        for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
            if path.suffix not in (".list", ".sources") or not path.exists():
                continue
            blocks = [renamed(block, codename, newer) for block in common.read(str(path)).split("\n\n")]
            (top / "sources" / path.name).write_text("\n".join(blocks))
        options = [
            f"Dir::Etc::SourceParts={top}/sources", "Dir::Etc::SourceList=/dev/null", f"Dir::State::Lists={top}/lists", f"Dir::Cache={top}/cache",
        ]  # fmt: skip
        argv = ["apt-get", *(word for option in options for word in ("-o", option))]
        for words in (["update", "-q"], ["download", "-q", "ssg-debian"]):
            told = common.run([*argv, *words], 300, cwd=top / "unpacked")
            if told.status:
                raise common.Refused(f"The SCAP content of {newer} could not be fetched: {told.last}; take openscap out of compliance_scanners, or try again.")
        package = next((top / "unpacked").glob("ssg-debian_*.deb"), None)
        told = common.run(["dpkg-deb", "-x", str(package), str(top / "unpacked")], 120)
        found = top / "unpacked/usr/share/xml/scap/ssg/content" / name
        if told.status or not found.exists():
            raise common.Refused(f"The package of {newer} holds no {name}; take openscap out of compliance_scanners.")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)
    return True
