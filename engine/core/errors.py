"""Errors of the engine. Each says the object, what was given and what is allowed."""

from __future__ import annotations


class EngineError(Exception):
    """Base of every error the engine raises on purpose."""


class RequestInvalid(EngineError):
    """A value of a request is out of bounds (HTTP 400)."""

    def __init__(self, field: str, value: object, allowed: str, code: str = "invalid") -> None:
        """Name the field (dotted path), the value, what is allowed, Kazoo's code of the rule."""
        super().__init__(f"{field}: {value!r} is not allowed; allowed: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed
        self.code = code


class NotFound(EngineError):
    """A directory object or a channel is not there (HTTP 404, Kazoo `bad identifier`)."""

    def __init__(self, kind: str, name: str) -> None:
        """Name the id and the kind: that of a document, `channel` or `cdr`."""
        super().__init__(f"no {kind} {name!r}")
        self.kind = kind
        self.name = name


class Conflict(EngineError):
    """Another object already has this unique value (HTTP 409)."""

    def __init__(self, field: str, value: object, holder: str) -> None:
        """Name the field, the value given and who has it."""
        super().__init__(f"{field}: {value!r} is already used by {holder}")
        self.field = field
        self.value = value
        self.holder = holder


class WrongState(EngineError):
    """What is asked of a call cannot be done to it now (HTTP 409)."""

    def __init__(self, what: str, state: str, allowed: str) -> None:
        """Name the channel or call, its state and the states in which it can be done."""
        super().__init__(f"{what} is {state}; allowed: {allowed}")
        self.what = what
        self.state = state
        self.allowed = allowed


class EngineUnavailable(EngineError):
    """The engine cannot take new work now: it is overloaded, closing or not started (HTTP 503)."""


class Overloaded(EngineUnavailable):
    """The engine is offered more than it can do and takes no more for a moment (HTTP 503)."""

    def __init__(self, retry_after: float) -> None:
        """Say after how many seconds the request may come again."""
        super().__init__("the engine is offered more calls than it can make")
        self.retry_after = retry_after


class LimitExceeded(EngineError):
    """An account may not have this call now; a later one it may (HTTP 429). Base of two."""

    code = ""
    """Word that tells the two from each other."""

    def __init__(self, field: str, value: object, allowed: str, retry_after: float) -> None:
        """Name the limit (dotted path in the account), what it would be, what is allowed.

        `retry_after`: seconds until a request has a chance.
        """
        super().__init__(f"{field}: {value} is not allowed; allowed: {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed
        self.retry_after = retry_after


class RateLimited(LimitExceeded):
    """The account asks for calls faster than it may."""

    code = "rate_limited"


class ConcurrencyExceeded(LimitExceeded):
    """The account has as many calls as it may have at once."""

    code = "concurrency_exceeded"


class EngineDraining(EngineUnavailable):
    """The engine takes no new calls because it is to be stopped; another one may (HTTP 503)."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the engine is draining")
