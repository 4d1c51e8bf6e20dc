"""Programs the tests need: found, or a failure that names the Debian package."""

from __future__ import annotations

import os
import shutil

PACKAGES = {
    "baresip": "baresip-core",
    "dnsmasq": "dnsmasq-base",
    "epmd": "erlang-base",
    "kamailio": "kamailio",
    "linphone-daemon": "linphone-cli",
    "openssl": "openssl",
    "rabbitmq-server": "rabbitmq-server",
    "setpriv": "util-linux",
    "sipp": "sip-tester",
    "sngrep": "sngrep",
    "tcpdump": "tcpdump",
}
"""Program name -> Debian package that has it."""


def require(program: str) -> str:
    """Return the path of a program. Raises `AssertionError` naming its package when it is not
    installed.
    """
    # Servers are in sbin, which is not on everybody's path.
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise AssertionError(
            f"{program} is not installed; install the Debian package {PACKAGES[program]}"
        )
    return path
