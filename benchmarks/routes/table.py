"""Route tables as carriers publish them, of any size and the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, cast

Kind = Literal["extension", "pattern", "prefix"]

# Country codes of ITU-T E.164 outside +1, by how many of a rate deck's rows they usually have.
BUSY = "44 49 33 39 34 91 86 7 55 52 61 81 31 32 41 43 46 48 90 62 63 66 234 20 27 880 92 57 54"
OTHERS = (
    "30 36 40 45 47 51 53 56 58 60 64 65 82 84 93 94 95 98 211 212 213 216 218 220 221 222 223 224 "
    "225 226 227 228 229 230 231 232 233 235 236 237 238 239 240 241 242 243 244 245 248 249 250 "
    "251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 297 298 299 350 351 "
    "352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 "
    "387 389 420 421 423 500 501 502 503 504 505 506 507 509 591 592 593 594 595 596 597 598 673 "
    "675 676 677 678 679 680 682 685 687 689 850 852 853 855 856 886 960 961 962 963 964 965 966 "
    "967 968 970 971 972 973 974 975 976 977 992 993 994 995 996 998"
)
COUNTRIES = (*BUSY.split(), *OTHERS.split())
COUNTRY_SHARES = [12] * len(BUSY.split()) + [1] * len(OTHERS.split())
AREA_LENGTH_SHARES = (2, 6, 14, 22, 24, 16, 9, 5, 2)
"""How many of a thousand national prefixes have 1, 2, ... 9 digits, in tenths: most have 3 to 6."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its kind, and the text or Asterisk pattern it matches."""

    kind: Kind
    match: str


def deck(size: int, seed: int = 3) -> list[Row]:
    """Return `size` rows in random order, no text twice.

    Of ten rows four are North American blocks of a thousand numbers (1NPANXXY), about two of ten
    thousand (1NPANXX), three international prefixes of 1 to 9 digits after the country code, often
    with some of the ten longer by one digit beside them, and one an Asterisk pattern.
    """
    draw = Random(seed)
    areas = draw.sample([f"{n}" for n in range(200, 1000) if n % 100 != 11], 400)
    sources: tuple[tuple[Kind, int, Callable[[Random, list[str]], Iterator[str]]], ...] = (
        ("pattern", size // 10, _patterns),
        ("prefix", size * 3 // 10, _international),
        ("prefix", size * 2 // 10, _blocks),
        ("prefix", size - size // 10 - size * 3 // 10 - size * 2 // 10, _thousands),
    )
    rows = [
        Row(kind, match)
        for kind, count, source in sources
        for match in _distinct(source(draw, areas), count)
    ]
    draw.shuffle(rows)
    return rows


def sparse(size: int, seed: int = 4) -> list[Row]:
    """Return `size` exact numbers of ten digits, drawn at random: nothing to share."""
    numbers = Random(seed).sample(range(2_000_000_000, 10_000_000_000), size)
    return [Row("extension", str(number)) for number in numbers]


def save(rows: list[Row], path: Path) -> None:
    """Write a table for `load`."""
    path.write_text("".join(f"{row.kind} {row.match}\n" for row in rows))


def load(path: Path) -> Iterator[Row]:
    """Read a table row by row, so that what a library keeps of it is all that stays in memory."""
    with path.open() as file:
        for line in file:
            kind, _, match = line.rstrip("\n").partition(" ")
            yield Row(cast(Kind, kind), match)


def _distinct(source: Iterator[str], count: int) -> Iterator[str]:
    seen: set[str] = set()
    while len(seen) < count:
        text = next(source)
        if text not in seen:
            seen.add(text)
            yield text


def _digits(draw: Random, count: int) -> str:
    return f"{draw.randrange(10**count):0{count}}" if count else ""


def _exchange(draw: Random, areas: list[str]) -> str:
    return f"1{draw.choice(areas)}{draw.randrange(200, 1000)}"


def _blocks(draw: Random, areas: list[str]) -> Iterator[str]:
    while True:
        yield _exchange(draw, areas)


def _thousands(draw: Random, areas: list[str]) -> Iterator[str]:
    """Blocks of a thousand numbers: an exchange has some or all of its ten."""
    while True:
        exchange = _exchange(draw, areas)
        for block in draw.sample("0123456789", draw.choice((1, 3, 10))):
            yield exchange + block


def _international(draw: Random, _: list[str]) -> Iterator[str]:
    while True:
        country = draw.choices(COUNTRIES, COUNTRY_SHARES)[0]
        length = draw.choices(range(1, 10), AREA_LENGTH_SHARES)[0]
        prefix = country + str(draw.randrange(1, 10)) + _digits(draw, length - 1)
        yield prefix
        if length < 9 and draw.random() < 0.5:
            for last in draw.sample("0123456789", draw.randrange(1, 11)):
                yield prefix + last


def _patterns(draw: Random, areas: list[str]) -> Iterator[str]:
    """Patterns as people write them, most for one exchange or one area code of a country.

    A pattern for a whole area code hides all prefixes there, so a few areas only have one.
    """
    whole = areas[:20]
    while True:
        exchange = _exchange(draw, areas)
        country = draw.choices(COUNTRIES, COUNTRY_SHARES)[0]
        area = str(draw.randrange(1, 10)) + _digits(draw, draw.randrange(2, 5))
        low = draw.randrange(5)
        yield draw.choices(
            (
                f"_{exchange}XXXX",
                f"_{exchange}[{low}-{low + draw.randrange(1, 5)}]XXX",
                f"_1{draw.choice(whole)}NXXXXXX",
                f"_{country}{area}[1-3]XXXXXX",
                f"_{country}{area}ZXXXX.",
                f"_011{country}{area}X.",
                f"_00{country}{area}!",
                f"_9{exchange[1:]}XXXX",
            ),
            (30, 25, 3, 12, 8, 10, 4, 8),
        )[0]
