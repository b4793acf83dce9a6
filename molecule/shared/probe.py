"""What scenarios with Docker share: hosts by name, a small image, questions over the network, a reboot."""

from __future__ import annotations

import os
import subprocess
import time

import testinfra

# One file of Busybox, as a shell, a web server and a web client. No registry is needed for it.
IMAGE = """
set -e
docker image inspect probe >/dev/null 2>&1 && exit 0
root=$(mktemp -d)
mkdir -p $root/bin $root/www $root/tmp
cp "$(PATH=/usr/local/bin:/usr/bin:/bin command -v busybox)" $root/bin/busybox
for name in sh httpd wget sleep cat; do ln -s busybox $root/bin/$name; done
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
    done = host.run(f"PATH=/usr/local/bin:$PATH busybox wget -q -O - -T {seconds} {url}")
    return done.stdout.strip() if done.rc == 0 else None


def eventually(question, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.3)
    return None


def publish(engine):
    """8080 on every address and not declared, 8081 on every address and declared, 8082 without an address."""
    engine.check_output(IMAGE)
    engine.run("docker rm -f undeclared declared looped")
    for name, port in (("undeclared", "0.0.0.0:8080"), ("declared", "0.0.0.0:8081"), ("looped", "8082")):
        engine.check_output(f"docker run -d --restart always --name {name} -p {port}:80 probe httpd -f -p 80 -h /www")


def guarded(engine, neighbour):
    """The whole promise in one place: it has to hold after everything that may happen to a host."""
    at = address_of(engine)
    for port in (8080, 8081, 8082):
        assert eventually(lambda port=port: fetch(engine, f"http://127.0.0.1:{port}/")) == "answered"
    assert fetch(neighbour, f"http://{at}:8081/", 5) == "answered"
    assert fetch(neighbour, f"http://{at}:8080/") is None
    assert fetch(neighbour, f"http://{at}:8082/") is None


def serve(neighbour):
    """A web server on the neighbour itself, for connections out of containers; its address."""
    neighbour.run("mkdir -p /srv/web && echo outside > /srv/web/index.html")
    neighbour.run('systemd-run --unit=test-web --collect "$(PATH=/usr/local/bin:$PATH command -v busybox)" httpd -f -p 8090 -h /srv/web')
    return f"http://{address_of(neighbour)}:8090/"


def egress(engine, url):
    return engine.check_output(f"docker run --rm probe wget -q -O - -T 5 {url}")


def restart_machine(host):
    """What a reboot is for a container: everything in it starts anew."""
    name = f"botops-molecule-{os.environ['MOLECULE_SCENARIO_NAME']}-{host.backend.host}"
    subprocess.run(["docker", "restart", name], check=True, capture_output=True)

    def up():
        try:
            return host.run("systemctl is-active docker").stdout.strip() == "active"
        except RuntimeError:
            return False

    assert eventually(up, 60), f"{name} did not come back"
