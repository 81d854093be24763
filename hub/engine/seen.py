"""What is seen of a prediction: told to the metrics always, to traces and to who asks for its time where asked."""

from collections.abc import Mapping
from typing import Any

from hub.telemetry import metrics, timing, tracing


def is_traced() -> bool:
    """Whether the worker shall say where the time of the request under way went."""
    return tracing.is_recording() or timing.wanted() is not None


def note_load(seconds: float) -> None:
    """The request under way has waited for a load."""
    times = timing.wanted()
    if times is not None:
        times.load_s = seconds


def note_reply(digest: str, feeding: str, device: str, facts: Mapping[str, Any]) -> None:
    """A worker has answered.

    Args:
        digest: The version that was asked.
        feeding: The one it counts as: its trunk, or itself.
        device: The worker's.
        facts: Of its reply.
    """
    if "batch" in facts:
        _observe(feeding, facts["batch"])
    if "traced" in facts:
        traced = facts["traced"]
        told = {"hub.version": digest, "hub.batch.id": traced["batch"], "hub.batch.rows": traced["rows"]}
        tracing.note_batch(traced["waited_s"], traced["computed_s"], told)
        times = timing.wanted()
        if times is not None:
            times.queue_s, times.compute_s, times.device = traced["waited_s"], traced["computed_s"], device


def _observe(digest: str, batch: Mapping[str, Any]) -> None:
    series = metrics.batches_of(digest)
    series.compute.observe(batch["computed_s"])
    series.rows.observe(batch["rows"])
    for seconds in batch["waited_s"]:
        series.queue.observe(seconds)
