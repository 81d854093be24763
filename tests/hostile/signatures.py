"""Kinds that say one thing and do another: signatures and names."""

from tests.hostile.corpus import Case, refused, warned
from tests.support.savedmodel_writer import (
    message,
    node,
    saved_object,
    structure_dict,
    structure_tuple,
    tensor_info,
)


@refused("signature.contradiction", "int32", "float32", "signature serving_default")
def sig_dtype_mismatch(case: Case) -> None:
    """signature_def says that an input is an integer, the function takes a float."""
    case.model.claimed_input = tensor_info("serving_default_x:0", 3, -1)


@refused("signature.contradiction", "output y", "signature serving_default")
def sig_shape_lie(case: Case) -> None:
    """signature_def says that an output has another rank than the function's."""
    case.model.claimed_output = tensor_info("call:0", 1, 1, 1)


@refused("ops.denied", "ReadFile", "signature hidden")
def sig_hidden(case: Case) -> None:
    """A signature that reads files is in the object graph alone: what shows signature_def does not show it."""
    evil = case.add_callable(case.add_function(node("r", "ReadFile", ["x"])))
    case.model.signature_children.append(("hidden", evil))


@refused("ops.denied", "ReadFile", "node evil")
def sig_for_other_servers(case: Case) -> None:
    """A signature that reads files is in signature_def alone: this hub does not serve it, TensorFlow Serving does."""
    case.model.nodes.append(node("evil", "ReadFile", ["serving_default_x"]))
    outputs = message((2, message((1, "y"), (2, tensor_info("evil:0", 7)))))
    case.model.more_fields.append((5, message((1, "other"), (2, outputs))))


@warned("signature.set-differs", "hidden")
def sig_hidden_harmless(case: Case) -> None:
    """A signature is in the object graph alone, and does nothing bad: real exporters write such models."""
    same = case.add_callable(case.add_function(node("y", "Identity", ["x"])))
    case.model.signature_children.append(("hidden", same))


@warned("signature.name", "<script>")
def sig_xss_names(case: Case) -> None:
    """The name of a signature is a piece of HTML: whoever shows it escapes it, as everything from a model."""
    same = case.add_callable(case.add_function(node("y", "Identity", ["x"])))
    case.model.signature_children.append(("<script>alert(1)</script>", same))


@refused("signature.none", "nested more than 48 levels")
def deep_structured_value(case: Case) -> None:
    """The argument of the only signature is nested deeper than parsers go."""
    value = structure_dict(x=b"")
    for _ in range(200):
        value = structure_tuple(value)
    case.model.arguments = structure_tuple(structure_tuple(), structure_dict(x=value))


@refused("objects.dangling", "child lost")
def node_id_out_of_range(case: Case) -> None:
    """An object holds one that does not exist."""
    case.model.root_children.append(("lost", 1_000_000))


@refused("objects.dangling", "capture of function f")
def capture_out_of_range(case: Case) -> None:
    """A function captures an object that does not exist."""
    case.model.captures["f"] = [1_000_000]


@refused("objects.dangling", "function nowhere")
def function_that_is_not_there(case: Case) -> None:
    """An object is a function that the library does not have."""
    case.model.root_children.append(("held", case.add_object(saved_object(6, message((1, "nowhere"))))))
