"""Media past the engine: two peers are told each other's address, one re-INVITE at a time.

Theory (the flow of RFC 3725 II, with a real address of ours in the first offers). Both legs were
answered against the engine and are joined, so people hear each other at once. Then one peer is
offered the other's address; when it agrees, the other is offered what the first one agreed on. If
that one's answer is what the first was told, the media are settled and the ports go back; if not,
the first is told again, once more and not for ever. Any refusal brings both back to the engine,
whose ports relay all the while; nobody loses the call over it. A peer that later offers something
new (hold, another port) has been answered by the stack with what the other one said last; the other
one is told then, and it settles anew. Whatever needs the media here (hold by us, a transfer, a
recording) brings them back: each peer in turn, then the legs are joined again.

What each peer was told last is all the state there is: nothing, while it sends to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from engine.core.bypass_table import BYPASS_TABLE, BypassInput, BypassState
from engine.core.commands import Command, FreeMedia, Join, Reoffer
from engine.core.leg import Leg
from engine.core.media_values import Encryption, LegMedia
from engine.core.turn import Turn
from engine.core.values import BypassFlow, Endpoint, MediaMode

MAX_OFFERS = 4
"""Re-INVITEs until the two must agree: one each way, and one corrective round."""
_EVENT = "TELEPHONE-EVENT"

_Told = tuple[str, tuple[str, int] | None]


def obstacle(one: Leg, other: Leg) -> str:
    """Return why two answered legs cannot send their media to each other, empty: they can."""
    for leg in (one, other):
        if found := _obstacle_of(leg):
            return found
    hosts = [ip_address(_host(leg.media.address)) for leg in (one, other)]
    if hosts[0].version != hosts[1].version:
        return "the address families differ"
    if hosts[0].is_private != hosts[1].is_private:
        return "one address is private, the other public"
    if not takes(other.media, one.codec) or not takes(one.media, other.codec):
        return "the codecs differ"
    if _has_events(one.media) != _has_events(other.media):
        return "DTMF must be translated"
    return ""


def wants_bypass(one: Leg, other: Leg) -> bool:
    """Return whether their media shall go past the engine: by request, or both devices say so."""
    asked = one.plan.request.media is MediaMode.BYPASS
    return asked or (one.plan.endpoint.media.bypass and other.plan.endpoint.media.bypass)


def may_be_offered(leg: Leg, endpoint: Endpoint) -> bool:
    """Return whether an endpoint dialled for this leg is offered its address (the direct profile).

    Never one that wants its media encrypted: the other device's address comes without keys.
    """
    request, media = leg.plan.request, endpoint.media
    direct = request.media is MediaMode.BYPASS and request.bypass_flow is BypassFlow.DIRECT
    plain = media.encryption is Encryption.OFF and not media.webrtc
    return direct and plain and not _obstacle_of(leg)


def takes(media: LegMedia, codec: str) -> bool:
    """Return whether a side that agreed on these formats takes a codec."""
    return codec.upper() in {name.upper() for name, _ in media.formats}


def _obstacle_of(leg: Leg) -> str:
    media = leg.media
    if not media.address or not media.formats:
        return "an address is not known"
    if media.ice:
        return "a side uses ICE"
    if media.security:
        return "a side is encrypted"
    if leg.sounds.recording or leg.sounds.playing:
        return "a side is recorded or played to"
    host = ip_address(_host(media.address))
    if media.source and host.is_private and not ip_address(media.source).is_private:
        return "a side is behind NAT"
    if leg.heard_from and leg.heard_from != media.address:
        return "a side is behind NAT"
    return ""


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _has_events(media: LegMedia) -> bool:
    return any(name.upper().startswith(_EVENT) for name, _ in media.formats)


def _gist(media: LegMedia) -> _Told:
    """What must be the same for two peers to understand each other."""
    return media.address, media.formats[0] if media.formats else None


class Bypass:
    """Where the media of two joined legs go."""

    __slots__ = (
        "_asked",
        "_before",
        "_freed",
        "_legs",
        "_offers",
        "_stale",
        "_then",
        "_told",
        "failure",
        "joined",
        "state",
    )

    def __init__(self, one: Leg, other: Leg) -> None:
        """Begin with both sending to the engine."""
        self.state = BypassState.ANCHORED
        self.failure = ""
        """Why the media do not go past the engine although that was tried, empty: it was not."""
        self._legs = (one, other)
        self._told: dict[Leg, _Told] = {}
        """What each peer was told of the other; one that is not here sends to the engine."""
        self._stale: set[Leg] = set()
        """Who must be told again, for the other's media have changed by the other's own offer."""
        self._asked: Leg | None = None
        """Whose answer is awaited."""
        self._before: _Told | None = None
        """What the one that is asked was told before, and still holds if it refuses."""
        self.joined = True
        """Whether the two belong together; False: they are joined no more when they come back."""
        self._offers = 0
        self._freed = False
        self._then: list[Command] = []
        """What waits for the media to be here."""

    def __str__(self) -> str:
        """Return how errors name it."""
        return f"bypass of {self._legs[0]} and {self._legs[1]}"

    @property
    def idle(self) -> bool:
        """Whether the media are here and nobody is asked to move them."""
        return self.state is BypassState.ANCHORED

    def start(self, turn: Turn) -> None:
        """Send the media past the engine, unless an obstacle forbids it; tells of either."""
        found = obstacle(*self._legs)
        if found:
            self._fail(found, turn)
        else:
            self._note_direct_offer()
            self._feed(BypassInput.START, turn)

    def renegotiated(self, leg: Leg, turn: Turn, *, by_us: bool) -> bool:
        """Take a new agreement of a leg. Returns whether it was the answer to an offer of this."""
        if by_us:
            if leg is not self._asked:
                return False
            self._asked = None
            self._feed(BypassInput.AGREED, turn)
            return True
        self._stale.add(self._partner(leg))
        self._feed(BypassInput.CHANGED, turn)
        return not self.idle

    def refused(self, leg: Leg, reason: str, turn: Turn) -> bool:
        """Take the refusal of an offer. Returns whether it was an offer of this."""
        if leg is not self._asked:
            return False
        self._asked = None
        self.failure = reason or "refused"
        if self._before is None:
            self._told.pop(leg, None)
        else:
            self._told[leg] = self._before
        self._feed(BypassInput.REFUSED, turn)
        return True

    def lose(self, leg: Leg, turn: Turn) -> None:
        """Go on without a leg that has left."""
        self.joined = False
        self._told.pop(leg, None)
        asked = leg is self._asked
        if asked:
            self._asked = None
        if self.state is BypassState.RETURNING and asked:
            self._feed(BypassInput.AGREED, turn)
        else:
            self._feed(BypassInput.PULL_BACK, turn)

    def let_go(self, leg: Leg, turn: Turn) -> None:
        """Bring one leg back at once, for it leaves for another call."""
        if self._told.pop(leg, None) is not None or leg is self._asked:
            turn.commands.append(Reoffer(leg.invite.leg, leg.parked))
        leg.bypassed = False

    def of(self, one: Leg, other: Leg) -> bool:
        """Return whether it is of these two."""
        return {one, other} == set(self._legs)

    def will_ask(self, leg: Leg) -> bool:
        """Return whether this leg is told to come back when the media are pulled back."""
        return leg in self._told and leg is not self._asked

    def pull_back(self, turn: Turn, then: Sequence[Command] = ()) -> None:
        """Bring the media back to the engine; the commands follow when they are here."""
        if self.idle:
            turn.commands.extend(then)
            return
        self._then.extend(then)
        self._feed(BypassInput.PULL_BACK, turn)

    # --- actions ---

    def settle(self, turn: Turn) -> None:
        """Action: tell the next peer that does not know the other, or be done."""
        for leg in self._legs:
            other = self._partner(leg)
            told = _gist(other.media)
            if self._told.get(leg) == told and leg not in self._stale:
                continue
            if self._offers == MAX_OFFERS:
                self.failure = "the two peers never agree"
                self._feed(BypassInput.PULL_BACK, turn)
                return
            self._offers += 1
            self._ask(Reoffer(leg.invite.leg, False, media_of=other.invite.leg), leg, turn)
            self._told[leg] = told
            return
        self._feed(BypassInput.SETTLED, turn)

    def free(self, turn: Turn) -> None:
        """Action: the media go past the engine; the ports are not needed any more."""
        self._offers = 0
        self.failure = ""
        if not self._freed:
            self._freed = True
            turn.commands.append(FreeMedia(*(leg.invite.leg for leg in self._legs)))
        for leg in self._legs:
            if not leg.bypassed:
                leg.bypassed = True
                leg.announce("CALL_UPDATE", turn, {"Media": "bypass"})

    def bring_back(self, turn: Turn) -> None:
        """Action: offer the next peer that was told of the other our own address."""
        if self._asked is not None:
            return
        for leg in self._legs:
            if leg in self._told:
                self._ask(Reoffer(leg.invite.leg, leg.parked), leg, turn)
                del self._told[leg]
                self._before = None  # one that refuses to come back is left where it is
                return
        self._feed(BypassInput.RETURNED, turn)

    def rejoin(self, turn: Turn) -> None:
        """Action: both send to the engine again."""
        self._offers = 0
        self._stale.clear()
        if self._freed:
            self._freed = False
            if self.joined and not any(leg.parked for leg in self._legs):
                turn.commands.append(Join(*(leg.invite.leg for leg in self._legs)))
        for leg in self._legs:
            if leg.bypassed:
                leg.bypassed = False
                leg.announce("CALL_UPDATE", turn, {"Media": "process"})
        if self.failure:
            self._fail(self.failure, turn)
        turn.commands.extend(self._then)
        self._then.clear()

    # --- parts ---

    def _feed(self, given: BypassInput, turn: Turn) -> None:
        transition = BYPASS_TABLE.step(self.state, given, self)
        if transition is not None:
            self.state = transition.state
            _DO[transition.action](self, turn)

    def _ask(self, offer: Reoffer, leg: Leg, turn: Turn) -> None:
        self._asked, self._before = leg, self._told.get(leg)
        self._stale.discard(leg)
        turn.commands.append(offer)

    def _partner(self, leg: Leg) -> Leg:
        one, other = self._legs
        return other if leg is one else one

    def _note_direct_offer(self) -> None:
        """With the direct profile the INVITE to the far leg has told it the address already."""
        one, other = self._legs
        if other.invite.media_of == one.invite.leg:
            self._told[other] = _gist(one.media)

    def _fail(self, reason: str, turn: Turn) -> None:
        self.failure = reason
        for leg in self._legs:
            leg.announce("CALL_UPDATE", turn, {"Media": "process", "Bypass-Failed-Reason": reason})


_DO = BYPASS_TABLE.actions(Bypass)
