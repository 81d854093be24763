"""Kinds that are written so that two readers see two models: TensorFlow sees the payload, a careless scan does not.

All are well-formed Protocol Buffers that no writer makes.
"""

from tests.hostile.corpus import Case, refused
from tests.support.savedmodel_writer import call_attr, function, message, node, text_attr

_NUMBER = message((3, 1))
"""An attribute's value as an integer: only the last kind of value that is set counts."""


def _evil(case: Case) -> bytes:
    """The value of an attribute that calls a function which reads a file."""
    return call_attr(case.add_function(node("r", "ReadFile", ["x"])))


def _call(attribute: bytes) -> bytes:
    return message((1, "c"), (2, "PartitionedCall"), (3, "x"), (5, attribute))


@refused("ops.denied", "ReadFile", "f → extra0")
def call_behind_a_number(case: Case) -> None:
    """The function that is called is behind an integer that it replaces."""
    case.model.body.append(_call(message((1, "f"), (2, _NUMBER + _evil(case)))))


@refused("ops.denied", "ReadFile", "f → extra0")
def call_by_a_long_tag(case: Case) -> None:
    """The tag of the function that is called is written with one byte more than it needs."""
    value = _evil(case)
    assert value[0] == 0x52
    case.model.body.append(_call(message((1, "f"), (2, b"\xd2\x00" + value[1:]))))


@refused("ops.denied", "ReadFile", "f → extra0")
def call_behind_a_long_size(case: Case) -> None:
    """The size of the value has one byte more than it needs, so that its first byte looks like the size of all."""
    value = _evil(case)
    rest = message((15, b"\0" * 125))
    assert len(rest) == 127
    case.model.body.append(_call(message((1, "f")) + bytes([0x12, 0x80 | len(value), 0]) + value + rest))


@refused("graph.malformed", "appears twice")
def call_in_the_first_of_two(case: Case) -> None:
    """A value is written twice: Protocol Buffers merges both, and the first one calls the function."""
    case.model.body.append(_call(message((1, "f"), (2, _evil(case)), (2, b""))))


@refused("graph.malformed", "appears twice")
def signature_in_two_parts(case: Case) -> None:
    """A signature is written twice in one entry: the first has the outputs that run what is evil."""
    case.model.nodes.append(node("evil", "ReadFile", ["serving_default_x"]))
    evil = message((2, message((1, "y"), (2, message((1, "evil:0"), (2, 1))))))
    case.model.more_fields.append((5, message((1, "other"), (2, evil), (2, b""))))


@refused("ops.denied", "ReadFile", "serving_default → f")
def function_called_as_an_op(case: Case) -> None:
    """A harmless function has the name of an op that reads files: which of both runs?"""
    case.model.functions.append(function("ReadFile", [node("same", "Identity", ["x"])], ["x"]))
    case.model.body.append(node("r", "ReadFile", ["x"]))


@refused("ops.denied", "ReadFile", "f → Harmless")
def op_called_as_a_function(case: Case) -> None:
    """A node has the name of a function as its op, and that function reads files."""
    case.model.functions.append(function("Harmless", [node("r", "ReadFile", ["x"])], ["x"]))
    case.model.body.append(node("h", "Harmless", ["x"]))


@refused("ops.file-attribute", "PrintV2", "output_stream", "function Prints")
def file_attribute_from_the_caller(case: Case) -> None:
    """An attribute that names a file has no value of its own: it takes one of the node that calls the function."""
    taken = message((9, "stream"))
    case.model.functions.append(function("Prints", [node("p", "PrintV2", ["x"], output_stream=taken)], ["x"]))
    case.model.body.append(node("h", "Prints", ["x"], stream=text_attr(f"file://{case.proof}/printed")))


@refused("ops.file-attribute", "PrintV2", "output_stream", "function f")
def file_attribute_twice(case: Case) -> None:
    """A harmless value of an attribute comes first, the one that counts after it."""
    evil = message((1, "output_stream"), (2, text_attr(f"file://{case.proof}/printed")))
    first = message((1, "output_stream"), (2, text_attr("stderr")))
    case.model.body.append(message((1, "p"), (2, "PrintV2"), (3, "x"), (5, first), (5, evil)))


@refused("ops.denied", "ReadFile", "f → extra0")
def call_bound_to_a_function(case: Case) -> None:
    """A function that reads files is an attribute of the attribute that names a harmless one."""
    evil = message((1, "inner"), (2, _evil(case)))
    bound = message((10, message((1, "f0"), (2, evil))))
    case.model.functions.append(function("f0", [node("same", "Identity", ["x"])], ["x"]))
    case.model.body.append(node("c", "PartitionedCall", ["x"], f=bound))


@refused("ops.denied", "ReadFile", "serving_default → f")
def op_written_twice(case: Case) -> None:
    """A node's op is written twice; the last one counts."""
    case.model.body.append(message((1, "n"), (2, "Identity"), (2, "ReadFile"), (3, "x")))


@refused("ops.denied", "ReadFile", "node evil")
def by_a_control_input(case: Case) -> None:
    """The op that reads a file gives nothing to anybody: what a signature fetches only waits for it."""
    case.model.nodes.append(node("evil", "ReadFile", ["serving_default_x"]))
    case.model.call_inputs.append("^evil")
