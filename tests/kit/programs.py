"""Programs the tests need: found, or a failure that names the Debian package."""

from __future__ import annotations

import glob
import os
import shutil

PACKAGES = {
    "baresip": "baresip-core",
    "dnsmasq": "dnsmasq-base",
    "epmd": "erlang-base",
    "initdb": "postgresql",
    "kamailio": "kamailio",
    "linphone-daemon": "linphone-cli",
    "openssl": "openssl",
    "pg_isready": "postgresql",
    "postgres": "postgresql",
    "psql": "postgresql",
    "rabbitmq-server": "rabbitmq-server",
    "setpriv": "util-linux",
    "sipp": "sip-tester",
    "sngrep": "sngrep",
    "tcpdump": "tcpdump",
    "systemd-analyze": "systemd",
}
"""Program name -> Debian package that has it."""


def require(program: str) -> str:
    """Return the path of a program. Raises `AssertionError` naming its package when it is not
    installed.
    """
    # Servers are in sbin or a folder of their version, which are not on everybody's path.
    folders = ["/usr/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    path = shutil.which(program, path=":".join([os.environ["PATH"], *folders]))
    if path is None:
        raise AssertionError(
            f"{program} is not installed; install the Debian package {PACKAGES[program]}"
        )
    return path
