"""A small image on every engine, and the hosts by name."""

import os
import subprocess
import time

import pytest
import testinfra

ENGINES = ("docker-debian12", "docker-debian13")
NEIGHBOUR = "docker-plain"

IMAGE = """
set -e
docker image inspect probe >/dev/null 2>&1 && exit 0
root=$(mktemp -d)
mkdir -p $root/bin $root/www $root/tmp
cp /usr/local/bin/busybox $root/bin/
for name in sh httpd wget sleep cat ping; do ln -s busybox $root/bin/$name; done
echo answered > $root/www/index.html
tar -C $root -c . | docker import - probe >/dev/null
rm -rf $root
"""


def reach(name):
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}&sudo=true")


def address_of(host):
    return host.check_output("ip -4 -o addr show dev eth0").split()[3].split("/")[0]


def fetch(host, url, seconds=1):
    """What a web server answered, or None if nobody did."""
    done = host.run(f"busybox wget -q -O - -T {seconds} {url}")
    return done.stdout.strip() if done.rc == 0 else None


def eventually(question, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.3)
    return None


@pytest.fixture(scope="session")
def neighbour():
    return reach(NEIGHBOUR)


@pytest.fixture(scope="session")
def neighbour_web(neighbour):
    """A web server on the neighbour itself, for connections out of containers."""
    neighbour.check_output("ufw allow 8090/tcp")
    neighbour.run("mkdir -p /srv/web && echo outside > /srv/web/index.html")
    neighbour.run("systemd-run --unit=test-web --collect /usr/local/bin/busybox httpd -f -p 8090 -h /srv/web")
    return f"http://{address_of(neighbour)}:8090/"


@pytest.fixture(scope="session", params=ENGINES)
def engine(request):
    host = reach(request.param)
    host.check_output(IMAGE)
    host.run("docker rm -f undeclared declared looped client peer")
    host.check_output("docker run -d --name undeclared -p 0.0.0.0:8080:80 probe httpd -f -p 80 -h /www")
    host.check_output("docker run -d --name declared -p 0.0.0.0:8081:80 probe httpd -f -p 80 -h /www")
    host.check_output("docker run -d --name looped -p 8082:80 probe httpd -f -p 80 -h /www")
    return host


@pytest.fixture
def restart_machine():
    """What a reboot is for a container: everything in it starts anew."""

    def restart(host):
        name = f"botops-molecule-{os.environ['MOLECULE_SCENARIO_NAME']}-{host.backend.host}"
        subprocess.run(["docker", "restart", name], check=True, capture_output=True)
        assert eventually(lambda: _is_up(host), 60), f"{name} did not come back"

    def _is_up(host):
        try:
            return host.run("systemctl is-active docker").stdout.strip() == "active"
        except RuntimeError:
            return False

    return restart
