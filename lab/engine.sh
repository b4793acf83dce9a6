#!/bin/sh
# Makes sure that a Docker engine answers; installs or starts one where it may, and says so.
set -eu

answers() { docker info >/dev/null 2>&1; }
answers && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "No Docker engine answers to $(id -un). Start it (sudo systemctl start docker), add yourself to the group docker, or run this as root." >&2
    exit 1
fi

missing=""
command -v dockerd >/dev/null 2>&1 || missing="docker.io iptables"
command -v docker >/dev/null 2>&1 || missing="$missing docker-cli"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "No Docker engine is installed and this is not Debian or Ubuntu: install Docker Engine 20.10 or newer, then run this again." >&2
        exit 1
    fi
    # The client is a package of its own since Debian 13; before, docker.io holds both.
    apt-cache show docker-cli >/dev/null 2>&1 || missing="docker.io iptables"
    echo "  no Docker engine is installed: installing $missing"
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null
fi

if [ -d /run/systemd/system ]; then
    echo "  starting the Docker engine: systemctl start docker"
    systemctl start docker
elif ! answers; then
    echo "  starting the Docker engine: dockerd (its log: /var/log/dockerd.log)"
    rm -f /var/run/docker.pid
    setsid dockerd </dev/null >/var/log/dockerd.log 2>&1 &
fi

tries=0
until answers; do
    tries=$((tries + 1))
    if [ "$tries" -gt 120 ]; then
        echo "The Docker engine did not answer within 60 s; its last words:" >&2
        tail -n 5 /var/log/dockerd.log >&2 || true
        exit 1
    fi
    sleep 0.5
done
