"""Asterisk's extension patterns, as plainly as they can be said: which match, and in which order.

The facts are those of Asterisk's main/pbx.c: a pattern matches character by character; of several
that match, the one that is more specific at the first place where they differ wins.
"""

from dataclasses import dataclass

CLASSES = {"X": "0123456789", "Z": "123456789", "N": "23456789"}
"""Characters that stand for digits; small letters do too."""

ANYTHING = ".!"
"""One or more, zero or more of any character; a pattern ends here."""

Rank = list[tuple[int, int, list[str]]]
"""Place by place: set, `.`, `!` or end; number of characters; the characters."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern read into places.

    Fields: `places`, the set of characters allowed at each place; `tail`, ".", "!" or "".
    """

    places: tuple[frozenset[str], ...]
    tail: str

    def matches(self, text: str) -> bool:
        """Tell whether the whole text is what the pattern says."""
        size = len(self.places)
        if any(character not in place for character, place in zip(text, self.places, strict=False)):
            return False
        if self.tail == ".":
            return len(text) > size
        if self.tail == "!":
            return len(text) >= size
        return len(text) == size

    def rank(self) -> Rank:
        """Return what Asterisk sorts by: the lower of two patterns is asked first.

        Place by place: fewer characters first, equally many by the lowest characters, then ".",
        then "!", then the end of the pattern.
        """
        sets = [(0, len(place), sorted(place)) for place in self.places]
        tail: tuple[int, int, list[str]] = ({".": 1, "!": 2, "": 3}[self.tail], 0, [])
        return [*sets, tail]


def parse(text: str) -> Pattern:
    """Read a pattern with its leading underscore; ValueError for what is no pattern of ours.

    Refused though Asterisk takes it: text after `.` or `!`, which would never be looked at; a
    caller id after `/`; a `]` that closes nothing; sets of other than ASCII characters, and ranges
    that run backwards, which Asterisk ranks by a character they do not hold.
    """
    if not text.startswith("_"):
        raise ValueError("a pattern begins with _")
    places: list[frozenset[str]] = []
    rest = text[1:]
    while rest:
        character, rest = rest[0], rest[1:]
        if character in ANYTHING:
            if rest:
                raise ValueError("nothing may follow . or !")
            return Pattern(tuple(places), character)
        if character in "]/":
            raise ValueError("] closes no set, / begins a caller id")
        if character == "[":
            inside, closed, rest = rest.partition("]")
            if not closed:
                raise ValueError("the set is not closed")
            places += [members(inside)] if inside else []
        elif character not in "- ":
            places.append(frozenset(CLASSES.get(character.upper(), character)))
    if not places:
        raise ValueError("takes no number")
    return Pattern(tuple(places), "")


def members(inside: str) -> frozenset[str]:
    """Return the characters of a set; a hyphen between two others makes a range."""
    if not inside.isascii():
        raise ValueError("only ASCII in a set")
    found: set[str] = set()
    while inside:
        if len(inside) >= 3 and inside[1] == "-":
            if inside[0] > inside[2]:
                raise ValueError("the range runs backwards")
            found.update(chr(code) for code in range(ord(inside[0]), ord(inside[2]) + 1))
            inside = inside[3:]
        else:
            found.add(inside[0])
            inside = inside[1:]
    return frozenset(found)
