"""The hosts by name, with an image and published ports on every engine."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.environ["MOLECULE_PROJECT_DIRECTORY"], "molecule", "shared"))
from probe import publish, reach, serve


@pytest.fixture(scope="session")
def neighbour():
    return reach("docker-plain")


@pytest.fixture(scope="session")
def outside(neighbour):
    neighbour.check_output("ufw allow 8090/tcp")
    return serve(neighbour)


@pytest.fixture(scope="session", params=["docker-debian12", "docker-debian13"])
def engine(request):
    host = reach(request.param)
    publish(host)
    return host
