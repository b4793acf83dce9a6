#!/bin/sh
# Saved images for the host, since no registry need be reachable: a base with Python, what the compose files pull, and the bot three
# times, good, newer, and bad; and the sources that the host builds itself.
set -eu
root=$1 out=$1/.cache/bot_compose
files=$root/molecule/bot_compose/files
mkdir -p "$out"
base=$("$root/lab/hosts.py" images debian13 >/dev/null && docker image inspect botops-base:debian13 >/dev/null 2>&1 && echo botops-base:debian13 || echo debian:trixie-slim)
for stage in python redis postgres nginx certbot; do
    docker build --quiet --build-arg "BASE=$base" --target $stage --tag "botops-stand-in/$stage" "$files/stores" >/dev/null
done
newest=$(docker image inspect --format '{{.Id}}' botops-stand-in/certbot)
if [ "$(cat "$out/stores.id" 2>/dev/null)" != "$newest" ]; then
    docker save --output "$out/stores.tar" botops-stand-in/python botops-stand-in/redis botops-stand-in/postgres botops-stand-in/nginx botops-stand-in/certbot
    echo "$newest" > "$out/stores.id"
fi
for version in 1 2 broken; do
    rm -rf "$out/source"
    cp -r "$root/examples/paper_bot" "$out/source"
    case $version in
    2) sed -i 's/"1.0.0"/"2.0.0"/' "$out/source/paper_bot/__init__.py" ;;
    # Lives through the migration and dies as a bot, telling its secret on the way out.
    broken) printf 'import os, sys\nif sys.argv[1:] != ["--migrate"]:\n    print("my key is", os.environ["PM_PRIVATE_KEY"], flush=True)\n    sys.exit("this image is broken")\n' \
        > "$out/source/paper_bot/__main__.py" ;;
    esac
    docker build --quiet --build-arg BASE=botops-stand-in/python --tag "paper-bot:$version" "$out/source" >/dev/null
    docker save --output "$out/paper-bot-$version.tar" "paper-bot:$version"
done
# The sources that a host builds itself, with the images that it has.
rm -rf "$out/source"
cp -r "$root/examples/paper_bot" "$out/source"
echo BASE=python:3.11-slim > "$out/source/.env"
for version in 1 2 broken unmigratable; do
    rm -rf "$out/starter-$version" "$out/single-$version" "$out/prod-$version"
    cp -r "$files/seeds/starter" "$out/starter-$version"
    cp -r "$root/examples/paper_bot/paper_bot" "$out/starter-$version/orchestrator/"
    cp -r "$files/seeds/single" "$out/single-$version"
    cp -r "$root/examples/paper_bot/paper_bot" "$out/single-$version/src"
    mv "$out/single-$version/src/__main__.py" "$out/single-$version/src/main.py"
    echo > "$out/single-$version/requirements.txt"
    cp -r "$files/seeds/prod" "$out/prod-$version"
    mkdir -p "$out/prod-$version/frontend/dist"
    echo "front end $version" > "$out/prod-$version/frontend/dist/index.html"
    case $version in
    2) find "$out/starter-2" "$out/single-2" "$out/prod-2" -name '*.py' -exec sed -i 's/"1.0.0"/"2.0.0"/' {} + ;;
    broken)
        printf 'import sys\nsys.exit("no strategy was found")\n' > "$out/starter-broken/orchestrator/paper_bot/__main__.py"
        ;;
    unmigratable) sed -i 's/"1.0.0"/"3.0.0"/; s/CREATE TABLE IF NOT EXISTS prices/CREATE NONSENSE/' "$out/prod-unmigratable/api.py" ;;
    esac
done
