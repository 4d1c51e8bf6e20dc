"""Damage to messages, by dice with a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

_NUMBERS = (b"0", b"-1", b"4294967296", b"18446744073709551616", b"9" * 40, b"0x7f", b"1e9", b"")
_PIECES = (
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\x00", b"\xff\xfe", b'"', b"<", b">", b";", b",", b":", b"@"),
    *(b"%00", b"%", b"\\", b"=", b"[::1]", b"[", b"?a=b", b";tag=", b";lr", b"sip:", b"tel:+1"),
    *(b"a" * 300, b";" * 200, b"," * 500, b" " * 1000, b"(((((", b"SIP/2.0/UDP ", b"*"),
)


def mutated(dice: random.Random, data: bytes) -> bytes:
    """Return `data` with one to four kinds of damage, at most 7000 bytes."""
    for _ in range(dice.randrange(1, 5)):
        data = dice.choice(_DAMAGES)(dice, data)
    return data[:7000]


def _place(dice: random.Random, data: bytes) -> int:
    return dice.randrange(len(data) + 1)


def _flip(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(min(len(data), dice.randrange(1, 8))):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def _insert(dice: random.Random, data: bytes) -> bytes:
    at = _place(dice, data)
    return data[:at] + dice.choice(_PIECES) + data[at:]


def _cut(dice: random.Random, data: bytes) -> bytes:
    start = _place(dice, data)
    return data[:start] + data[start + dice.randrange(1, 60) :]


def _truncate(dice: random.Random, data: bytes) -> bytes:
    return data[: _place(dice, data)]


def _lines(dice: random.Random, data: bytes) -> bytes:
    """Repeat, drop, swap or move a line."""
    lines = data.split(b"\r\n")
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    kind = dice.randrange(4)
    if kind == 0:
        lines.insert(other, lines[one])
    elif kind == 1:
        del lines[one]
    elif kind == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one : one + 1] = [lines[one]] * dice.randrange(2, 40)
    return b"\r\n".join(lines)


def _number(dice: random.Random, data: bytes) -> bytes:
    """Replace the digits around some place by a number out of bounds."""
    digits = [index for index, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not digits:
        return data
    start = end = dice.choice(digits)
    while start > 0 and data[start - 1 : start].isdigit():
        start -= 1
    while end < len(data) and data[end : end + 1].isdigit():
        end += 1
    return data[:start] + dice.choice(_NUMBERS) + data[end:]


def _header(dice: random.Random, data: bytes) -> bytes:
    """Empty the value of a header, or give it that of another one."""
    lines = data.split(b"\r\n")
    one = dice.randrange(len(lines))
    name, colon, _ = lines[one].partition(b":")
    value = dice.choice((b"", dice.choice(lines).partition(b":")[2], b" " + b"x" * 2000))
    lines[one] = name + colon + value
    return b"\r\n".join(lines)


_DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(_flip, _insert, _insert, _cut, _truncate, _lines, _lines, _number, _number, _header),
)
