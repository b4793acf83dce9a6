"""How docker_host decides: what a running engine knows, when a restart is safe, what stands on a host in its way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.botops.fleet.plugins.module_utils._docker import engine, host

NOW = {"id": "812/55", "started": 1000.0}
CONFIG = {"live-restore": True, "log-driver": "json-file", "debug": False}


class TestRunningConfig:
    def test_the_note_of_this_very_engine_counts(self):
        record = {"engine": "812/55", "config": {"debug": True}}
        assert engine.running_config(record, NOW, CONFIG, 2000.0) == {"debug": True}

    def test_a_note_of_an_earlier_engine_does_not(self):
        record = {"engine": "400/11", "config": {"debug": True}}
        assert engine.running_config(record, NOW, CONFIG, 900.0) == CONFIG

    def test_a_file_older_than_the_engine_was_read_by_it(self):
        assert engine.running_config(None, NOW, CONFIG, 999.0) == CONFIG

    @pytest.mark.parametrize("written", [1000.0, 1001.0, None])
    def test_otherwise_nothing_is_known(self, written):
        assert engine.running_config(None, NOW, CONFIG, written) is None


class TestPlan:
    def test_nothing_to_do(self):
        assert engine.plan(CONFIG, dict(CONFIG), False) == (False, [])

    def test_reload_is_enough(self):
        assert engine.plan(CONFIG, {**CONFIG, "debug": True}, False) == (True, [])

    def test_restart(self):
        assert engine.plan(CONFIG, {**CONFIG, "log-driver": "local"}, False) == (False, ["log-driver"])

    def test_an_option_that_is_gone_counts(self):
        assert engine.plan({**CONFIG, "ip": "127.0.0.1"}, CONFIG, False) == (False, ["ip"])

    def test_unknown_means_everything(self):
        assert engine.plan(None, CONFIG, False) == (True, ["log-driver"])

    def test_a_replaced_program(self):
        assert engine.plan(CONFIG, CONFIG, True) == (False, ["the upgraded engine itself"])

    def test_after_a_reload_what_needs_a_restart_still_differs(self):
        wanted = {"live-restore": True, "log-driver": "local", "debug": True}
        running = engine.after_reload({"live-restore": False, "log-driver": "json-file", "labels": ["a"]}, wanted)
        assert running == {"log-driver": "json-file", "live-restore": True, "debug": True}
        assert engine.differing(running, wanted) == ["log-driver"]

    @given(
        st.dictionaries(st.sampled_from(["debug", "live-restore", "ip", "log-driver", "bip"]), st.integers(0, 2)),
        st.dictionaries(st.sampled_from(["debug", "live-restore", "ip", "log-driver", "bip"]), st.integers(0, 2)),
    )
    def test_a_reload_leaves_nothing_that_another_would_change(self, running, wanted):
        after = engine.after_reload(running, wanted)
        assert not engine.plan(after, wanted, False)[0]


@pytest.mark.parametrize(
    ("keys", "containers", "live_restore", "allowed", "safe"),
    [
        (["ip"], [], False, False, True),
        (["ip"], ["bot"], True, False, True),
        (["ip"], ["bot"], False, False, False),
        (["ip"], ["bot"], False, True, True),
        (["bip"], ["bot"], True, False, False),
        (["data-root", "ip"], ["bot"], True, False, False),
        (["data-root"], ["bot"], True, True, True),
    ],
)
def test_restart_is_safe(keys, containers, live_restore, allowed, safe):
    assert engine.restart_is_safe(keys, containers, live_restore, allowed) is safe


def test_the_sentence_says_what_to_type():
    text = engine.pending_sentence(["ip"], ["bot-%d" % n for n in range(7)], False)
    assert "`sudo systemctl restart docker` (which stops and starts them)" in text
    assert "bot-4 and 2 more" in text


class TestSources:
    def test_one_line_entries(self):
        text = "# deb http://a x y\ndeb [arch=amd64 signed-by=/k] https://example.com/linux/debian bookworm stable\ndeb-src http://b x y\n"
        assert host.source_entries("/x.list", text) == [(2, "https://example.com/linux/debian"), (3, "http://b")]

    def test_stanzas_and_disabled_ones(self):
        text = "Types: deb\nURIs: https://a https://b\nSuites: x\n\nEnabled: no\nURIs: https://c\n"
        assert host.source_entries("/x.sources", text) == [(2, "https://a"), (2, "https://b")]

    def test_a_file_of_its_own_is_stale_and_a_shared_one_is_refused(self):
        files = {
            "/etc/apt/sources.list.d/docker.list": "deb https://example.com/d/ bookworm stable\n",
            "/etc/apt/sources.list": "deb https://other x main\ndeb https://example.com/d bookworm stable\n",
            "/etc/apt/sources.list.d/docker.sources": "URIs: https://example.com/d\n",
            "/etc/apt/sources.list.d/other.list": "deb https://other x main\n",
        }
        stale, sentences = host.repository_conflicts(files, "https://example.com/d", "/etc/apt/sources.list.d/docker.sources")
        assert stale == ["/etc/apt/sources.list.d/docker.list"]
        assert len(sentences) == 1
        assert sentences[0].startswith("/etc/apt/sources.list line 2 names https://example.com/d beside other repositories")


class TestPackages:
    def said(self, installed, channel="upstream", version="", upgrade=False, containers=("bot",), survives=False, allowed=False):
        return host.package_sentences(installed, channel, version, upgrade, list(containers), survives, allowed)

    def test_a_fresh_host(self):
        assert self.said({}, containers=()) == []

    def test_another_docker_command(self):
        assert "podman-docker" in self.said({"podman-docker": "4"}, containers=())[0]

    def test_changing_the_source_under_containers(self):
        assert "changing to docker-ce would stop them: set docker_host_packages: distro" in self.said({"docker.io": "20"})[0]
        assert "docker_host_packages: upstream" in self.said({"docker-ce": "28"}, channel="distro")[0]
        assert self.said({"docker.io": "20"}, containers=()) == []
        assert self.said({"docker.io": "20"}, allowed=True) == []

    def test_changing_the_version_under_containers(self):
        installed = {"docker-ce": "5:28.1.0-1"}
        assert self.said(installed, version="5:28.1.*") == []
        assert "would be replaced while containers run (bot)" in self.said(installed, version="5:28.2.*")[0]
        assert self.said(installed, version="5:28.2.*", survives=True) == []
        assert self.said(installed, upgrade=True) != []


class TestNetwork:
    def test_a_bridge_of_the_hosts_own(self):
        patterns = ["docker0", "br-+"]
        assert host.bridge_sentences(["docker0", "br-0123456789ab", "virbr0"], patterns, set()) == []
        assert "br-lan is not Docker's" in host.bridge_sentences(["br-lan"], patterns, set())[0]
        assert host.bridge_sentences(["br-lan"], patterns, {"br-lan"}) == []
        assert host.bridge_sentences(["br-lan"], ["docker0"], set()) == []

    def test_a_pool_that_is_in_use_here(self):
        pools = [{"base": "10.1.0.0/16", "size": 24}]
        assert "lies inside 10.0.0.0/8, which this host reaches by eth1" in host.pool_sentences(pools, [("10.0.0.0/8", "eth1")], set())[0]
        # The engine skips the part that is in use.
        assert host.pool_sentences(pools, [("10.1.2.0/24", "eth1")], set()) == []
        assert host.pool_sentences(pools, [("10.1.0.0/16", "docker0"), ("0.0.0.0/0", "eth0"), ("fd00::/8", "eth0")], set()) == []
