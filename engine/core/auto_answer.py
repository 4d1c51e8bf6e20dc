"""How a phone is asked to answer by itself, and when it is not.

No header is honoured by every phone; the default set together covers most of them, and a profile
says what a make of phone wants instead. None says `;require`: a phone that may not answer by itself
shall ring, not refuse (RFC 5373 4). Only a phone that rings alone is asked, because of several each
would pick up; never the dialled party, and never whom a call is forwarded to, because neither has
asked for the call.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from engine.core.errors import RequestInvalid
from engine.core.headers import Headers
from engine.core.values import Contact, Endpoint, OriginateRequest

HONOURED_S = 3.0
"""A phone that took longer than this, and the wait it was asked for, was answered by somebody."""

MAX_DELAY = 60
"""Most seconds a phone may be asked to wait before it answers."""


class PhoneProfile(msgspec.Struct, frozen=True, eq=False):
    """What makes one make of phone answer by itself."""

    name: str
    """For people."""
    user_agents: tuple[str, ...]
    """Beginnings of the User-Agent of its REGISTER, in any case."""
    headers: Headers
    """`{host}` in a value is the public host of this engine, `{delay}` the seconds to wait."""
    intercom: bool = False
    """Whether `;intercom=true` is added to the Request-URI."""
    talk: bool = False
    """Whether it is sent a NOTIFY with `Event: talk` when its 18x allows that."""


DEFAULT_PROFILE = PhoneProfile(
    "any phone",
    (),
    (
        ("Call-Info", "<sip:{host}>;answer-after={delay}"),
        ("Alert-Info", "<http://www.notused.com>;info=alert-autoanswer;delay={delay}"),
        ("Answer-Mode", "Auto"),
        ("Supported", "answermode"),
        ("X-AUTOANSWER", "TRUE"),
        ("P-Auto-Answer", "normal"),
    ),
    talk=True,
)
"""For phones that no profile fits, and those whose make is not known."""


class PhoneProfiles:
    """Profiles by User-Agent; the longest beginning that fits counts."""

    __slots__ = ("_by_prefix",)

    def __init__(self, profiles: Iterable[PhoneProfile] = ()) -> None:
        """Know these profiles besides the default one."""
        pairs = [(agent.lower(), profile) for profile in profiles for agent in profile.user_agents]
        self._by_prefix = sorted(pairs, key=lambda pair: -len(pair[0]))

    def of(self, user_agent: str) -> PhoneProfile:
        """Return the profile of a phone that registered with this User-Agent."""
        agent = user_agent.lower()
        found = (profile for prefix, profile in self._by_prefix if agent.startswith(prefix))
        return next(found, DEFAULT_PROFILE)


class AutoAnswer(msgspec.Struct, frozen=True):
    """Whether a phone is asked to answer by itself."""

    profile: PhoneProfile | None = None
    """How it is asked, None: it is not."""
    after_s: int = 0
    """Seconds it shall wait."""
    reason: str = ""
    """Why it is not asked although the request wants it: `multiple_endpoints`, `forwarded`,
    `not_allowed`."""

    @property
    def asked(self) -> bool:
        """Whether it is asked."""
        return self.profile is not None

    @property
    def talks(self) -> bool:
        """Whether it is told by NOTIFY too, when it allows that."""
        return self.profile is not None and self.profile.talk

    def headers(self, host: str) -> Headers:
        """Return the headers that ask it, none when it is not asked."""
        if self.profile is None:
            return ()
        return _filled(self.profile, host, self.after_s)

    def result(
        self, rang_at: float, answered_at: float | None
    ) -> tuple[str, int | None, bool | None]:
        """Return the last three fields of a `LegSnapshot`.

        `rang_at` is the time of the first 18x, without one that of the INVITE.
        """
        if self.profile is None or answered_at is None:
            return self.reason, None, None
        took = answered_at - rang_at
        return "", round(took * 1000), took <= self.after_s + HONOURED_S


NOT_ASKED = AutoAnswer()
"""The request does not want it."""


@lru_cache(maxsize=1024)
def _filled(profile: PhoneProfile, host: str, after_s: int) -> Headers:
    return tuple(
        (name, value.replace("{host}", host).replace("{delay}", str(after_s)))
        for name, value in profile.headers
    )


def check_delay(field: str, value: int) -> int:
    """Return the seconds a phone may be asked to wait. Raises `RequestInvalid` naming `field`."""
    if not 0 <= value <= MAX_DELAY:
        raise RequestInvalid(field, value, f"0 to {MAX_DELAY} seconds", "maximum")
    return value


def auto_answer_of(
    request: OriginateRequest,
    endpoint: Endpoint,
    contact: Contact,
    phones: PhoneProfiles,
    *,
    alone: bool,
) -> AutoAnswer:
    """Decide whether a rung phone is asked; `alone`: no other contact rings for this request."""
    if not request.auto_answer:
        return NOT_ASKED
    if endpoint.forwarded_by:
        return AutoAnswer(reason="forwarded")
    if not endpoint.may_auto_answer:
        return AutoAnswer(reason="not_allowed")
    if not alone and request.auto_answer != "force":
        return AutoAnswer(reason="multiple_endpoints")
    return AutoAnswer(phones.of(contact.user_agent), request.answer_after)
