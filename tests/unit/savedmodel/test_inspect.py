"""Whole models: three made by TensorFlow, and a corpus of real ones where it is at hand."""

import pytest

from hub.domain.tensors import TensorSpec
from hub.savedmodel.examples import FeatureSpec
from hub.savedmodel.inspect import inspect

SERVABLE = {
    "tf2onnx__assign",
    "tf2onnx__redundant_inputs",
    "tf2onnx__regression",
    "tfhub__half_plus_two_v1",
    "tfrust__keras_single_input",
    "tfrust__regression_model",
    "tfrust__regression_savedmodel",
    "tfserving__half_plus_two_2_versions/00000123",
    "tfserving__half_plus_two_2_versions/00000124",
    "tfserving__matrix_half_plus_two",
    "tfserving__saved_model_counter",
    "tfserving__saved_model_half_plus_three",
    "tfserving__saved_model_half_plus_two_cpu",
    "tfserving__saved_model_half_plus_two_cpu_with_saved_model_config",
    "tfserving__saved_model_half_plus_two_tf2_cpu",
    "tfx__trainer_keras_serving",
}
REFUSED = {
    "bleurt__test_checkpoint_NOVARS": ("layout.missing-shard", "variables.data-00000-of-00001"),
    "tfserving__half_plus_two_2_versions": ("layout.nested", "00000124"),
    "tfserving__tf_text_regression_88d20a5f": ("ops.unknown", "tensorflow_text"),
    "tfx__chicago_trained_saved_model": ("ops.no-kernel", "BoostedTreesBucketize"),
}
STATEFUL = {
    "tf2onnx__assign": {"serving_default"},
    "tfrust__regression_savedmodel": {"train"},
    "tfserving__saved_model_counter": {"incr_counter", "incr_counter_by", "reset_counter"},
}


def test_a_trunk_is_read_whole(fixtures):
    inspection = inspect(fixtures / "trunk", with_tensors=True)
    report, signature = inspection.report, inspection.signatures["serving_default"]
    assert signature.inputs == {"inputs": TensorSpec(name="inputs", dtype="float32", shape=(None, 3))}
    assert signature.outputs == {"features": TensorSpec(name="features", dtype="float32", shape=(None, 2))}
    assert not signature.is_stateful
    face = inspection.tuning_face
    assert face is not None
    assert face.inputs == (TensorSpec(name="", dtype="float32", shape=(None, 3)),)
    assert face.outputs == (TensorSpec(name="features", dtype="float32", shape=(None, 2)),)
    assert face.training_values == (False, True)
    assert (face.variables, face.trainable_variables, face.regularization_losses) == (2, 1, 1)
    assert (report.servable.answer, report.safe.answer) == ("yes", "yes")
    assert (report.tunable.answer, report.portable.answer) == ("unknown", "unknown")
    assert report.facts.parameters == 8
    assert inspection.loader == "object_graph"
    assert len(inspection.tensors) == 4
    assert report.facts.ops["MatMul"] >= 2


def test_a_vocabulary_from_an_asset_is_safe_and_its_features_are_found(fixtures):
    inspection = inspect(fixtures / "vocab")
    assert inspection.report.safe.answer == "yes"
    assert inspection.report.facts.assets == ("words.txt",)
    assert inspection.example_features == {
        "parse": {"size": FeatureSpec("float32", (2,)), "words": FeatureSpec("string", None)}
    }


def test_a_tensorflow_1_model_is_served_by_session_and_not_tuned(fixtures):
    inspection = inspect(fixtures / "session")
    assert inspection.loader == "session"
    assert inspection.signatures["grow"].is_stateful
    assert not inspection.signatures["read"].is_stateful
    assert inspection.signatures["read"].inputs == {}
    assert inspection.report.servable.answer == "yes"
    assert inspection.report.tunable.answer == "no"


def test_tensors_are_hashed_only_when_asked_for(fixtures):
    assert inspect(fixtures / "trunk").tensors == ()


def test_two_reads_of_one_model_agree(fixtures):
    assert inspect(fixtures / "vocab", with_tensors=True) == inspect(fixtures / "vocab", with_tensors=True)


@pytest.mark.parametrize("name", sorted(SERVABLE))
def test_real_models_that_run_are_accepted(corpus, name):
    if not (corpus / name).is_dir():
        pytest.skip(f"this corpus does not have {name}")
    inspection = inspect(corpus / name, with_tensors=True)
    assert inspection.report.is_accepted, inspection.report.errors()
    stateful = {key for key, signature in inspection.signatures.items() if signature.is_stateful}
    assert stateful == STATEFUL.get(name, set())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_real_models_that_cannot_run_are_refused_for_the_right_reason(corpus, name):
    rule, clue = REFUSED[name]
    errors = inspect(corpus / name).report.errors()
    assert {found.rule for found in errors} == {rule}
    assert clue in errors[0].message
    assert errors[0].remedy


def test_every_real_model_has_one_of_the_two_outcomes(corpus):
    names = {path.name for path in corpus.iterdir() if path.is_dir()}
    assert names <= {name.split("/")[0] for name in SERVABLE} | REFUSED.keys()


def test_the_signatures_of_real_models_have_the_specs_that_answered(corpus):
    signature = inspect(corpus / "tfserving__saved_model_half_plus_two_cpu").signatures["regress_x_to_y"]
    assert str(signature.inputs["inputs"]) == "inputs: string[...]"
    assert str(signature.outputs["outputs"]) == "outputs: float32[?, 1]"
    assert signature.method == "tensorflow/serving/regress"


def test_features_behind_a_fed_tensor_are_not_asked_for(corpus):
    found = inspect(corpus / "tfserving__saved_model_half_plus_two_cpu").example_features
    assert "regress_x_to_y" in found
    assert "serving_default" not in found
