"""Traces: where a prediction's time went, from the request to the batch that it was computed in.

They are on where ``OTEL_EXPORTER_OTLP_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` is set, and go there in
batches, by a thread of their own. What else OpenTelemetry reads from the environment (the service's name, the sampler)
counts too. Law: where they are off, a request pays one comparison.

Source: OpenTelemetry specification "Environment Variable Specification"; W3C Trace Context (``traceparent``).
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_SERVICE = "trunkhub"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NOTHING: AbstractContextManager[None] = nullcontext()
_provider: Any = None
_tracer: Any = None


def start() -> None:
    """Turn traces on where the environment says so."""
    if any(os.environ.get(name) for name in _ENDPOINTS) and os.environ.get("OTEL_SDK_DISABLED", "") != "true":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        use(BatchSpanProcessor(OTLPSpanExporter()))


def use(processor: Any) -> None:
    """Turn traces on, and give the spans to ``processor``."""
    global _provider, _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": _SERVICE}
    _provider = TracerProvider(resource=Resource.create(name))
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("hub")


def stop() -> None:
    """Turn traces off, and wait a while until all spans are sent."""
    global _provider, _tracer
    if _provider is not None:
        _provider.shutdown()
    _provider = _tracer = None


def request(name: str, traceparent: str | None, attributes: Mapping[str, str]) -> AbstractContextManager[None]:
    """Everything inside belongs to one request, which may be part of a trace that its sender began.

    Args:
        name: What is asked, of few values.
        traceparent: The header of that name.
        attributes: What else to know, named by OpenTelemetry's semantic conventions.
    """
    return _NOTHING if _tracer is None else _request(name, traceparent, attributes)


@contextmanager
def _request(name: str, traceparent: str | None, attributes: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent or ""})
    with _tracer.start_as_current_span(name, parent, SpanKind.SERVER, attributes):
        yield


def is_on() -> bool:
    """Whether there are traces at all."""
    return _tracer is not None


def is_recording() -> bool:
    """Whether the request under way is traced."""
    if _tracer is None:
        return False
    from opentelemetry.trace import get_current_span

    return get_current_span().is_recording()


def note(attributes: Mapping[str, Any]) -> None:
    """Say more of the request under way."""
    if is_recording():
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def note_batch(waited_s: float, computed_s: float, attributes: Mapping[str, Any]) -> None:
    """Say that the request under way has just been answered by a batch.

    Args:
        waited_s: How long it waited for the device.
        computed_s: What the batch took.
        attributes: What to know of the batch.
    """
    if not is_recording():
        return
    ended = time.time_ns()
    began = ended - int(computed_s * 1e9)
    _tracer.start_span("queue", start_time=began - int(waited_s * 1e9)).end(began)
    _tracer.start_span("compute", start_time=began, attributes=attributes).end(ended)
