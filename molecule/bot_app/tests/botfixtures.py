"""Fixtures for the scenarios of bot_app."""

import sys

import pytest
import yaml
from botlib import NAMES, ROOT, SCENARIO, connect, play

sys.path.insert(0, str(ROOT / "molecule/shared"))


@pytest.fixture(scope="session")
def site():
    """The whole role as site.yml applies it."""
    return lambda *arguments, **variables: play(SCENARIO / "converge.yml", *arguments, **variables)


@pytest.fixture(scope="session")
def deploy():
    return lambda bot, *arguments, **variables: play(
        ROOT / "playbooks/deploy.yml", *arguments, **{"bot": bot, "batch": 2, "target": "all", **variables}
    )


@pytest.fixture(scope="session")
def bots():
    """The declared bots, to be changed and given back as an extra variable."""

    def changed(name, **changes):
        declared = yaml.safe_load((SCENARIO / "molecule.yml").read_text().replace("$$", "$"))["provisioner"][
            "inventory"
        ]["group_vars"]["bot_hosts"]
        for bot in declared["bot_app_bots"]:
            if bot["name"] == name:
                for key, value in changes.items():
                    bot[key] = {**bot[key], **value} if isinstance(bot.get(key), dict) else value
        return declared["bot_app_bots"]

    return changed


@pytest.fixture(scope="session")
def everywhere():
    """Every host of the scenario."""
    return [connect(name) for name in NAMES]


@pytest.fixture(scope="module", params=NAMES)
def root(request):
    """Each host of the scenario in turn, as root."""
    return connect(request.param)
