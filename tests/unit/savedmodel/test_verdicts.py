"""What the probe's results make of a static report."""

import pytest

from hub.domain.reports import Facts, Finding, ProbeResult, Severity, SignatureProbe
from hub.domain.signatures import TuningFace
from hub.savedmodel.rules import finding
from hub.savedmodel.verdicts import merge_probe, static_report

FACE = TuningFace(inputs=(), training_values=(False, True), variables=2, trainable_variables=1)
GOOD = SignatureProbe(status="answered", matches_spec=True, session_matches=True)
FULL = ProbeResult(
    loader="object_graph",
    signatures={"serving_default": GOOD},
    session_loads=True,
    gradients_missing=(),
    training_call=True,
)


def clean():
    return static_report((), Facts(), is_read=True)


def test_a_model_that_does_everything_gets_four_times_yes():
    report = merge_probe(clean(), FULL, FACE)
    answers = (report.servable, report.tunable, report.portable, report.safe)
    assert [verdict.answer for verdict in answers] == ["yes"] * 4
    assert all(verdict.reasons == () for verdict in answers)
    assert report.probe == FULL
    assert report.findings == ()


def test_a_model_that_does_not_load_is_not_servable():
    report = merge_probe(clean(), ProbeResult(loader=None), None)
    assert report.servable.answer == "no"
    assert not report.is_accepted


def test_the_probes_own_error_is_the_reason_when_it_does_not_load():
    error = Finding(rule="probe.timeout", severity=Severity.ERROR, message="Loading took longer than 60 s.")
    report = merge_probe(clean(), ProbeResult(loader=None, findings=(error,)), None)
    assert report.servable.reasons == ("Loading took longer than 60 s.",)


def test_no_signature_that_runs_rejects_and_names_the_detail():
    failed = SignatureProbe(status="failed", detail="No OpKernel was registered")
    report = merge_probe(clean(), FULL.model_copy(update={"signatures": {"a": failed, "b": failed}}), FACE)
    assert report.servable.answer == "no"
    assert "No OpKernel" in report.servable.reasons[0]


def test_one_signature_that_fails_is_a_warning_and_a_reason():
    failed = SignatureProbe(status="failed", detail="no")
    report = merge_probe(clean(), FULL.model_copy(update={"signatures": {"a": GOOD, "b": failed}}), FACE)
    assert report.servable.answer == "yes"
    assert report.servable.reasons == ("Signatures that do not run: b.",)
    assert report.errors() == []


def test_refused_inputs_leave_it_servable_but_portable_unknown():
    refused = SignatureProbe(status="inputs-refused", detail="not a JPEG")
    report = merge_probe(clean(), FULL.model_copy(update={"signatures": {"a": refused}}), FACE)
    assert report.servable.answer == "yes"
    assert report.portable.answer == "unknown"
    assert [found.rule for found in report.findings] == ["probe.inputs-refused"]


@pytest.mark.parametrize(
    "change",
    [{"session_loads": False}, {"signatures": {"serving_default": GOOD.model_copy(update={"session_matches": False})}}],
)
def test_what_the_session_loader_cannot_do_makes_it_not_portable(change):
    report = merge_probe(clean(), FULL.model_copy(update=change), FACE)
    assert report.portable.answer == "no"
    assert "export_trunk" in next(found.remedy for found in report.findings if found.rule == "portable.session-fails")
    assert report.is_accepted


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"gradients_missing": ("kernel",)}, "no"),
        ({"training_call": False}, "no"),
        ({"gradients_missing": None, "training_call": None}, "unknown"),
    ],
)
def test_tunable_needs_every_gradient_and_a_training_call(change, answer):
    assert merge_probe(clean(), FULL.model_copy(update=change), FACE).tunable.answer == answer


def test_a_trunk_without_a_training_argument_needs_no_training_call():
    face = FACE.model_copy(update={"training_values": ()})
    probe = FULL.model_copy(update={"training_call": None})
    assert merge_probe(clean(), probe, face).tunable.answer == "yes"


def test_what_the_static_rules_found_stays_found():
    static = static_report([finding("ops.denied", "ReadFile is not allowed.")], Facts(), is_read=True)
    report = merge_probe(static, FULL, FACE)
    assert report.safe.answer == "no"
    assert not report.is_accepted


def test_merging_the_same_probe_twice_changes_nothing():
    probe = FULL.model_copy(update={"session_loads": False})
    once = merge_probe(clean(), probe, FACE)
    assert merge_probe(once, probe, FACE) == once


def test_outputs_that_differ_from_their_spec_are_a_warning():
    differs = GOOD.model_copy(update={"matches_spec": False, "detail": "y is float64"})
    report = merge_probe(clean(), FULL.model_copy(update={"signatures": {"a": differs}}), FACE)
    assert [found.rule for found in report.findings] == ["probe.spec-differs"]
    assert report.is_accepted


def test_an_unread_model_is_unknown_in_everything_it_is_not_refused_for():
    report = static_report([finding("graph.malformed", "broken")], Facts(), is_read=False)
    assert report.servable.answer == "no"
    assert {report.tunable.answer, report.portable.answer, report.safe.answer} == {"unknown"}
