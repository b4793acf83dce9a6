#!/usr/bin/python3
"""What the vendor's control program does, as far as the role has to do with it: actions, modes, exit codes, and where things lie.

fetch-config takes one file as the only configuration, judges it, and leaves the old one where it refuses; status is JSON; preun stops and disables.
"""

import getopt
import json
import pathlib
import subprocess
import sys

HOME = pathlib.Path("/opt/aws/amazon-cloudwatch-agent")
TOML, CONFIGS, SCHEMA = HOME / "etc/amazon-cloudwatch-agent.toml", HOME / "etc/amazon-cloudwatch-agent.d", HOME / "bin/schema.json"
UNIT = "amazon-cloudwatch-agent.service"


def systemctl(*words):
    return subprocess.run(["systemctl", *words], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def fetch(source, mode):
    path = pathlib.Path(source.partition("file:")[2])
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"E! Failed to read {path}: {error}")
    judge(found)
    if mode != "ec2" and "region" not in found.get("agent", {}):
        sys.exit("E! Failed to determine region: no region in the agent section outside EC2")
    CONFIGS.mkdir(exist_ok=True)
    for old in CONFIGS.iterdir():
        old.unlink()
    (CONFIGS / ("file_" + path.name)).write_text(json.dumps(found))
    TOML.write_text(json.dumps(found, indent=1))
    print("Configuration validation succeeded")


def judge(found):
    unknown = set(found) - {"agent", "metrics", "logs", "traces", "opentelemetry"}
    if unknown:
        sys.exit(f"E! Invalid Json input schema.\nUnder path : / | Error : Additional property {min(unknown)} is not allowed")
    try:
        import jsonschema
    except ImportError:
        return
    if SCHEMA.exists():
        for error in jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).iter_errors(found):
            sys.exit(f"E! Invalid Json input schema.\nUnder path : /{'/'.join(map(str, error.path))} | Error : {error.message}")


def main():
    options = dict(getopt.getopt(sys.argv[1:], "hsa:c:m:l:")[0])
    action, mode = options.get("-a"), options.get("-m", "ec2")
    if mode not in ("ec2", "onPremise", "auto"):
        sys.exit(f"Invalid mode: {mode}")
    if action == "fetch-config":
        fetch(options["-c"], mode)
        if "-s" in options:
            systemctl("restart", UNIT)
    elif action == "status":
        running = "running" if systemctl("is-active", UNIT) == 0 else "stopped"
        configured = "configured" if TOML.exists() else "not configured"
        version = (HOME / "bin/CWAGENT_VERSION").read_text().strip()
        print(json.dumps({"status": running, "configstatus": configured, "version": version}, indent=2))
    elif action == "stop":
        systemctl("stop", UNIT)
    elif action == "preun":
        systemctl("stop", UNIT)
        systemctl("disable", UNIT)
    else:
        sys.exit(f"Invalid action: {action}")


main()
