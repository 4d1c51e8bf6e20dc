"""The `number_filter` option of a quickcall: what of a typed number is dialled.

Rules and their sources are in docs/number_filter.md; the work is done in ext/numbers.

>>> NumberFilter.compile(None).apply("+1 (415) 484-6048").number
'+14154846048'
>>> NumberFilter.compile(None).apply("sip:+1-415-484-6048;isub=1@example.com").number
'+14154846048'
>>> NumberFilter.compile(True).apply("1-800-FLOWERS").number
'1800FLOWERS'
>>> NumberFilter.compile("^9(.*)").apply("9411").number
'411'
>>> NumberFilter.compile("^9(.*)").apply("411").note
'no match'
"""

from engine.numbers._number_filter import REGEX_CACHE_SIZE, FilterResult, NumberFilter

__all__ = ["REGEX_CACHE_SIZE", "FilterResult", "NumberFilter", "NumberFilterError"]


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
