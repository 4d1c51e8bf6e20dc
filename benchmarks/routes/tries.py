"""The libraries that find the longest key a number begins with: tries, and Python's dictionary.

In bulk each is asked in one comprehension or loop, without a function of ours around it.
"""

from __future__ import annotations

import string
from array import array
from collections.abc import Iterable

import datrie
import marisa_trie
import pygtrie

from benchmarks.routes.chains import ROW, Chains, lengths_by_head
from benchmarks.routes.contender import NO_ROW, Built, Contender
from benchmarks.routes.table import Row


def _dict(rows: Iterable[Row]) -> Built:
    chains = Chains.of(rows)
    get, choose = chains.values.get, chains.chooser()
    lengths = lengths_by_head(chains.values)
    lengths_of, otherwise = lengths.get, lengths[""]

    def call(number: str) -> int:
        for length in lengths_of(number[:3], otherwise):
            value = get(number[:length])
            if value is not None:
                return value if value < ROW else choose(number, value)
        return NO_ROW

    def bulk(numbers: list[str]) -> list[int]:
        found = []
        for number in numbers:
            for length in lengths_of(number[:3], otherwise):
                value = get(number[:length])
                if value is not None:
                    found.append(value if value < ROW else choose(number, value))
                    break
            else:
                found.append(NO_ROW)
        return found

    return Built(call, bulk)


def _exact_dict(rows: Iterable[Row]) -> Built:
    get = {row.match: index for index, row in enumerate(rows)}.get
    return Built(
        lambda number: get(number, NO_ROW), lambda numbers: [get(each, NO_ROW) for each in numbers]
    )


def _marisa(rows: Iterable[Row]) -> Built:
    chains = Chains.of(rows)
    # One trie instead of three nested ones: a little larger, and faster to walk.
    trie = marisa_trie.Trie(chains.values.keys(), num_tries=1)
    # Behind the last id, and so found by -1, stands what is said of no id.
    values = array("q", [ROW] * (len(trie) + 1))
    for key, value in chains.values.items():
        values[trie[key]] = value
    walk, choose = trie.iter_prefixes_with_ids, chains.chooser()

    def call(number: str) -> int:
        found = -1
        for _, found in walk(number):  # noqa: B007 - the last one counts
            pass
        value = values[found]
        return value if value < ROW else choose(number, value)

    def bulk(numbers: list[str]) -> list[int]:
        rows_found = []
        for number in numbers:
            found = -1
            for _, found in walk(number):  # noqa: B007 - the last one counts
                pass
            value = values[found]
            rows_found.append(value if value < ROW else choose(number, value))
        return rows_found

    return Built(call, bulk)


def _exact_marisa(rows: Iterable[Row]) -> Built:
    numbers = [row.match for row in rows]
    trie = marisa_trie.Trie(numbers, num_tries=1)
    # Behind the last id, and so found by -1, stands what is said of no id.
    values = array("i", [NO_ROW] * (len(trie) + 1))
    for index, number in enumerate(numbers):
        values[trie[number]] = index
    get = trie.get
    return Built(
        lambda number: values[get(number, -1)],
        lambda asked: [values[get(number, -1)] for number in asked],
    )


def _datrie(rows: Iterable[Row]) -> Built:
    chains = Chains.of(rows)
    trie = datrie.BaseTrie(string.digits)
    # It holds 32 bits; and -1 stands for no key.
    values = array("q", [*chains.values.values(), ROW])
    # In sorted order, as they are: in random order libdatrie moves its nodes about far more often.
    for place, key in enumerate(chains.values):
        trie[key] = place
    find, choose = trie.longest_prefix_value, chains.chooser()

    def call(number: str) -> int:
        value = values[find(number, -1)]
        return value if value < ROW else choose(number, value)

    def bulk(numbers: list[str]) -> list[int]:
        return [
            value if (value := values[find(number, -1)]) < ROW else choose(number, value)
            for number in numbers
        ]

    return Built(call, bulk)


def _pygtrie(rows: Iterable[Row]) -> Built:
    chains = Chains.of(rows)
    trie = pygtrie.CharTrie(chains.values)
    find, choose = trie.longest_prefix, chains.chooser()

    def call(number: str) -> int:
        value = find(number).value
        if value is None:
            return NO_ROW
        return int(value) if value < ROW else choose(number, value)

    return Built(call, lambda numbers: list(map(call, numbers)))


DECK = (
    Contender(
        "dict by length",
        "beginnings, longest first, of the lengths found after its first three",
        _dict,
    ),
    Contender("marisa-trie", "`Trie.iter_prefixes_with_ids`, one trie, an array of rows", _marisa),
    Contender("datrie", "`BaseTrie.longest_prefix_value`", _datrie),
    Contender("pygtrie", "`CharTrie.longest_prefix`", _pygtrie),
)
"""For a table of prefixes and patterns."""

EXACT = (
    Contender("dict", "`dict.get`", _exact_dict),
    Contender("marisa-trie", "`Trie.get` and an array of rows", _exact_marisa),
    Contender("datrie", "`BaseTrie.longest_prefix_value`", _datrie),
    Contender("pygtrie", "`CharTrie.longest_prefix`", _pygtrie),
)
"""For a table of exact numbers."""
