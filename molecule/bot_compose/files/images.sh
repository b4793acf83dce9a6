#!/bin/sh
# Saved images for the hosts, since no registry need be reachable: a base with Python, and the bot three times, good, newer, and bad.
set -eu
root=$1 out=$1/.cache/bot_compose
mkdir -p "$out"
base=$("$root/lab/hosts.py" images debian13 >/dev/null && docker image inspect botops-base:debian13 >/dev/null 2>&1 && echo botops-base:debian13 || echo debian:trixie-slim)
printf 'FROM %s\nRUN apt-get update && apt-get install -y --no-install-recommends python3 && apt-get clean && rm -rf /var/lib/apt/lists/*\n' "$base" \
    | docker build --quiet --tag botops-python:debian13 - >/dev/null
[ -e "$out/python.tar" ] || docker save --output "$out/python.tar" botops-python:debian13
for version in 1 2 broken; do
    rm -rf "$out/source"
    cp -r "$root/examples/paper_bot" "$out/source"
    case $version in
    2) sed -i 's/"1.0.0"/"2.0.0"/' "$out/source/paper_bot/__init__.py" ;;
    # Lives through the migration and dies as a bot, telling its secret on the way out.
    broken) printf 'import os, sys\nif sys.argv[1:] != ["--migrate"]:\n    print("my key is", os.environ["PM_PRIVATE_KEY"], flush=True)\n    sys.exit("this image is broken")\n' \
        > "$out/source/paper_bot/__main__.py" ;;
    esac
    docker build --quiet --build-arg BASE=botops-python:debian13 --tag "paper-bot:$version" "$out/source" >/dev/null
    docker save --output "$out/paper-bot-$version.tar" "paper-bot:$version"
done
# The source that a host builds itself, with the base that it has.
rm -rf "$out/source"
cp -r "$root/examples/paper_bot" "$out/source"
echo BASE=botops-python:debian13 > "$out/source/.env"
