"""The probe: loads an unknown version, calls every signature, and writes down what happened.

Steps: load; call each signature on made-up inputs (a head on its trunk as well); load and call it once more through the
session loader, which TensorFlow Serving, C, Java and Go use; call a trunk for training. It runs in a process of its own
that the version may kill: see ``journal``. ``python -m hub.runtime.probe DIR OUT`` probes a directory by hand.

Law: what a version does is written down; ``probe`` itself raises nothing for it.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from hub.domain.digests import digest_of
from hub.domain.errors import HubError
from hub.domain.reports import Severity, SignatureProbe
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.protocol.frames import Tensor, from_numpy
from hub.protocol.golden import Sample, write_golden
from hub.runtime.candidates import candidates, string_values
from hub.runtime.composed import run_composed
from hub.runtime.devices import Device
from hub.runtime.failures import describe
from hub.runtime.journal import Ending, Journal, read_outcome
from hub.runtime.loader import load_first, load_with
from hub.runtime.memory import resident_bytes
from hub.runtime.object_graph import ObjectGraphServable
from hub.runtime.orders import Order
from hub.runtime.servable import Servable
from hub.runtime.session import SessionServable
from hub.runtime.trials import Arrays, Trial, differences, try_signature
from hub.runtime.tuning import probe_tuning
from hub.savedmodel.inspect import inspect

_CPU = Device("cpu", 0)
_MAX_GOLDEN_BYTES = 8 << 20


def probe(order: Order, trunk: Order | None, out: Path) -> None:
    """Probe a version and leave the journal and the golden samples in ``out``."""
    journal = Journal(out)
    journal.enter("load")
    before, began = resident_bytes(), time.perf_counter()
    try:
        servable = load_first(order, lambda loader: load_with(loader, order, _CPU))
    except HubError as error:
        journal.find("probe.cannot-load", Severity.ERROR, error.detail)
        journal.enter("done")
        return
    loader = "session" if isinstance(servable, SessionServable) else "object_graph"
    journal.record(loader=loader, load_ms=round((time.perf_counter() - began) * 1e3, 3))
    strings = _Strings(order.root)
    trials = {name: _try(journal, servable, name, strings.of(name)) for name in order.signatures}
    if trunk is not None:
        _try_on_trunk(journal, servable, trunk, trials)
    journal.record(peak_bytes=max(resident_bytes("VmHWM") - before, 0))
    _keep_golden(journal, trials)
    _compare_sessions(journal, servable, trials)
    _try_tuning(journal, servable)
    journal.enter("done")


class _Strings:
    """What string inputs of each signature may hold; the features that a graph parses are read from its files."""

    def __init__(self, root: Path) -> None:
        self._features = inspect(root).example_features

    def of(self, signature: str) -> list[bytes]:
        return string_values(self._features.get(signature))


def _try(journal: Journal, servable: Servable, name: str, strings: list[bytes]) -> Trial:
    journal.enter("call", name)
    signature = servable.order.signatures[name]
    try:
        servable.prepare(name)
    except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
        trial = Trial(SignatureProbe(status="failed", detail=describe(error, servable.order.root)))
    else:
        trial = try_signature(signature, partial(servable.run, name), candidates(signature.inputs, strings))
    _record(journal, name, trial.probe)
    return trial


def _record(journal: Journal, name: str, found: SignatureProbe) -> None:
    journal.record(signatures={**journal.result.signatures, name: found})


def _try_on_trunk(journal: Journal, head: Servable, trunk_order: Order, trials: Mapping[str, Trial]) -> None:
    """Call each answered signature of a head on its trunk; where that fails, the signature has failed."""
    try:
        trunk = load_first(trunk_order, lambda loader: load_with(loader, trunk_order, _CPU))
    except HubError as error:
        journal.find("probe.cannot-load", Severity.ERROR, f"The trunk: {error.detail}")
        journal.record(loader=None)
        return
    trunk_name = head.order.trunk_signature or ""
    strings = _Strings(trunk_order.root).of(trunk_name)
    for name, trial in trials.items():
        if trial.probe.status != "answered":
            continue
        journal.enter("call", name)
        composed = partial(run_composed, trunk, trunk_name, head, name)
        tried = _trunk_candidates(trunk_order.signatures.get(trunk_name), strings)
        found = try_signature(head.order.signatures[name], composed, tried).probe
        if found.status != "answered":
            _record(journal, name, found.model_copy(update={"detail": f"On its trunk: {found.detail}"}))


def _trunk_candidates(signature: Signature | None, strings: list[bytes]) -> Iterator[dict[str, np.ndarray]]:
    nothing: dict[str, TensorSpec] = {}  # an unknown signature is refused by the call itself
    return candidates(signature.inputs if signature else nothing, strings)


def _keep_golden(journal: Journal, trials: Mapping[str, Trial]) -> None:
    samples = {}
    for name, trial in trials.items():
        if trial.inputs is not None and trial.outputs is not None and trial.is_repeatable:
            sample = Sample(_tensors(trial.inputs), _tensors(trial.outputs))
            if sum(len(tensor.data) for tensor in (*sample.inputs, *sample.outputs)) <= _MAX_GOLDEN_BYTES:
                samples[name] = sample
    if samples:
        data = write_golden(samples)
        journal.keep_golden(data)
        journal.record(golden_digest=digest_of(data))


def _tensors(arrays: Arrays) -> tuple[Tensor, ...]:
    return tuple(from_numpy(name, array) for name, array in arrays.items())


def _compare_sessions(journal: Journal, servable: Servable, trials: Mapping[str, Trial]) -> None:
    answered = {name: trial for name, trial in trials.items() if trial.inputs is not None}
    if isinstance(servable, SessionServable):
        journal.record(session_loads=True)
        for name, trial in answered.items():
            _record(journal, name, trial.probe.model_copy(update={"session_matches": True}))
        return
    journal.enter("session")
    try:
        session = SessionServable(servable.order, _CPU)
    except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
        said = describe(error, servable.order.root)
        journal.record(session_loads=False)
        journal.find("probe.session-cannot-load", Severity.WARNING, f"The session loader cannot load it: {said}.")
        return
    journal.record(session_loads=True)
    for name, trial in answered.items():
        journal.enter("session", name)
        _compare(journal, session, name, trial)
    session.close()


def _compare(journal: Journal, session: Servable, name: str, trial: Trial) -> None:
    assert trial.inputs is not None
    assert trial.outputs is not None
    try:
        theirs = session.run(name, trial.inputs)
    except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
        difference, rule = f"It fails there: {describe(error, session.order.root)}.", "probe.session-fails"
    else:
        difference = differences(trial.outputs, theirs) if trial.is_repeatable else ""
        rule = "probe.session-differs"
    if difference:
        place = f"signature {name}"
        journal.find(rule, Severity.WARNING, f"Through the session loader: {difference}", place=place)
    matches = None if not difference and not trial.is_repeatable else not difference
    _record(journal, name, journal.result.signatures[name].model_copy(update={"session_matches": matches}))


def _try_tuning(journal: Journal, servable: Servable) -> None:
    if not isinstance(servable, ObjectGraphServable):
        return
    journal.enter("tuning")
    try:
        outcome = probe_tuning(servable.root)
    except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
        journal.record(training_call=False)
        journal.find("probe.cannot-tune", Severity.WARNING, f"It cannot be called for training: {describe(error)}.")
        return
    if outcome is None:
        return
    journal.record(training_call=outcome.training_call, gradients_missing=outcome.gradients_missing)
    if outcome.detail:
        message = f"The trunk does not answer when it is called for training: {outcome.detail}."
        journal.find("probe.cannot-tune", Severity.WARNING, message, place="__call__")


def main() -> None:
    """Probe a directory by hand and print the result as JSON."""
    parser = argparse.ArgumentParser(prog="hub.runtime.probe", description=probe.__doc__)
    parser.add_argument("directory", type=Path, help="a SavedModel")
    parser.add_argument("out", type=Path, help="an empty directory for journal.json and golden.npz")
    options = parser.parse_args()
    inspection = inspect(options.directory)
    size = sum(path.stat().st_size for path in options.directory.rglob("*") if path.is_file())
    order = Order("sha256:", options.directory, inspection.loader, size, inspection.signatures)
    options.out.mkdir(parents=True, exist_ok=True)
    probe(order, None, options.out)
    result, _ = read_outcome(options.out, Ending("exit"))
    sys.stdout.write(result.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
