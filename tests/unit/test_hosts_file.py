"""Names that the machine knows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.sip.hosts_file import HostsFile

TEXT = """\
127.0.0.1   localhost
192.0.2.7   Carrier.Test sbc   # the trunk
2001:db8::7 carrier.test.
not-an-ip   broken.test
192.0.2.8
#192.0.2.9  comment.test
"""


def test_names_have_their_addresses_in_order(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text(TEXT)
    hosts = HostsFile(path)
    assert hosts.addresses("carrier.test") == ("192.0.2.7", "2001:db8::7")
    assert hosts.addresses("sbc") == ("192.0.2.7",)
    for unknown in ("broken.test", "comment.test", "the", ""):
        assert hosts.addresses(unknown) == ()


@pytest.mark.parametrize("name", ["localhost", "phone.localhost"])
def test_localhost_is_this_machine_whatever_the_file_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 localhost phone.localhost")
    assert HostsFile(path).addresses(name) == ("127.0.0.1", "::1")
    assert HostsFile(tmp_path / "missing").addresses(name) == ("127.0.0.1", "::1")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 a.test")
    hosts = HostsFile(path)
    assert hosts.addresses("a.test") == ("192.0.2.1",)
    path.write_text("192.0.2.2 a.test")
    os.utime(path, ns=(1, 1))
    assert hosts.addresses("a.test") == ("192.0.2.2",)
    path.unlink()
    assert hosts.addresses("a.test") == ()


def test_a_file_of_any_bytes_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(bytes(range(256)) * 10 + b"\n192.0.2.1 a.test\n")
    assert HostsFile(path).addresses("a.test") == ("192.0.2.1",)
