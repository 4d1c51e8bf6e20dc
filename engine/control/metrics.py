"""What the engine measures of itself, as Prometheus reads it.

Counters and histograms are fed by the notices of call control, a microsecond each; what somebody
else counts already is read when it is asked for. Every series starts with `quickcall_`, and no
label can take more values than the engine has words for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.core.events import ChannelNotice, Notice, OriginateDecided, OriginateEnded
from engine.core.values import LegRole

CONTENT_TYPE = "text/plain; version=0.0.4"
"""Of what `Metrics.text` returns: Prometheus's text format."""

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
"""Bounds of what people wait for."""
_STEPS = (2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 1e-3, 1e-2)
"""Bounds of one step of a computation, seconds."""

Values = float | Mapping[str, float]
"""One number, or one for each value of the label."""


class _Read(Collector):
    """Series that somebody else counts."""

    def __init__(self) -> None:
        self.series: list[tuple[type[Metric], str, str, str, Callable[[], Values]]] = []

    def collect(self) -> Iterable[Metric]:
        """Ask everybody."""
        for kind, name, help_text, label, read in self.series:
            metric = kind(name, help_text, labels=[label] if label else None)  # type: ignore[call-arg]
            values = read()
            for key, value in (values if isinstance(values, Mapping) else {"": values}).items():
                metric.add_metric([key] if label else [], value)  # type: ignore[attr-defined]
            yield metric


class Metrics:
    """The metrics of one engine."""

    def __init__(self) -> None:
        """Begin at zero; `gauge` and `counter` add what others count."""
        registry = self._registry = CollectorRegistry()
        self._read = _Read()
        registry.register(self._read)
        ProcessCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"quickcall_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
            return Histogram(f"quickcall_{name}", text, registry=registry, buckets=bounds)

        self._requests = counter("originate_requests", "Requests that ended, by cause", "result")
        self._final = counter("sip_leg_final", "Legs that ended, by SIP status", "code", "role")
        self._forks = counter("sip_forks_cancelled", "Attempts given up because another won")
        self._one_way = counter("rtp_oneway_detected", "Legs that were not heard")
        self._shifts = counter("bypass_shift", "Tries to send media past the engine", "result")
        self._pdd = histogram("originate_pdd_seconds", "INVITE to the first 18x", _SECONDS)
        self._answer = histogram("originate_answer_seconds", "INVITE to the 200", _SECONDS)
        self._setup = histogram(
            "originate_setup_seconds", "INVITE of the rung side to the bridge", _SECONDS
        )
        self.number_filter = histogram("number_filter_seconds", "One number filtered", _STEPS)
        """Observed by whoever filters."""
        self.dialplan = histogram("dialplan_match_seconds", "One number routed", _STEPS)
        """Observed by whoever routes."""
        self.webhook = histogram("webhook_delivery_seconds", "One attempt of a webhook", _SECONDS)
        """Observed by the webhooks."""
        self._bridged: set[str] = set()
        self._actions: Mapping[str, Callable[[ChannelNotice], None]] = {
            "CHANNEL_PROGRESS": self._rang,
            "CHANNEL_PROGRESS_MEDIA": self._rang,
            "CHANNEL_ANSWER": self._answered,
            "CHANNEL_BRIDGE": self._joined,
            "CHANNEL_DESTROY": self._ended,
            "CALL_UPDATE": self._moved,
            "MEDIA_ONE_WAY": lambda _: self._one_way.inc(),
        }

    def gauge(self, name: str, help_text: str, read: Callable[[], Values], label: str = "") -> None:
        """Show `quickcall_NAME`, a level that `read` returns: a number, or one for each label."""
        series = (GaugeMetricFamily, f"quickcall_{name}", help_text, label, read)
        self._read.series.append(series)

    def counter(
        self, name: str, help_text: str, read: Callable[[], Values], label: str = ""
    ) -> None:
        """Show `quickcall_NAME_total`, a count that `read` returns, as `gauge`."""
        series = (CounterMetricFamily, f"quickcall_{name}", help_text, label, read)
        self._read.series.append(series)

    def take(self, notice: Notice) -> None:
        """Count a notice of call control."""
        if isinstance(notice, ChannelNotice):
            action = self._actions.get(notice.name)
            if action is not None:
                action(notice)
        elif isinstance(notice, OriginateEnded):
            outcome = notice.outcome
            self._requests.labels("answered" if outcome.answered else outcome.cause).inc()
        else:
            assert isinstance(notice, OriginateDecided)

    def text(self) -> bytes:
        """Return every series in Prometheus's text format."""
        return generate_latest(self._registry)

    def _rang(self, notice: ChannelNotice) -> None:
        leg = notice.leg
        if leg.ringing_at == notice.at:
            self._pdd.observe(notice.at - leg.created_at)

    def _answered(self, notice: ChannelNotice) -> None:
        self._answer.observe(notice.at - notice.leg.created_at)

    def _joined(self, notice: ChannelNotice) -> None:
        leg = notice.leg
        # A leg that is transferred is bridged again, but set up once.
        if leg.role is LegRole.A and leg.call_id not in self._bridged:
            self._bridged.add(leg.call_id)
            self._setup.observe(notice.at - leg.created_at)

    def _ended(self, notice: ChannelNotice) -> None:
        leg = notice.leg
        self._bridged.discard(leg.call_id)
        self._final.labels(str(leg.sip_status), leg.role.value).inc()
        if leg.cause == "LOSE_RACE":
            self._forks.inc()

    def _moved(self, notice: ChannelNotice) -> None:
        # Both legs of a pair tell of it; one of them counts.
        if notice.leg.role is LegRole.A:
            if notice.details.get("Bypass-Failed-Reason"):
                self._shifts.labels("failed").inc()
            elif notice.details.get("Media") == "bypass":
                self._shifts.labels("shifted").inc()
