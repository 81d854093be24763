"""Which meta graph is served, and what the session loader would find in it."""

import pytest

from hub.savedmodel.inspect import inspect
from hub.savedmodel.metagraph import MetaGraph, served


def graphs(*tags):
    return [MetaGraph(tags=each) for each in tags]


@pytest.mark.parametrize(
    ("tags", "chosen"),
    [
        ([()], ()),
        ([("train", "serve")], ("train", "serve")),
        ([("train",), ("serve",)], ("serve",)),
        ([("serve",), ("serve", "tpu")], ("serve",)),
        ([("serve", "gpu"), ("train",)], ("serve", "gpu")),
        ([(), ("train",)], ()),
    ],
)
def test_the_meta_graph_that_is_meant_is_served(tags, chosen):
    found = served(graphs(*tags))
    assert found is not None
    assert found.tags == chosen


@pytest.mark.parametrize("tags", [[("a",), ("b",)], [("serve",), ("serve",)], []])
def test_nothing_is_served_where_it_is_not_clear(tags):
    assert served(graphs(*tags)) is None


def _with_variable(model, write, restored):
    """The signature reads variable ``v``; the restore operation assigns it, or another one."""
    assigned = "v" if restored else "other"
    model.nodes = [
        write.node("v", "VarHandleOp"),
        write.node("other", "VarHandleOp"),
        write.node("value", "Const"),
        write.node("restore", "AssignVariableOp", [assigned, "value"]),
    ]
    model.call_inputs = ["v"]
    model.saver = write.message((3, "restore"))
    return inspect(model.write()).report


def test_a_variable_that_the_restore_operation_fills_may_be_portable(model, write):
    report = _with_variable(model, write, restored=True)
    assert report.portable.answer == "unknown"
    assert report.is_accepted


def test_a_variable_that_nothing_fills_is_not_portable_but_servable(model, write):
    report = _with_variable(model, write, restored=False)
    assert report.portable.answer == "no"
    assert "v)" in report.portable.reasons[0]
    assert report.servable.answer == "yes"


def test_a_node_that_asks_for_a_missing_one_is_refused(model, write):
    model.nodes = [write.node("n", "Identity", ["lost:0"])]
    assert [found.rule for found in inspect(model.write()).report.errors()] == ["graph.dangling"]


def test_a_tensorflow_1_variable_that_is_not_stored_is_named(copy_of, write):
    root = copy_of("session")
    index = write.table([(b"", write.message((1, 1))), (b"else", write.entry(1, (), 0, 4))])
    (root / "variables/variables.index").write_bytes(index)
    messages = [found.message for found in inspect(root).report.errors()]
    assert messages == ["The variable count is not stored."]
