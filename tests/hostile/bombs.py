"""Kinds that are small and become large: when they are parsed, inlined, allocated, compiled or answered.

What a scan can count it refuses. What grows only by running cannot be told from a good model: those are held by the
limits of the process that runs them (memory, a deadline, the size of answers), and are here so that the scan is known
to end on them.
"""

from tests.hostile.corpus import Case, limited, refused
from tests.support.savedmodel_writer import call_attr, message, node, number_const, shape, text_const

_MEMORY = "The process that runs it has a limit of memory, and is replaced."
_DEADLINE = "Every call has a deadline, and a process that does not keep it is replaced."
_ANSWER = "The size of an answer has a limit."


@limited(_DEADLINE)
def call_infinite_loop(case: Case) -> None:
    """A loop that never ends."""
    true = case.add_function(node("true", "Const"))
    body = case.add_function(node("same", "Identity", ["x"]))
    case.model.body.append(node("w", "While", ["x"], cond=call_attr(true), body=call_attr(body)))


@limited(_MEMORY)
def call_alloc_100gb(case: Case) -> None:
    """One allocation of a hundred gigabytes."""
    case.model.body += [number_const("zero"), node("big", "Fill", ["x", "zero"])]


@limited(_ANSWER)
def call_output_amplify(case: Case) -> None:
    """A request of four bytes is answered with gigabytes."""
    case.model.body.append(node("wide", "BroadcastTo", ["x", "x"]))


@limited(_ANSWER)
def call_output_from_input_value(case: Case) -> None:
    """The caller's number is the size of the answer."""
    case.model.body += [number_const("zero"), node("big", "Fill", ["x", "zero"])]


@limited(_MEMORY)
def call_string_bomb(case: Case) -> None:
    """A text that doubles forty times."""
    case.model.body.append(text_const("s0", "x" * 16))
    case.model.body += [node(f"s{at + 1}", "StringJoin", [f"s{at}", f"s{at}"]) for at in range(40)]


@limited(_DEADLINE)
def call_xla_compile_bomb(case: Case) -> None:
    """A function of thousands of ops that must be compiled for every new shape."""
    chain = [node(f"n{at + 1}", "Sin", [f"n{at}"]) for at in range(3000)]
    name = case.add_function(node("n0", "Identity", ["x"]), *chain)
    compiled = message((5, 1))
    case.model.body.append(node("c", "PartitionedCall", ["x"], f=call_attr(name), _XlaMustCompile=compiled))


@refused("graph.constant", "4,000,000,000", "node big in function f")
def const_splat_10e9(case: Case) -> None:
    """A constant of a few bytes stands for a thousand million numbers."""
    case.model.body.append(number_const("big", 10**9))


@refused("graph.constant", "of them")
def const_many_splats(case: Case) -> None:
    """A thousand constants of a few bytes, each just below what one may stand for."""
    case.model.body += [number_const(f"big{at}", 60 << 20) for at in range(1000)]


@refused("graph.constant", "node big in function f")
def const_text_splat(case: Case) -> None:
    """A constant of one text stands for a hundred million of them, which take 24 bytes each before they have any."""
    tensor = message((1, 7), (2, shape(10**8)), (8, "x"))
    case.model.body.append(node("big", "Const", [], value=message((8, tensor))))


@refused("graph.call-depth", "3,001 levels")
def deep_functions_3000(case: Case) -> None:
    """Three thousand functions, each calls the next."""
    for at in range(2999):
        case.add_function(case.call(f"extra{at + 1}"))
    case.add_function(node("n", "NoOp"))
    case.model.body.append(case.call("extra0"))


@refused("graph.recursion", "calls itself")
def recursive_function(case: Case) -> None:
    """A function that calls itself."""
    case.model.body.append(case.call("f"))


@refused("graph.recursion", "calls itself")
def recursive_by_way_of_another(case: Case) -> None:
    """Two functions that call each other."""
    case.model.body.append(case.call("extra0"))
    case.add_function(case.call("f"))


@refused("graph.expansion", "inlined")
def exponential_inline(case: Case) -> None:
    """Thirty functions, each calls the one before twice: a thousand million nodes once they are inlined."""
    case.add_function(node("n", "NoOp"))
    for at in range(30):
        twice = [node(f"c{which}", "PartitionedCall", ["x"], f=call_attr(f"extra{at}")) for which in range(2)]
        case.add_function(*twice)
    case.model.body.append(case.call("extra30"))


@refused("graph.malformed", "1,000,000 nodes")
def parse_many_nodes(case: Case) -> None:
    """Two bytes for each node: generated parsers make sixty times as much of them."""
    _graph(case, message((2, message((1, message((1, message((1, "g")))) + b"\x1a\x00" * 2_000_000)))))


@refused("graph.malformed", "inputs and attributes")
def parse_many_attributes(case: Case) -> None:
    """Two bytes for each attribute of one node."""
    _graph(case, message((1, message((1, "n"), (2, "NoOp")) + b"\x2a\x00" * 5_000_000)))


@refused("graph.malformed", "inputs and attributes")
def parse_many_inputs(case: Case) -> None:
    """Two bytes for each input of one node."""
    _graph(case, message((1, message((1, "n"), (2, "NoOp")) + b"\x1a\x00" * 5_000_000)))


@refused("graph.malformed", "calls")
def parse_many_calls(case: Case) -> None:
    """Functions that are named in lists of lists, again and again."""
    listed = message((1, message((9, message((1, "f")))) * 50_000))
    attrs = [(5, message((1, f"a{at}"), (2, listed))) for at in range(60)]
    body = message((1, message((1, "g"))), (3, message((1, "n"), (2, "NoOp"), *attrs)))
    _graph(case, message((2, message((1, body)))))


@refused("graph.malformed", "captures")
def parse_many_captures(case: Case) -> None:
    """A byte for each capture of a function."""
    trace = message((1, "f"), (2, message((2, b"\0" * 8_000_000))))
    _meta_graph(case, message((2, message()), (7, message((2, trace)))))


@refused("graph.malformed", "tags")
def parse_many_tags(case: Case) -> None:
    """Two bytes for each tag."""
    _meta_graph(case, message((1, b"\x22\x00" * 5_000_000)))


def _graph(case: Case, graph: bytes) -> None:
    _meta_graph(case, message((2, graph)))


def _meta_graph(case: Case, meta_graph: bytes) -> None:
    (case.write() / "saved_model.pb").write_bytes(message((1, 1), (2, meta_graph)))


@refused("ops.table-file", "node fill in function extra0")
def scan_long_way_to_a_file(case: Case) -> None:
    """The file of a table comes a long way through a function: who follows it from node to node takes the square."""
    chain = [node(f"n{at + 1}", "Identity", [f"n{at}:output:0"]) for at in range(10_000)]
    fill = node("fill", "InitializeTableFromTextFileV2", ["table", "n9000:output:0"])
    case.add_function(text_const("n0", str(case.canary)), *chain, fill)


@refused("graph.malformed", "than any real model has")
def scan_many_signatures(case: Case) -> None:
    """Every one of thousands of signatures runs everything."""
    ops = [node(f"n{at}", f"Op{at}") for at in range(500)]
    for _ in range(50):
        case.add_function(*ops)
    calls = [case.call(f"extra{at}") for at in range(50)]
    everything = case.add_callable(case.add_function(*calls))
    case.model.signature_children += [(f"s{at}", everything) for at in range(3_000)]
