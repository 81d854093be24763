"""The four answers: from findings alone, and again once the probe has run the model.

Laws: pure functions; an answer that is not ``yes`` has a reason; before the probe ``tunable`` and ``portable`` are
never ``yes``, since only running the model tells.
"""

from collections.abc import Iterable, Iterator, Sequence

from hub.domain.reports import Answer, Facts, Finding, ProbeResult, Report, Severity, SignatureProbe, Verdict
from hub.domain.signatures import TuningFace
from hub.savedmodel.rules import RULES, Question, clip, finding

_MAX_REASONS = 4
_UNREAD = "The model could not be read."
_TUNABLE_LATER = "Only the probe can tell whether a gradient reaches every trainable variable."
_PORTABLE_LATER = "Only the probe can tell whether the session loader runs it."
_PROBE_DID_NOT_TRY = "The probe could not try it."


def static_report(findings: Iterable[Finding], facts: Facts, *, is_read: bool) -> Report:
    """The report before the probe; ``is_read`` claims that the graph could be decoded."""
    found = tuple(findings)
    return Report(
        findings=found,
        servable=_answer(found, "servable", "yes" if is_read else "unknown", _UNREAD),
        tunable=_answer(found, "tunable", "unknown", _TUNABLE_LATER if is_read else _UNREAD),
        portable=_answer(found, "portable", "unknown", _PORTABLE_LATER if is_read else _UNREAD),
        safe=_answer(found, "safe", "yes" if is_read else "unknown", _UNREAD),
        facts=facts,
    )


def merge_probe(report: Report, probe: ProbeResult, tuning_face: TuningFace | None) -> Report:
    """The final report: the probe's findings are added and the answers worked out again."""
    added = [*probe.findings, *_check_signatures(probe), *_check_tuning(probe, tuning_face), *_check_session(probe)]
    known = {(found.rule, found.message) for found in report.findings}
    findings = (*report.findings, *(found for found in added if (found.rule, found.message) not in known))
    servable = _answer(findings, "servable", "yes", "")
    failed = [name for name, held in probe.signatures.items() if held.status == "failed"]
    if servable.answer == "yes" and failed:
        servable = Verdict(answer="yes", reasons=(f"Signatures that do not run: {', '.join(map(clip, failed))}.",))
    return report.model_copy(
        update={
            "findings": findings,
            "servable": servable,
            "tunable": _tunable(findings, probe, tuning_face),
            "portable": _portable(findings, probe),
            "safe": _answer(findings, "safe", report.safe.answer, _UNREAD),
            "probe": probe,
        }
    )


def _answer(findings: Sequence[Finding], question: Question, otherwise: Answer, reason: str) -> Verdict:
    reasons = list(dict.fromkeys(found.message for found in findings if _asks(found) == question))
    if reasons:
        more = [f"… and {len(reasons) - _MAX_REASONS} more"] if len(reasons) > _MAX_REASONS else []
        return Verdict(answer="no", reasons=(*reasons[:_MAX_REASONS], *more))
    return Verdict(answer=otherwise, reasons=() if otherwise == "yes" else (reason,))


def _asks(found: Finding) -> Question | None:
    """Which answer a finding makes ``no``; an error of a rule that is not in the table speaks of servability."""
    rule = RULES.get(found.rule)
    if rule is not None and rule.severity is found.severity:
        return rule.question
    return "servable" if found.severity is Severity.ERROR else None


def _check_signatures(probe: ProbeResult) -> Iterator[Finding]:
    if probe.loader is None:
        if not any(found.severity is Severity.ERROR for found in probe.findings):
            yield finding("probe.does-not-load", "TensorFlow does not load the model.")
        return
    failed = {name: held for name, held in probe.signatures.items() if held.status == "failed"}
    if probe.signatures and len(failed) == len(probe.signatures):
        name, first = next(iter(failed.items()))
        yield finding("probe.nothing-runs", f"No signature runs; {clip(name)}: {clip(first.detail)}")
    for name, held in probe.signatures.items():
        yield from _check_signature(name, held)


def _check_signature(name: str, held: SignatureProbe) -> Iterator[Finding]:
    place = f"signature {clip(name)}"
    if held.status == "failed":
        yield finding("probe.signature-fails", f"Signature {clip(name)} does not run: {clip(held.detail)}", place)
    elif held.status == "inputs-refused":
        yield finding(
            "probe.inputs-refused", f"Signature {clip(name)} refuses made-up inputs: {clip(held.detail)}", place
        )
    elif held.matches_spec is False:
        message = f"Signature {clip(name)} answers with other types or shapes than it says. {clip(held.detail)}"
        yield finding("probe.spec-differs", message.strip(), place)


def _check_tuning(probe: ProbeResult, face: TuningFace | None) -> Iterator[Finding]:
    if face is None:
        return
    if probe.gradients_missing:
        names = ", ".join(clip(name) for name in probe.gradients_missing[:5])
        message = f"No gradient reaches {len(probe.gradients_missing)} trainable variables: {names}."
        yield finding("tuning.no-gradient", message)
    if probe.training_call is False:
        yield finding("tuning.training-fails", "Calling it with training=True fails.")


def _check_session(probe: ProbeResult) -> Iterator[Finding]:
    if probe.session_loads is False:
        yield finding("portable.session-fails", "The session loader does not load it.")
    for name, held in probe.signatures.items():
        if held.status == "answered" and held.session_matches is False:
            message = f"The session loader answers signature {clip(name)} differently."
            yield finding("portable.session-fails", message, f"signature {clip(name)}")


def _tunable(findings: Sequence[Finding], probe: ProbeResult, face: TuningFace | None) -> Verdict:
    has_training = face is not None and bool(face.training_values)
    held = probe.gradients_missing == () and (probe.training_call is True or not has_training)
    return _answer(findings, "tunable", "yes" if held else "unknown", _PROBE_DID_NOT_TRY)


def _portable(findings: Sequence[Finding], probe: ProbeResult) -> Verdict:
    answered = [held for held in probe.signatures.values() if held.status == "answered"]
    held = probe.session_loads is True and bool(answered) and all(each.session_matches for each in answered)
    return _answer(findings, "portable", "yes" if held else "unknown", _PROBE_DID_NOT_TRY)
