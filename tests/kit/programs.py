"""Programs the tests need: found, or a failure that names the Debian package."""

from __future__ import annotations

import shutil

PACKAGES = {"sipp": "sip-tester", "openssl": "openssl"}
"""Program name -> Debian package that has it."""


def require(program: str) -> str:
    """Return the path of a program. Raises `AssertionError` naming its package when it is not
    installed.
    """
    path = shutil.which(program)
    if path is None:
        raise AssertionError(
            f"{program} is not installed; install the Debian package {PACKAGES[program]}"
        )
    return path
