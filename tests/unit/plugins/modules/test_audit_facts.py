"""What a kernel's answer means, and how paths are found. The kernel itself is asked by molecule/auditd (refuses) and tests/vm (answers)."""

import errno
import struct

import pytest

from ansible_collections.botops.fleet.plugins.modules import audit_facts


def answer(kind, payload):
    return audit_facts.HEADER.pack(audit_facts.HEADER.size + len(payload), kind, 0, 1, 0) + payload


def test_a_status():
    status, refusal = audit_facts.parsed(answer(audit_facts.AUDIT_GET, struct.pack("=10I", 0, 1, 1, 799, 0, 8192, 3, 2, 0, 60000)))
    assert refusal == ""
    assert status == {"mask": 0, "enabled": 1, "failure": 1, "pid": 799, "rate_limit": 0, "backlog_limit": 8192, "lost": 3, "backlog": 2}


@pytest.mark.parametrize("number", [errno.EPERM, errno.ECONNREFUSED])
def test_a_refusal_says_what_to_do(number):
    status, refusal = audit_facts.parsed(answer(audit_facts.NLMSG_ERROR, struct.pack("=i", -number)))
    assert status == {}
    assert errno.errorcode[number] in refusal and "auditd_enabled: false" in refusal


def test_paths(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to("real")
    (tmp_path / "real/program").write_text("")
    (tmp_path / "real/program").chmod(0o755)
    (tmp_path / "real/alias").symlink_to("program")
    (tmp_path / "real/zone").symlink_to("/nowhere")
    assert audit_facts.looked(f"{tmp_path}/way/") == {"path": f"{tmp_path}/real", "directory": True}
    assert audit_facts.looked(f"{tmp_path}/way/alias") == {"path": f"{tmp_path}/real/program", "directory": False}
    assert audit_facts.looked(f"{tmp_path}/way/zone") == {"path": f"{tmp_path}/real/zone", "directory": False}
    assert audit_facts.looked(f"{tmp_path}/real/program/") is None
    assert audit_facts.looked(f"{tmp_path}/gone") is None


def test_a_container_is_refused_without_asking_its_host_s_kernel(monkeypatch, tmp_path):
    (tmp_path / "mark").write_text("")
    monkeypatch.setattr(audit_facts, "CONTAINERS", (str(tmp_path / "mark"),))
    monkeypatch.setattr(audit_facts.socket, "socket", lambda *_arguments: pytest.fail("the kernel was asked"))
    assert audit_facts.kernel()[1].startswith(f"this is a container ({tmp_path}/mark)")
