"""Standard output belongs to the phone's JSON, whatever the native stack prints."""

import json
import os
import subprocess
import sys

PROGRAM = """
import ctypes
from engine.phone.report import Report, exclusive_stdout
with exclusive_stdout() as stream:
    ctypes.CDLL(None).printf(b"13:00:43.994 os_core_unix.c a line of the native stack\\n")
    Report(stream)("registered", aor="sip:alice@test.local")
print("after")
"""


def test_what_c_prints_does_not_reach_the_reader() -> None:
    # Unbuffered, C would have written its line at once, to nowhere.
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=buffered
    )
    event, after = done.stdout.splitlines()
    assert json.loads(event)["event"] == "registered"
    assert after == "after"
