"""What is asked of a text before any rule reads it."""


class NumberError(ValueError):
    """A number cannot be filtered or routed.

    Raised for more than 128 characters and for text that is not Unicode (half of a surrogate
    pair). Attributes: `number`, the number as given; `reason`, what is wrong and what is allowed.
    """

    def __init__(self, number: str, reason: str) -> None:
        super().__init__(f"number {number[:32]!r} {reason}")
        self.number = number
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
