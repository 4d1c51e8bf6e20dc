"""What the engine measures of itself, as Prometheus reads it.

The notices of call control are counted in plain numbers, a fraction of a microsecond each; these
and what others count are read when somebody asks. Every series starts with `quickcall_`, and no
label can take more values than the engine has words for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.control.histogram import Histogram
from engine.core.events import ChannelNotice, Notice, OriginateDecided, OriginateEnded
from engine.core.values import LegRole

CONTENT_TYPE = "text/plain; version=0.0.4"
"""Of what `Metrics.text` returns: Prometheus's text format."""

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)
"""Bounds of what people wait for."""
_STEPS = (2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 1e-3, 1e-2)
"""Bounds of one step of a computation, seconds."""

Values = float | Mapping[str, float] | Mapping[tuple[str, ...], float]
"""One number, or one for each value of the label, or of the labels."""


class _Read(Collector):
    """Every series, read when it is asked for."""

    def __init__(self) -> None:
        self.series: list[tuple[type[Metric], str, str, tuple[str, ...], Callable[[], Values]]] = []
        self.histograms: list[Histogram] = []

    def collect(self) -> Iterable[Metric]:
        """Ask everybody."""
        for kind, name, help_text, labels, read in self.series:
            metric = kind(name, help_text, labels=labels)  # type: ignore[call-arg]
            values = read()
            for key, value in (values if isinstance(values, Mapping) else {(): values}).items():
                metric.add_metric([key] if isinstance(key, str) else key, value)  # type: ignore[attr-defined]
            yield metric
        for histogram in self.histograms:
            yield histogram.family()


class Metrics:
    """The metrics of one engine."""

    def __init__(self) -> None:
        """Begin at zero; `gauge` and `counter` add what others count."""
        registry = self._registry = CollectorRegistry()
        self._read = _Read()
        registry.register(self._read)
        ProcessCollector(registry=registry)

        self._requests: Counter[str] = Counter()
        self._final: Counter[tuple[str, ...]] = Counter()
        self._shifts: Counter[str] = Counter()
        self._forks = self._one_way = 0
        self._show_counters()
        self._pdd = self._histogram("originate_pdd", "INVITE to the first 18x", _SECONDS)
        self._answer = self._histogram("originate_answer", "INVITE to the 200", _SECONDS)
        self._setup = self._histogram(
            "originate_setup", "INVITE of the rung side to the bridge", _SECONDS
        )
        self.number_filter = self._histogram("number_filter", "One number filtered", _STEPS)
        """Observed by whoever filters."""
        self.dialplan = self._histogram("dialplan_match", "One number routed", _STEPS)
        """Observed by whoever routes."""
        self.webhook = self._histogram("webhook_delivery", "One attempt of a webhook", _SECONDS)
        """Observed by the webhooks."""
        self._bridged: set[str] = set()
        self._actions: Mapping[str, Callable[[ChannelNotice], None]] = {
            "CHANNEL_PROGRESS": self._rang,
            "CHANNEL_PROGRESS_MEDIA": self._rang,
            "CHANNEL_ANSWER": self._answered,
            "CHANNEL_BRIDGE": self._joined,
            "CHANNEL_DESTROY": self._ended,
            "CALL_UPDATE": self._moved,
            "MEDIA_ONE_WAY": self._unheard,
        }

    def gauge(self, name: str, help_text: str, read: Callable[[], Values], *labels: str) -> None:
        """Show `quickcall_NAME`, a level that `read` returns: a number, or one for each label."""
        series = (GaugeMetricFamily, f"quickcall_{name}", help_text, labels, read)
        self._read.series.append(series)

    def counter(self, name: str, help_text: str, read: Callable[[], Values], *labels: str) -> None:
        """Show `quickcall_NAME_total`, a count that `read` returns, as `gauge`."""
        series = (CounterMetricFamily, f"quickcall_{name}", help_text, labels, read)
        self._read.series.append(series)

    def _histogram(self, name: str, help_text: str, bounds: tuple[float, ...]) -> Histogram:
        made = Histogram(f"quickcall_{name}_seconds", help_text, bounds)
        self._read.histograms.append(made)
        return made

    def _show_counters(self) -> None:
        show = self.counter
        show(
            "originate_requests", "Requests that ended, by cause", lambda: self._requests, "result"
        )
        show("sip_leg_final", "Legs that ended, by SIP status", lambda: self._final, "code", "role")
        show("sip_forks_cancelled", "Attempts given up because another won", lambda: self._forks)
        show("rtp_oneway_detected", "Legs that were not heard", lambda: self._one_way)
        show("bypass_shift", "Tries to send media past us", lambda: self._shifts, "result")

    def take(self, notice: Notice) -> None:
        """Count a notice of call control."""
        if isinstance(notice, ChannelNotice):
            action = self._actions.get(notice.name)
            if action is not None:
                action(notice)
        elif isinstance(notice, OriginateEnded):
            outcome = notice.outcome
            self._requests["answered" if outcome.answered else outcome.cause] += 1
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
        self._final[str(leg.sip_status), leg.role.value] += 1
        if leg.cause == "LOSE_RACE":
            self._forks += 1

    def _moved(self, notice: ChannelNotice) -> None:
        # Both legs of a pair tell of it; one of them counts.
        if notice.leg.role is LegRole.A:
            if notice.details.get("Bypass-Failed-Reason"):
                self._shifts["failed"] += 1
            elif notice.details.get("Media") == "bypass":
                self._shifts["shifted"] += 1

    def _unheard(self, _: ChannelNotice) -> None:
        self._one_way += 1
