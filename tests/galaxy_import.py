#!/usr/bin/env python3
"""Build the collection in the current directory and let galaxy-importer judge the tarball."""

from __future__ import annotations

import logging
import pathlib
import subprocess
import sys
import tempfile

from galaxy_importer import collection, config


def main() -> int:
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["ansible-galaxy", "collection", "build", "--output-path", tmp], check=True)
        tarball = next(pathlib.Path(tmp).glob("*.tar.gz"))
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
        problems: list[str] = []
        handler = logging.Handler(level=logging.WARNING)
        handler.emit = lambda record: problems.append(f"{record.levelname} {record.getMessage()}")
        logging.getLogger("galaxy_importer").addHandler(handler)
        # ansible-lint is a check of its own, and the importer gives it three minutes whatever else the machine does.
        settings = config.Config(config_data={"run_ansible_lint": False, "check_required_tags": True})
        with tarball.open("rb") as stream:
            collection.import_collection(
                file=stream, filename=collection.CollectionFilename("botops", "fleet", tarball.name.split("-")[2][: -len(".tar.gz")]),
                file_url=None, logger=logging.getLogger("galaxy_importer"), cfg=settings,
            )
    print("\n".join(problems) or "galaxy-importer reports nothing")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
