"""What a program may ask of an engine: events, channels, counters, where a number goes."""

from __future__ import annotations

from engine.control.feed import Feed, Subscription
from engine.control.route_report import RouteReport
from engine.core.control import CallControl
from engine.core.errors import RequestInvalid
from engine.core.events import SipMessageSeen
from engine.core.values import Endpoint, EndpointType, LegSnapshot, OriginateId, OriginateRequest
from engine.numbers.number_filter import FilterResult, NumberFilter, NumberFilterError
from engine.numbers.text import NumberError
from engine.runtime.clock import Clock
from engine.runtime.explain import Explainer
from engine.runtime.reaper import Reaped, Reaper
from engine.runtime.resolve import Resolver
from engine.runtime.trace import SipTrace
from engine.sip.port import Listener, SipPort, SipStats


class Questions:
    """The part of an engine that answers and changes nothing."""

    feed: Feed
    _sip: SipPort
    _control: CallControl
    _reaper: Reaper
    _trace: SipTrace
    _explainer: Explainer
    _clock: Clock
    _resolver: Resolver

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """SIP listeners that are bound, with their real ports."""
        return self._sip.listeners

    def events(
        self,
        account_id: str | None = None,
        events: frozenset[str] | None = None,
        call_id: str | None = None,
        resume_from: int | None = None,
    ) -> Subscription:
        """Return the events from now on: all, or those of an account, some names, one call.

        `async for event in engine.events():` yields `FeedEvent`s. Whoever leaves such a loop early
        closes the subscription (`with engine.events() as events:` does); one that is not read is
        cut off after 1024 events with `SlowConsumer`. `resume_from`: first replay what is in memory
        after that sequence.
        """
        return self.feed.subscribe(account_id, events, call_id, resume_from)

    def channels(self, account_id: str | None) -> tuple[LegSnapshot, ...]:
        """Return the live legs of an account, of all when it is None."""
        return self._control.snapshots(account_id)

    def legs_of(self, originate_id: OriginateId) -> tuple[LegSnapshot, ...]:
        """Return the live legs of one request, in the order they were made."""
        return self._control.legs_of(originate_id)

    def stats(self) -> SipStats:
        """Return the counters of the SIP stack."""
        return self._sip.stats()

    @property
    def reaped(self) -> Reaped:
        """What the audits had to clean up since the engine was opened; normally nothing."""
        return self._reaper.reaped

    def trace(self, call_id: str) -> tuple[SipMessageSeen, ...]:
        """Return the SIP messages of a Call-ID, oldest first; none unless `trace` is set."""
        return self._trace.of(call_id)

    def dialled(self, account_id: str, number: str) -> tuple[Endpoint, ...]:
        """Return whom the dial plan of an account rings for a number, in hunt order.

        Empty when the account is not in the directory, or the number leads nowhere or may not be
        dialled.
        """
        return self._resolver.dialled(account_id, number, self._clock.now())

    def trace_of(self, name: str, account_id: str | None = None) -> tuple[SipMessageSeen, ...]:
        """Return the SIP messages of all legs of a call, by Call-ID or request id; `trace` is set.

        Also of one that is over, as long as they are kept. Raises `NotFound`.
        """
        return self._trace.of_call(name, account_id)

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
        (account, user, device), `RequestInvalid` as `check_number_filter`.
        """
        filtered = self.check_number_filter(number_filter, number)
        request = OriginateRequest(
            account_id,
            endpoint_type or EndpointType.DEVICE,
            endpoint_id,
            number,
            number_filter=number_filter,
        )
        return self._explainer.report(
            request, filtered, self._clock.now(), endpoint=endpoint_type is not None
        )

    def check_number_filter(self, spec: bool | str | None, number: str) -> FilterResult:
        """Return the filtered number, and a note when a regex left it as it was.

        Raises `RequestInvalid`: for the filter with the position in its pattern, for the number
        when it is too long or nothing of it is left.
        """
        try:
            return NumberFilter.compile(spec).apply(number)
        except NumberFilterError as error:
            where = "" if error.position is None else f" at position {error.position}"
            allowed = f"true, false or an RE2 pattern; this one is refused{where}: {error.reason}"
            raise RequestInvalid("number_filter", spec, allowed, "pattern") from error
        except NumberError as error:
            raise RequestInvalid("number", error.number[:32], error.reason, "maxLength") from error
