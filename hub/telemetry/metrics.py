"""Metrics: what Prometheus reads at ``/metrics``. Names are ``hub_<noun>_<what>_<unit>``.

Law: labels take few values (a route, never a path; a status, never a message). Anybody may read the metrics, so a
version is labelled by its digest's first digits, which tell nothing to who may not see it, and only so many are. What
is counted of every request is a series of our own, see there; the rest is the library's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from hub.telemetry.series import Counters, Gauges, Histograms, Spread

CONTENT_TYPE = CONTENT_TYPE_LATEST
disable_created_metrics()  # a second series for each counter, which nobody reads
REGISTRY = CollectorRegistry()
MAX_VERSIONS = 256
_SHOWN_DIGITS = 12
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

REQUESTS = Counters("hub_requests_handled_total", "HTTP requests answered.", ["method", "route", "status"], REGISTRY)
REQUEST_SECONDS = Histograms(
    "hub_request_duration_seconds",
    "From the request's first byte to the answer's last.",
    ["method", "route"],
    REGISTRY,
    _SECONDS,
)
REQUESTS_OPEN = Gauges("hub_requests_open_count", "HTTP requests being answered.", [], REGISTRY).labels()
RECEIVED_BYTES = Counters("hub_requests_received_bytes_total", "Bytes of request bodies.", [], REGISTRY).labels()
SENT_BYTES = Counters("hub_requests_sent_bytes_total", "Bytes of answers.", [], REGISTRY).labels()
CALLS = Counters("hub_calls_handled_total", "gRPC calls answered.", ["method", "code"], REGISTRY)
CALL_SECONDS = Histograms("hub_call_duration_seconds", "What a gRPC call took.", ["method"], REGISTRY, _SECONDS)
PREDICTIONS = Counters(
    "hub_predictions_answered_total", "Predictions by protocol and outcome.", ["protocol", "outcome"], REGISTRY
)
PREDICTION_SECONDS = Histograms(
    "hub_prediction_duration_seconds", "What a prediction took in the engine.", ["protocol"], REGISTRY, _SECONDS
)
QUEUE_SECONDS = Histograms(
    "hub_predictions_queue_seconds", "How long a prediction waited for the device.", ["version"], REGISTRY, _SECONDS
)
COMPUTE_SECONDS = Histograms(
    "hub_batches_compute_seconds", "What a batch of predictions took on the device.", ["version"], REGISTRY, _SECONDS
)
BATCH_ROWS = Histograms(
    "hub_batches_size_rows", "Rows that were computed together.", ["version"], REGISTRY, (1, 2, 4, 8, 16, 32, 64, 128)
)
VALIDATIONS = Counter("hub_validations_finished_total", "Versions validated, by outcome.", ["state"], registry=REGISTRY)
WORKERS = Gauge("hub_workers_present_count", "Worker processes by state.", ["state"], registry=REGISTRY)
WORKER_LOADED_BYTES = Gauge("hub_workers_loaded_bytes", "Bytes of versions held loaded.", ["device"], registry=REGISTRY)
WORKER_RESTARTS = Gauge(
    "hub_workers_restarts_count", "How often a worker was started again.", ["device"], registry=REGISTRY
)


@dataclass(frozen=True, slots=True)
class BatchSeries:
    """Where the batches of one version are counted."""

    queue: Spread
    compute: Spread
    rows: Spread


_batches: dict[str, BatchSeries] = {}


def batches_of(digest: str) -> BatchSeries:
    """The series of a version, which are found once; of all further ones together beyond :data:`MAX_VERSIONS`."""
    if digest not in _batches and len(_batches) >= MAX_VERSIONS:
        digest = ""
    if digest not in _batches:
        label = digest.removeprefix("sha256:")[:_SHOWN_DIGITS] or "others"
        _batches[digest] = BatchSeries(
            QUEUE_SECONDS.labels(label), COMPUTE_SECONDS.labels(label), BATCH_ROWS.labels(label)
        )
    return _batches[digest]


class _Summed(Collector):
    """What several processes have counted, added up."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        metrics: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for metric in chain.from_iterable(text_string_to_metric_families(text.decode()) for text in self._texts):
            metrics.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            summed = sums.setdefault(metric.name, {})
            for sample in metric.samples:
                key = sample.name, tuple(sample.labels.items())
                summed[key] = summed.get(key, 0.0) + sample.value
        for name, metric in metrics.items():
            for (sample, labels), value in sums[name].items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


def exposition(others: Sequence[bytes] = ()) -> bytes:
    """All metrics in Prometheus' text format, with what other processes have counted added to them."""
    if not others:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    together.register(_Summed([generate_latest(REGISTRY), *others]))
    return generate_latest(together)
