"""What is asked of a text before any rule reads it."""

import re

# Characters of a refused number that an error keeps: as many as a number may have.
_KEPT = 128

# The password of a SIP URI (RFC 3261 19.1.1), and whatever else may stand in its place.
_PASSWORD = re.compile(r"(sips?:[^:@;]*:)[^@]*", re.IGNORECASE)


class NumberError(ValueError):
    """A number cannot be filtered or routed.

    Raised for more than 128 characters, for text that is not Unicode (half of a surrogate pair) and
    for malformed tel: and sip: URIs. Attributes: `number`, the first 128 characters as given, but
    without the password of a sip: URI; `reason`, what is wrong, where, and what is allowed.
    """

    def __init__(self, number: str, reason: str) -> None:
        self.number = _PASSWORD.sub(r"\1***", number[:_KEPT])
        super().__init__(f"number {self.number[:32]!r} {reason}")
        self.reason = reason


HALF_PAIR = "holds half of a surrogate pair, which is no character"
"""The reason given for text that `find_half_pair` finds fault with."""


def find_half_pair(text: str) -> int | None:
    """Return the offset of a lone surrogate, which has no UTF-8 form, or None."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
