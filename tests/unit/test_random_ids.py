"""Ids: as many as one likes, no two alike, not even in a child process."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from engine.control.random_ids import random_id


def test_ids_are_hexadecimal_and_differ() -> None:
    ids = [random_id() for _ in range(10_000)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{32}", made) for made in ids)


def test_threads_get_different_ones() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: [random_id() for _ in range(1000)], range(8)))
    assert len({made for ids in found for made in ids}) == 8000


def test_a_child_process_makes_its_own() -> None:
    random_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(random_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 4096).decode()
    os.close(reading)
    os.close(writing)
    theirs = {told[at : at + 32] for at in range(0, len(told), 32)}
    assert len(theirs) == 100
    assert not theirs & {random_id() for _ in range(1000)}
