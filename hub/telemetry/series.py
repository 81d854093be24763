"""Series: numbers that the event loop counts for each prediction, at a tenth of what the library's own take.

Those take a lock for each of a dozen numbers, and look through all buckets: together that was a tenth of what a small
prediction took. Laws: a series is counted in on the event loop's thread alone, and may be read on any; it is exposed as
the library's own of its kind would be.

Source: Prometheus, "Exposition formats"; its Python client's custom collectors.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import ClassVar, Generic, TypeVar

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Number:
    """One number."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        """Begin at nothing."""
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Count."""
        self.value += amount

    def dec(self) -> None:
        """Count one less."""
        self.value -= 1.0


class Spread:
    """How often values fell between bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin at nothing; a value that is a bound counts below it."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


One = TypeVar("One", Number, Spread)


class Series(Collector, Generic[One]):
    """Numbers of one name by their labels."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry, make: Callable[[], One]
    ) -> None:
        """Be exposed by a registry."""
        self._name, self._text, self._labels, self._make = name, text, labels, make
        self._ones: dict[tuple[str, ...], One] = {}
        registry.register(self)

    def labels(self, *values: str) -> One:
        """The one of these values, which whoever counts often keeps."""
        found = self._ones.get(values)
        if found is None:
            found = self._ones[values] = self._make()
        return found

    def _listed(self) -> list[tuple[tuple[str, ...], One]]:
        return list(self._ones.items())


class _Numbers(Series[Number]):
    """Numbers that are exposed as they are."""

    _family: ClassVar[type[CounterMetricFamily | GaugeMetricFamily]]

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        """See `Series`."""
        super().__init__(name, text, labels, registry, Number)

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        family = self._family(self._name, self._text, labels=self._labels)
        for values, one in self._listed():
            family.add_metric(values, one.value)
        yield family


class Counters(_Numbers):
    """Numbers that only grow."""

    _family = CounterMetricFamily


class Gauges(_Numbers):
    """Numbers that go up and down."""

    _family = GaugeMetricFamily


class Histograms(Series[Spread]):
    """Histograms."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry, bounds: Sequence[float]
    ) -> None:
        """See `Series`."""
        super().__init__(name, text, labels, registry, lambda: Spread(bounds))
        self._bounds = [*(floatToGoString(bound) for bound in bounds), "+Inf"]

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, one in self._listed():
            so_far = list(accumulate(one.counts))
            family.add_metric(values, list(zip(self._bounds, map(float, so_far), strict=True)), one.sum)
        yield family
