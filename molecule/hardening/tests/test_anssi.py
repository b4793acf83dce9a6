"""ANSSI BP-028, level intermediary, judged by OpenSCAP. Debian 13's package holds the content for Debian 12; for 13 there is none yet."""

import collections
import os
import pathlib
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

MINIMUM = 95.0
PROFILE = "xccdf_org.ssgproject.content_profile_anssi_bp28_intermediary"
RULE = "xccdf_org.ssgproject.content_rule_"
NAMESPACE = "{http://checklists.nist.gov/xccdf/1.2}"
PACKAGE = pathlib.Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / ".cache/ssg-debian.deb"
# What the role leaves as it is, and why.
LEFT = {
    "sudoers_explicit_command_args": "an administrator may run everything",
    "sudoers_no_root_target": "an administrator may become root",
    "accounts_password_set_max_life_root": "root's cron jobs end with root's password",
    "accounts_password_pam_unix_rounds_password_auth": "eleven rounds of yescrypt take 1 GiB of memory for each password",
}
DOWNLOAD = r"""
set -e
mkdir -p /tmp/ssg/lists/partial /tmp/ssg/cache/archives/partial
cd /tmp/ssg
sed -n 's/bookworm/trixie/gp' /etc/apt/sources.list $(ls /etc/apt/sources.list.d/*.list 2>/dev/null) | grep ' trixie main' > sources
options="-o Dir::Etc::SourceList=/tmp/ssg/sources -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/tmp/ssg/lists -o Dir::Cache=/tmp/ssg/cache"
apt-get $options update -qq
apt-get $options download -qq ssg-debian
mv ssg-debian_*.deb /tmp/ssg-debian.deb
rm -rf /tmp/ssg
"""


def in_container(host, *words):
    subprocess.run(["docker", "cp", *[word.replace("HOST:", f"botops-molecule-hardening-{host.backend.get_hostname()}:") for word in words]], check=True)


@pytest.fixture
def scanner(host):
    if (host.system_info.distribution, host.system_info.release) != ("debian", "12"):
        pytest.skip("there is content for Debian 12 only")
    if PACKAGE.exists():
        in_container(host, str(PACKAGE), "HOST:/tmp/ssg-debian.deb")
    else:
        host.check_output(DOWNLOAD)
        in_container(host, "HOST:/tmp/ssg-debian.deb", str(PACKAGE))
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openscap-scanner /tmp/ssg-debian.deb 2>&1")
    yield host
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq openscap-scanner ssg-debian 2>&1; rm -f /tmp/ssg-debian.deb /tmp/anssi.xml")


def test_anssi_intermediary(scanner, tmp_path, capsys):
    scanner.run(f"oscap xccdf eval --profile {PROFILE} --results /tmp/anssi.xml /usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml")
    in_container(scanner, "HOST:/tmp/anssi.xml", str(tmp_path))
    found = collections.defaultdict(list)
    for result in ElementTree.parse(tmp_path / "anssi.xml").iter(NAMESPACE + "rule-result"):
        found[result.find(NAMESPACE + "result").text].append(result.get("idref").removeprefix(RULE))
    passed, failed = len(found["pass"]), sorted(found["fail"])
    share = 100 * passed / (passed + len(failed))
    with capsys.disabled():
        print(f"\nANSSI BP-028 intermediary: {share:.1f} % of {passed + len(failed)} applicable rules (at least {MINIMUM} %); left: {', '.join(failed)}")
        print(f"not applicable in a container: {', '.join(sorted(found['notapplicable']))}")
    assert set(failed) <= set(LEFT)
    assert passed > 60 and share >= MINIMUM
