"""Numbers that are counted in the path of every review.

The event loop alone counts, so that no lock is needed; names, labels and samples are
made when somebody asks for them.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client import CollectorRegistry

__all__ = ["Durations", "Tally"]


class Tally(Collector):
    """A counter with labels.

    Args:
        name: Name of the metric, without ``_total``.
        documentation: What it counts.
        labels: Names of its labels.
        registry: Where it is to be asked for.

    Attributes:
        labels: Names of its labels.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        registry: CollectorRegistry,
    ) -> None:
        self.labels = tuple(labels)
        self._described = name, documentation
        self._counts: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def add(self, values: tuple[str, ...], count: int = 1) -> None:
        """Count so many more with these values of the labels."""
        counts = self._counts
        counts[values] = counts.get(values, 0) + count

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield the metric as it is now."""
        family = CounterMetricFamily(*self._described, labels=self.labels)
        for values, count in self._counts.copy().items():
            family.add_metric(values, count)
        yield family


class Durations(Collector):
    """A histogram of durations.

    Args:
        name: Name of the metric.
        documentation: What takes so long.
        bounds: Upper bounds of its buckets, in seconds, from the shortest on.
        registry: Where it is to be asked for.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._described = name, documentation
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Note one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Yield the metric as it is now."""
        names = [*map(str, self._bounds), "+Inf"]
        buckets = [*zip(names, accumulate(self._counts), strict=True)]
        family = HistogramMetricFamily(*self._described)
        family.add_metric((), buckets, self._sum)
        yield family
