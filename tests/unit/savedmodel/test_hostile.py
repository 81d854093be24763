"""Models nobody would make by accident: each is refused before anything loads it, and says why."""

import pytest

from hub.savedmodel import limits
from hub.savedmodel.inspect import inspect
from hub.savedmodel.rules import RULES


def errors(root):
    return {found.rule for found in inspect(root).report.errors()}


def test_the_unchanged_model_is_accepted(model):
    report = inspect(model.write()).report
    assert report.errors() == []
    assert report.servable.answer == "yes"


def test_a_denied_op_deep_in_nested_functions_is_found_with_the_way_there(model, write):
    model.body.append(write.node("c", "If", ["x"], then_branch=write.call_attr("extra0")))
    model.functions = [
        write.function("extra0", [write.node("w", "While", [], body=write.call_attr("extra1"))]),
        write.function("extra1", [write.node("r", "ReadFile")]),
    ]
    report = inspect(model.write()).report
    assert report.safe.answer == "no"
    assert "serving_default → f → extra0 → extra1" in report.errors()[0].place


@pytest.mark.parametrize("op", ["WriteFile", "PyFunc", "DatasetFromGraph", "RpcServerStart", "Abort", "ImmutableConst"])
def test_ops_that_reach_outside_are_not_safe(model, write, op):
    model.body.append(write.node("evil", op))
    assert errors(model.write()) == {"ops.denied"}


def test_a_denied_op_that_nothing_runs_is_only_a_warning(model, write):
    model.functions = [write.function("extra0", [write.node("r", "ReadFile")])]
    report = inspect(model.write()).report
    assert report.safe.answer == "yes"
    assert "ops.denied-unused" in {found.rule for found in report.findings}


def test_a_denied_op_in_a_gradient_counts(model, write):
    model.functions = [write.function("extra0", [write.node("r", "ReadFile")])]
    model.gradients = ["extra0"]
    assert errors(model.write()) == {"ops.denied"}


@pytest.mark.parametrize("name", ["_initialize", "_create_resource", "_destroy_resource"])
def test_a_denied_op_that_loading_runs_counts(model, write, name):
    model.functions = [write.function("extra0", [write.node("r", "WriteFile")])]
    model.objects = [write.saved_object(10, b"", [(name, 5)]), write.saved_object(6, write.message((1, "extra0")))]
    model.root_children = [("table", 4)]
    assert errors(model.write()) == {"ops.denied"}


def test_a_denied_op_in_a_restore_function_counts(model, write):
    model.functions = [write.function("extra0", [write.node("r", "WriteFile")])]
    saveable = write.message((1, "v"), (2, write.message((2, 5), (3, 5))))
    model.objects = [
        write.message((11, saveable), (4, b"")),
        write.saved_object(6, write.message((1, "extra0"))),
    ]
    assert errors(model.write()) == {"ops.denied"}


@pytest.mark.parametrize("op", ["SaveV2", "RestoreV2", "MergeV2Checkpoints"])
def test_checkpoint_ops_are_refused_outside_the_saver(model, write, op):
    model.body.append(write.node("io", op))
    assert errors(model.write()) == {"ops.checkpoint-io"}


@pytest.mark.parametrize(
    ("op", "attr", "value"),
    [
        ("PrintV2", "output_stream", "file:///tmp/x"),
        ("DecodeProtoV2", "descriptor_source", "/etc/passwd"),
        ("FixedUnigramCandidateSampler", "vocab_file", "/etc/passwd"),
    ],
)
def test_attributes_that_name_files_are_refused_and_plain_ones_are_not(model, write, op, attr, value):
    model.body.append(write.node("p", op, (), **{attr: write.text_attr(value)}))
    assert errors(model.write()) == {"ops.file-attribute"}
    model.body[-1] = write.node("p", op)
    assert errors(model.write()) == set()


def test_an_unknown_op_is_named_with_where_it_probably_comes_from(model, write):
    model.body += [write.node("a", "SentencepieceOp"), write.node("b", "HomeMadeOp")]
    found = [each.message for each in inspect(model.write()).report.errors()]
    assert found == [
        "unknown custom op HomeMadeOp",
        "unknown custom op SentencepieceOp, probably from tensorflow_text",
    ]


def test_an_op_named_like_a_function_of_the_library_is_a_call(model, write):
    model.body.append(write.node("c", "extra0"))
    model.functions = [write.function("extra0", [write.node("r", "ReadFile")])]
    assert errors(model.write()) == {"ops.denied"}


def test_a_function_that_calls_itself_is_refused(model, write):
    model.body.append(write.node("c", "PartitionedCall", ["x"], f=write.call_attr("f")))
    assert errors(model.write()) == {"graph.recursion"}


def _chain(write, count, calls_each):
    functions = []
    for index in range(count):
        called = write.call_attr(f"extra{index + 1}")
        calls = [write.node(f"c{i}", "PartitionedCall", [], f=called) for i in range(calls_each)]
        functions.append(write.function(f"extra{index}", calls if index + 1 < count else []))
    return functions


def test_functions_that_double_at_every_level_are_refused(model, write):
    model.functions = _chain(write, 30, 2)
    model.functions[-1] = write.function("extra29", [write.node("n", "NoOp")])
    assert errors(model.write()) == {"graph.expansion"}


def test_thousands_of_nested_calls_are_refused(model, write):
    model.functions = _chain(write, 3000, 1)
    assert errors(model.write()) == {"graph.call-depth"}


def test_a_small_constant_that_stands_for_gigabytes_is_refused(model, write):
    tensor = write.message((1, 1), (2, write.shape(10**9)), (5, b"\0\0\0\0"))
    model.body.append(write.node("big", "Const", [], value=write.message((8, tensor))))
    assert errors(model.write()) == {"graph.constant"}


@pytest.mark.parametrize("name", ["__class__", "__reduce_ex__", "__del__", "_gather_saveables_for_checkpoint"])
def test_children_that_would_replace_parts_of_python_objects_are_refused(model, name):
    model.root_children = [(name, 3)]
    assert errors(model.write()) == {"objects.child-name"}


def test_a_child_that_does_not_exist_is_refused(model):
    model.root_children = [("lost", 1_000_000)]
    assert errors(model.write()) == {"objects.dangling"}


@pytest.mark.parametrize("filename", ["../../etc/passwd", "/etc/passwd", "gs://bucket/x", "a\\b", "", "a//b"])
def test_assets_outside_their_folder_are_not_safe(model, write, filename):
    model.assets = [write.message((1, write.tensor_info("asset:0", 7)), (2, filename))]
    assert errors(model.write()) == {"assets.path"}


def test_a_table_that_reads_a_constant_path_is_not_safe(model, write):
    path = write.message((8, write.message((1, 7), (8, "/etc/passwd"))))
    model.nodes = [
        write.node("path", "Const", [], value=path),
        write.node("table", "HashTableV2"),
        write.node("init", "InitializeTableFromTextFileV2", ["table", "path"]),
    ]
    assert errors(model.write()) == {"ops.table-file"}


def _table_in_an_initializer(model, write):
    """A table whose file name comes, through an identity, from the one argument of its initializer."""
    inner = write.node("i", "InitializeTableFromTextFileV2", ["t", "same:output:0"])
    same = write.node("same", "Identity", ["file"])
    model.functions = [write.function("extra0", [same, inner, write.node("t", "HashTableV2")], ["file"])]
    model.objects = [
        write.saved_object(10, b"", [("_initialize", 5)]),
        write.saved_object(6, write.message((1, "extra0"))),
        write.saved_object(5, write.message((1, 0))),
    ]
    model.assets = [write.message((1, write.tensor_info("path:0", 7)), (2, "words.txt"))]
    (model.root / "assets").mkdir(parents=True)
    (model.root / "assets/words.txt").write_text("a")


def test_a_table_that_reads_a_captured_asset_is_safe(model, write):
    _table_in_an_initializer(model, write)
    model.captures = {"extra0": [6]}
    assert errors(model.write()) == set()


def test_a_table_whose_file_the_caller_names_is_not_safe(model, write):
    _table_in_an_initializer(model, write)
    assert errors(model.write()) == {"ops.table-file"}


def test_a_table_that_captures_something_else_than_an_asset_is_not_safe(model, write):
    _table_in_an_initializer(model, write)
    model.captures = {"extra0": [3]}
    assert errors(model.write()) == {"ops.table-file"}


def test_a_signature_that_is_another_than_signature_def_claims_is_refused(model, write):
    model.claimed_input = write.tensor_info("serving_default_x:0", 3, -1)
    assert errors(model.write()) == {"signature.contradiction"}


def test_a_shape_that_cannot_be_the_functions_is_refused(model, write):
    model.claimed_input = write.tensor_info("serving_default_x:0", 1, 2, 3)
    assert errors(model.write()) == {"signature.contradiction"}


def test_two_meta_graphs_of_a_tensorflow_2_model_are_refused(model):
    model.meta_graphs = 2
    assert "graph.ambiguous" in errors(model.write())


def test_a_graph_from_the_future_is_refused(model, write):
    model.versions = write.message((2, limits.GRAPH_VERSION + 1))
    assert errors(model.write()) == {"graph.future"}


@pytest.mark.parametrize(
    ("raw", "rule"),
    [(b"", "graph.no-meta-graph"), (b"\x12" * 100, "graph.malformed"), (b"\x12\x00", "signature.none")],
    ids=["empty", "random", "empty meta graph"],
)
def test_a_broken_graph_is_a_finding(copy_of, raw, rule):
    root = copy_of("trunk")
    (root / "saved_model.pb").write_bytes(raw)
    assert rule in errors(root)


def test_twenty_megabytes_of_empty_nodes_are_refused_without_building_them(model, write):
    root = model.write()
    graph = b"\x0a\x00" * 10_000_000
    (root / "saved_model.pb").write_bytes(write.message((2, write.message((2, graph)))))
    assert errors(root) == {"graph.malformed"}


def test_every_error_names_a_rule_of_the_table(model, write):
    model.body += [write.node("a", "ReadFile"), write.node("b", "NoSuchOp")]
    assert all(found.rule in RULES for found in inspect(model.write()).report.findings)
