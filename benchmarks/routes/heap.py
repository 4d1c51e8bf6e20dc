"""How many bytes a process has in use, without what it has freed but not given back."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from tempfile import TemporaryFile


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def bytes_in_use() -> int:
    """Return the bytes in use by Python objects, and by C and C++ through malloc.

    Raises AttributeError where the C library is not glibc 2.33 or later.
    """
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _MallInfo
    info = mallinfo()
    return int(info.uordblks) + int(info.hblkhd) + _python_objects()


def _python_objects() -> int:
    """Return what Python's own allocator has handed out; it says so on standard error only."""
    sys.stderr.flush()
    kept = os.dup(2)
    with TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        found = re.search(rb"bytes in allocated blocks\s*=\s*([\d,]+)", file.read())
    assert found, "sys._debugmallocstats no longer says how much is allocated"
    return int(found[1].replace(b",", b""))
