"""What the control plane's faces may ask of the engine; `engine.runtime.Engine` implements it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from engine.control.auth import Tokens
from engine.control.feed import Feed
from engine.control.metrics import Metrics
from engine.control.operations import Operations
from engine.control.route_report import RouteReport
from engine.control.webhooks import Webhooks
from engine.core.commands import ResolveDestination
from engine.core.digits import USUAL_MS
from engine.core.events import DestinationResolved, SipMessageSeen
from engine.core.values import (
    BridgeOrder,
    Endpoint,
    EndpointType,
    LegSnapshot,
    OriginateId,
    OriginateRequest,
    Outcome,
    PlannedAttempt,
)
from engine.numbers.number_filter import FilterResult
from engine.sip.port import SipStats
from engine.store.directory import Directory
from engine.store.idempotency import IdempotencyKeys
from engine.store.journal import Journal
from engine.store.location import Location
from engine.store.route_tables import RouteTables


class CallHandle(Protocol):
    """An accepted originate."""

    originate_id: OriginateId
    request: OriginateRequest
    number: str
    """The number after the number filter."""
    filter_note: str
    """Why a regex as number filter left the number as it was, empty: it did not."""
    endpoints: tuple[Endpoint, ...]
    """The devices the request names, in the directory's order, reachable or not."""
    planned: tuple[PlannedAttempt, ...]
    """The INVITEs sent for it, empty when nobody is registered."""

    def hang_up(self) -> None:
        """End the call in whatever state it is. Idempotent."""
        ...

    async def answered(self) -> Outcome:
        """Wait until ringing the endpoint has succeeded or failed.

        Early media that is not ignored counts as an answer.
        """
        ...

    async def ended(self) -> Outcome:
        """Wait for the terminal outcome: every leg is gone."""
        ...


class ControlPlane(Protocol):
    """Who may say where an answered originate goes before the engine's own dial plan does."""

    def route(
        self,
        asked: ResolveDestination,
        rung: LegSnapshot,
        answer: Callable[[DestinationResolved | None], None],
    ) -> bool:
        """Ask where a number goes for the leg that answered; returns at once.

        True: `answer` is called once, later, in the event loop, within the time that call control
        waits for a router; with None the dial plan decides. False: nobody was asked, the dial plan
        decides. Only the number of an originate is asked for, never that of a redirect or transfer.
        """
        ...


class EngineFace(Protocol):
    """The engine as HTTP, WebSocket and AMQP see it."""

    node: str
    """`name@host` of this engine, in every envelope and event."""
    directory: Directory
    route_tables: RouteTables
    location: Location
    journal: Journal
    idempotency: IdempotencyKeys
    feed: Feed
    tokens: Tokens
    metrics: Metrics
    recovered: frozenset[str]
    """Requests that had been accepted when the engine died; it told their end when it came back."""
    control_plane: ControlPlane | None
    """Set by whoever connects one, None: the dial plan decides alone."""
    webhooks: Webhooks
    operations: Operations
    """Draining, health and the audit log."""

    def start(self, request: OriginateRequest) -> CallHandle:
        """Accept a request and send its INVITEs; returns at once.

        Raises `NotFound` (account, user, device), `RequestInvalid` (number filter, bounds),
        `LimitExceeded` (of the account), `EngineUnavailable` (`Overloaded` among them).
        Once it returned, exactly one terminal event follows.
        """
        ...

    def shed(self, waited_s: float = 0.0) -> float:
        """Return 0 when a request may come in now, else how many seconds it should wait.

        `waited_s`: how long it has waited already before it was seen. For whoever can refuse it
        before more is done for it, and does so: it is counted. `start`
        asks too. Costs next to nothing.
        """
        ...

    def limits(self, account_id: str) -> Mapping[str, object]:
        """Return what an account uses of its limits. Raises `NotFound`."""
        ...

    def refusal(self) -> str:
        """Return why new originates are refused now (starting, closing, full), empty when taken."""
        ...

    def call(self, name: str, account_id: str | None = None) -> CallHandle:
        """Return the call of an account that has this Call-ID or request id and is not over.

        The Call-ID may be that of an INVITE that is still to be sent. Raises `NotFound`.
        """
        ...

    def hold(self, name: str, account_id: str | None = None, *, on: bool = True) -> None:
        """Put a channel on hold, or talk to it again. Raises `NotFound`, `WrongState`."""
        ...

    def transfer(self, name: str, number: str, account_id: str | None = None) -> None:
        """Connect a channel to a number; the one it talks to leaves when that answers.

        Raises `NotFound`, `WrongState`, `RequestInvalid` naming `target`.
        """
        ...

    def bridge(self, name: str, order: BridgeOrder, account_id: str | None = None) -> None:
        """Connect a channel to endpoints; one that it talks to leaves first.

        Raises `NotFound`, `RequestInvalid`, and `WrongState` before the answer.
        """
        ...

    def intercept(self, name: str, other: str, account_id: str | None = None) -> None:
        """Connect an answered channel to one of another call, whose partner leaves.

        Raises `NotFound` for either, and `WrongState`.
        """
        ...

    def park(self, name: str, account_id: str | None = None) -> None:
        """Let an answered channel wait for orders; the one it talks to leaves. Idempotent.

        Raises `NotFound`, and `WrongState` before the answer.
        """
        ...

    def send_digits(
        self, name: str, digits: str, account_id: str | None = None, *, duration_ms: int = USUAL_MS
    ) -> None:
        """Send DTMF digits to the peer of an answered channel.

        Raises `NotFound`, `WrongState`, `RequestInvalid` naming `digits` or `duration`.
        """
        ...

    def play(
        self, name: str, sound: object, account_id: str | None = None, *, repeat: bool = False
    ) -> None:
        """Play a sound to a channel, named as in docs/sounds.md.

        Raises `NotFound`, `WrongState`, `RequestInvalid` naming `sound`.
        """
        ...

    def stop_playing(self, name: str, account_id: str | None = None) -> None:
        """Stop what is played to a channel. Raises `NotFound`."""
        ...

    def record(
        self,
        name: str,
        account_id: str | None = None,
        *,
        media_name: object = None,
        max_s: float = 0.0,
    ) -> str:
        """Record a channel; returns the path of the file.

        Raises `NotFound`, `WrongState`, `Conflict`, `RequestInvalid` naming `media_name`.
        """
        ...

    def stop_recording(self, name: str, account_id: str | None = None) -> None:
        """Stop recording a channel. Raises `NotFound`."""
        ...

    def legs_of(self, originate_id: OriginateId) -> tuple[LegSnapshot, ...]:
        """Return the live legs of one request."""
        ...

    def channels(self, account_id: str | None) -> tuple[LegSnapshot, ...]:
        """Return the live legs of an account, of all when it is None."""
        ...

    def requests(self, account_id: str | None) -> Sequence[CallHandle]:
        """Return the requests of an account that are not over, of all when it is None."""
        ...

    def channel(self, call_id: str) -> LegSnapshot:
        """Return the live leg of a Call-ID. Raises `NotFound`."""
        ...

    def channel_ids(
        self,
        account_id: str | None = None,
        wanted: Callable[[Mapping[str, object]], bool] | None = None,
    ) -> list[str]:
        """Return the Call-IDs of the live legs of an account, of all when it is None.

        `wanted` is asked with the channel variables of each.
        """
        ...

    def trace_of(self, name: str, account_id: str | None = None) -> tuple[SipMessageSeen, ...]:
        """Return the SIP messages of all legs of a call, by Call-ID or request id, if kept.

        Raises `NotFound`.
        """
        ...

    def stats(self) -> SipStats:
        """Return the counters of the SIP stack."""
        ...

    def dialled(self, account_id: str, number: str) -> tuple[Endpoint, ...]:
        """Return whom the dial plan of an account rings for a number, in hunt order.

        Empty when the account is not in the directory, or the number leads nowhere or may not be
        dialled.
        """
        ...

    def explain_route(
        self,
        account_id: str,
        number: str,
        *,
        endpoint_type: EndpointType | None = None,
        endpoint_id: str = "",
        number_filter: bool | str | None = None,
    ) -> RouteReport:
        """Return what would become of a number dialled for a device or user, sending nothing.

        Without an endpoint: what the account's dial plan alone makes of it. Raises `NotFound`
        (account, user, device), `RequestInvalid` (number, number filter).
        """
        ...

    def check_number_filter(self, spec: bool | str | None, number: str) -> FilterResult:
        """Return the filtered number, and a note when a regex left it as it was.

        Raises `RequestInvalid` with the position in the pattern.
        """
        ...
