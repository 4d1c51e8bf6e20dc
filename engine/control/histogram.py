"""A histogram that costs next to nothing to feed, and is laid out when Prometheus asks for it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString


class Histogram:
    """How many values were at most each bound, and their sum. Fed from one thread."""

    def __init__(self, name: str, help_text: str, bounds: Sequence[float]) -> None:
        """Begin without values; `bounds` ascend, and all that is above them counts as infinite."""
        self._name = name
        self._help_text = help_text
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def family(self) -> HistogramMetricFamily:
        """Return it as Prometheus reads it."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        buckets = list(zip(names, accumulate(self._counts), strict=True))
        return HistogramMetricFamily(self._name, self._help_text, buckets, self._sum)
