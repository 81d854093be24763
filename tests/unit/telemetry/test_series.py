"""Series against the library's own counters, gauges and histograms: the same text for the same events."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from hub.telemetry import metrics  # noqa: F401 - it switches the library's created-series off, as in a hub
from hub.telemetry.series import Counters, Gauges, Histograms

_BOUNDS = (0.5, 1, 2.5, 10)
_values = st.one_of(st.sampled_from(_BOUNDS), st.floats(0, 20, width=16))


@given(st.lists(st.tuples(st.sampled_from("ab"), _values)))
def test_a_series_is_exposed_as_the_librarys_own(events: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    count, spread = Counters("n_total", "N.", ["of"], ours), Histograms("s", "S.", ["of"], ours, _BOUNDS)
    is_open = Gauges("g", "G.", [], ours).labels()
    their_count = Counter("n_total", "N.", ["of"], registry=theirs)
    their_spread = Histogram("s", "S.", ["of"], buckets=_BOUNDS, registry=theirs)
    their_open = Gauge("g", "G.", registry=theirs)
    for label, value in events:
        count.labels(label).inc(value)
        their_count.labels(label).inc(value)
        spread.labels(label).observe(value)
        their_spread.labels(label).observe(value)
        for gauge in (is_open, their_open):
            gauge.inc()
            gauge.inc()
            gauge.dec()
    assert generate_latest(ours) == generate_latest(theirs)
