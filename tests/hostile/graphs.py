"""Kinds that confuse whoever reads the graph: damaged, doubled, from the future, or in a second format."""

import random

from hub.savedmodel import limits
from tests.hostile.corpus import Case, refused
from tests.support.savedmodel_writer import message, node

_TEXT = 'saved_model_schema_version: 1\nmeta_graphs { graph_def { node { name: "r" op: "ReadFile" } } }\n'


def _replace_graph(case: Case, raw: bytes) -> None:
    case.write()
    (case.root / "saved_model.pb").write_bytes(raw)


@refused("graph.malformed", "saved_model.pb")
def random_bytes_pb(case: Case) -> None:
    """The graph is random bytes."""
    _replace_graph(case, random.Random(1).randbytes(4096))


@refused("graph.no-meta-graph", "no meta graph")
def empty_pb(case: Case) -> None:
    """The graph is empty, which is a well-formed message."""
    _replace_graph(case, b"")


@refused("graph.malformed", "cut off")
def truncated_pb(case: Case) -> None:
    """The graph is cut in the middle."""
    raw = (case.write() / "saved_model.pb").read_bytes()
    _replace_graph(case, raw[: len(raw) // 2])


@refused("graph.malformed", "saved_model.pb")
def proto_deep_nesting(case: Case) -> None:
    """A message inside a message, ten thousand deep, as the argument of a function."""
    value = b""
    for _ in range(10_000):
        value = message((10, message((2, message((1, "k"), (2, value))))))
    case.model.body.append(node("deep", "Identity", ["x"], f=value))


@refused("layout.text-format", "saved_model.pbtxt")
def two_formats(case: Case) -> None:
    """A good graph lies beside an evil one in text form: who reads which?"""
    (case.write() / "saved_model.pbtxt").write_text(_TEXT)


@refused("layout.text-format", "saved_model.pbtxt")
def pbtxt_only_evil(case: Case) -> None:
    """There is only a graph in text form."""
    (case.write() / "saved_model.pbtxt").write_text(_TEXT)
    (case.root / "saved_model.pb").unlink()


@refused("layout.text-format", "saved_model.cpb")
def cpb_beside(case: Case) -> None:
    """A good graph lies beside one in TensorFlow's form for graphs of many gigabytes."""
    (case.write() / "saved_model.cpb").write_bytes(b"\x0a\x00")


@refused("graph.ambiguous", "meta graph [serve]")
def two_metagraphs(case: Case) -> None:
    """There is a second meta graph, which makes TensorFlow take another loader."""
    case.model.meta_graphs = 2


@refused("ops.unknown", "NoSuchOpAnywhere")
def unknown_op(case: Case) -> None:
    """An op that no TensorFlow has: its library would have to be loaded."""
    case.model.body.append(node("u", "NoSuchOpAnywhere", ["x"]))


@refused("graph.future", str(limits.GRAPH_VERSION))
def future_producer(case: Case) -> None:
    """The graph asks for a TensorFlow of the far future."""
    case.model.versions = message((1, 99_999), (2, 99_999))


@refused("graph.dangling", "lost")
def missing_node(case: Case) -> None:
    """A node takes what no node makes."""
    case.model.nodes.append(node("n", "Identity", ["lost:0"]))


@refused("graph.dangling", "nowhere")
def missing_function(case: Case) -> None:
    """A node calls a function that is not there."""
    case.model.body.append(case.call("nowhere"))


@refused("graph.malformed", "two nodes are called")
def two_nodes_of_one_name(case: Case) -> None:
    """Two nodes have one name: which one does a signature run?"""
    case.model.nodes += [node("same", "NoOp"), node("same", "Abort")]


@refused("graph.malformed", "two functions are called")
def two_functions_of_one_name(case: Case) -> None:
    """Two functions have one name: which one does a signature call?"""
    case.add_function(node("n", "NoOp"))
    case.model.functions.append(case.model.functions[0])
