"""The `number_filter` option of a quickcall: what of a typed number is dialled.

Rules and their sources are in docs/numbers.md.
"""

from dataclasses import dataclass
from functools import lru_cache

from engine.numbers._number_filter import Regex, keep_alphanumeric, remove_separators, unchanged
from engine.numbers.pattern import find_fault

REGEX_CACHE_SIZE = 128
"""How many compiled patterns are kept, least recently used out first (at most 512 KiB each)."""


class NumberFilterError(ValueError):
    """A number filter cannot be compiled.

    Attributes: `pattern`, the regex as given; `position`, offset of the offending text in
    characters, None when the fault is the pattern as a whole; `reason`, what is refused.
    """

    def __init__(self, pattern: str, position: int | None, reason: str) -> None:
        where = "" if position is None else f" at position {position}"
        super().__init__(f"number_filter {pattern[:64]!r}{where}: {reason}")
        self.pattern = pattern
        self.position = position
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FilterResult:
    """A filtered number.

    Fields: `number`, to be used everywhere from here on; `applied`, one of "default",
    "alphanumeric", "none" and "regex"; `note`, why a regex left the number unchanged, else None:
    "no capture group", "no match" or "capture group took no part in the match".
    """

    number: str
    applied: str
    note: str | None


@lru_cache(maxsize=REGEX_CACHE_SIZE)
def _compiled(pattern: str) -> Regex:
    fault = find_fault(pattern)
    if fault is not None:
        raise NumberFilterError(pattern, fault.position, fault.reason)
    return Regex(pattern)


class NumberFilter:
    """One compiled `number_filter` value; immutable, to be made with `compile`."""

    __slots__ = ("_applied", "_regex")

    def __init__(self, applied: str, regex: Regex | None) -> None:
        """Wrap a compiled filter; use `compile`."""
        self._applied = applied
        self._regex = regex

    @classmethod
    def compile(cls, spec: bool | str | None) -> "NumberFilter":
        """Compile the value of the option.

        None (absent) removes visual separators; True or "true" removes every character that is
        not a letter or a digit; False or "false" changes nothing; any other text is an RE2 regex,
        searched anywhere in the number, whose first capture group is the number. "true" and
        "false" are exact: Kazoo knows no other spelling.

        Raises NumberFilterError for a regex longer than 1024 characters or one RE2 refuses.

        >>> NumberFilter.compile(None).apply("+1 (415) 484-6048").number
        '+14154846048'
        >>> NumberFilter.compile("^9(.*)").apply("9411").number
        '411'
        """
        if spec is None:
            return cls("default", None)
        if spec is True or spec == "true":
            return cls("alphanumeric", None)
        if spec is False or spec == "false":
            return cls("none", None)
        return cls("regex", _compiled(spec))

    def apply(self, number: str) -> FilterResult:
        """Filter a number of at most 128 characters.

        The result may be empty when nothing of the number is left. Raises NumberError for a
        longer number and for text that is not Unicode.
        """
        if self._regex is not None:
            return self._apply_regex(number, self._regex)
        if self._applied == "default":
            return FilterResult(remove_separators(number), "default", None)
        if self._applied == "alphanumeric":
            return FilterResult(keep_alphanumeric(number), "alphanumeric", None)
        return FilterResult(unchanged(number), "none", None)

    @staticmethod
    def _apply_regex(number: str, regex: Regex) -> FilterResult:
        if regex.groups == 0:
            return FilterResult(unchanged(number), "regex", "no capture group")
        matched, group = regex.first_group(number)
        if not matched:
            return FilterResult(number, "regex", "no match")
        if group is None:
            return FilterResult(number, "regex", "capture group took no part in the match")
        return FilterResult(group, "regex", None)
