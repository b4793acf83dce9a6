#!/bin/sh
# One tag for each way a release can turn out.
set -eu
export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@example.invalid GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@example.invalid
# The same commits on every host, whenever it makes them.
export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
work=$(mktemp -d)
cp -r /srv/paper_bot/. "$work"
cd "$work"
rm -rf paper_bot/__pycache__
git init --quiet --initial-branch main
release() {
    git add --all
    git commit --quiet --message "$1"
    git tag "$1"
}
release v1
sed -i 's/"1.0.0"/"2.0.0"/' paper_bot/__init__.py
release v2

# Ends at once, and tells its secret on the way out.
git checkout --quiet -b broken v2
cat > paper_bot/__main__.py <<'END'
import os, pathlib, sys
if sys.argv[1:] != ["--migrate"]:
    print("my key is", pathlib.Path(os.environ["CREDENTIALS_DIRECTORY"], "PM_PRIVATE_KEY").read_text(), flush=True)
    sys.exit("this release is broken")
END
release v3-broken

# Runs, and never answers.
git checkout --quiet -b mute v2
printf 'import sys, time\nif sys.argv[1:] != ["--migrate"]:\n    print("here but mute", flush=True)\n    time.sleep(3600)\n' > paper_bot/__main__.py
release v4-mute

git checkout --quiet -b unmigratable v2
printf 'import sys\nif sys.argv[1:] == ["--migrate"]:\n    sys.exit("the schema cannot be changed")\n' > paper_bot/__main__.py
release v5-unmigratable

# A package with its hash, from a directory in the release: no index is asked.
git checkout --quiet -b hashed v2
mkdir wheels
python3 - <<'END'
import zipfile
with zipfile.ZipFile("wheels/hello_bot-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr(zipfile.ZipInfo("hello_bot.py"), "GREETING = 'hello'\n")
    wheel.writestr(zipfile.ZipInfo("hello_bot-1.0.dist-info/METADATA"), "Metadata-Version: 2.1\nName: hello-bot\nVersion: 1.0\n")
    wheel.writestr(zipfile.ZipInfo("hello_bot-1.0.dist-info/WHEEL"), "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(zipfile.ZipInfo("hello_bot-1.0.dist-info/RECORD"), "hello_bot.py,,\nhello_bot-1.0.dist-info/METADATA,,\nhello_bot-1.0.dist-info/WHEEL,,\nhello_bot-1.0.dist-info/RECORD,,\n")
END
sum=$(sha256sum wheels/*.whl | cut -d' ' -f1)
printf -- '--no-index\n--find-links ./wheels\nhello-bot==1.0 --hash=sha256:%s\n' "$sum" > requirements.txt
printf 'import hello_bot\n' >> paper_bot/__init__.py
sed -i 's/"2.0.0"/"6.0.0"/' paper_bot/__init__.py
release v6-hashed
printf -- '--no-index\n--find-links ./wheels\nhello-bot==1.0 --hash=sha256:%064d\n' 0 > requirements.txt
release v7-badhash
git checkout --quiet main
mkdir -p /srv/git
git clone --quiet --bare "$work" /srv/git/bot.git
# Not root's: a deployment has to read what others own.
chown -R nobody /srv/git
rm -rf "$work"
