"""Which RTP ports the kernel gives to others as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.sip.kernel_ports import given_by_the_kernel, overlap_in_words


@pytest.mark.parametrize(
    ("ports", "reserved", "shared"),
    [
        ((16384, 32767), "", None),
        ((20000, 40000), "", (32768, 40000)),
        ((50000, 65000), "", (50000, 60999)),
        ((30000, 33000), "32768-33000", None),
        ((30000, 33000), "8080,32768-32900\n", (32901, 33000)),
        ((32768, 32768), "32768", None),
    ],
)
def test_what_is_reserved_is_not_shared(
    tmp_path: Path, ports: tuple[int, int], reserved: str, shared: tuple[int, int] | None
) -> None:
    (tmp_path / "ip_local_port_range").write_text("32768\t60999\n")
    (tmp_path / "ip_local_reserved_ports").write_text(reserved)
    assert given_by_the_kernel(ports, tmp_path) == shared
    words = overlap_in_words(ports, tmp_path)
    assert bool(words) == (shared is not None)
    if shared is not None:
        assert f"from {shared[0]} to {shared[1]}" in words
        assert f"ip_local_reserved_ports={ports[0]}-{ports[1]}" in words


@pytest.mark.parametrize("text", [None, "", "many\n"])
def test_a_kernel_that_does_not_say_is_not_accused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ip_local_port_range").write_text(text)
    assert given_by_the_kernel((1024, 65535), tmp_path) is None
