"""Kinds that do it before anybody calls them: when they are loaded, restored or trained on."""

import shutil

from hub.savedmodel import wire
from tests.hostile.corpus import Case, limited, refused
from tests.support.savedmodel_writer import (
    FIXTURES,
    message,
    node,
    saved_object,
    text_const,
)


def _write_file(case: Case) -> str:
    return case.add_function(text_const("path", f"{case.proof}/written"), node("w", "WriteFile", ["path", "path"]))


def _resource(case: Case, **held: str) -> None:
    """A resource with these functions, held by the root."""
    children = [(name, case.add_callable(function)) for name, function in held.items()]
    case.model.root_children.append(("table", case.add_object(saved_object(10, b"", children))))


@refused("ops.denied", "ReadFile", "gradient", "extra0")
def grad_readfile(case: Case) -> None:
    """A file is read in a custom gradient only: nobody sees it before somebody trains."""
    case.model.gradients.append(case.add_function(node("r", "ReadFile", ["x"])))


@refused("ops.denied", "WriteFile", "initializer → extra0")
def load_write_initializer(case: Case) -> None:
    """A file is written when a resource is initialised, which loading does."""
    _resource(case, _initialize=_write_file(case))


@refused("ops.denied", "WriteFile", "initializer → extra0")
def load_write_create(case: Case) -> None:
    """A file is written when a resource is made, which loading does."""
    _resource(case, _create_resource=_write_file(case))


@refused("ops.denied", "WriteFile", "initializer → extra0")
def load_write_destroy(case: Case) -> None:
    """A file is written when a resource is dropped."""
    _resource(case, _destroy_resource=_write_file(case))


@limited("The probe loads in a process of its own, which ends at a deadline.")
def load_hang_initializer(case: Case) -> None:
    """A loop without an end when a resource is initialised: loading never returns."""
    for_ever = case.add_function(node("true", "Const"))
    body = case.add_function(node("same", "Identity", ["x"]))
    _resource(
        case, _initialize=case.add_function(case.call(for_ever, "While", "cond"), case.call(body, "While", "body"))
    )


@refused("ops.denied", "WriteFile", "saver → extra0")
def load_write_restorefn(case: Case) -> None:
    """A file is written by an object's own restore function."""
    number = case.add_callable(_write_file(case))
    saveable = message((1, "v"), (2, message((2, number), (3, number))))
    case.model.root_children.append(("kept", case.add_object(message((11, saveable), (4, b"")))))


@refused("ops.denied", "WriteFile", "node evil")
def load_tf1_init_op(case: Case) -> None:
    """A TensorFlow 1 model whose main operation writes a file: loading runs it."""
    shutil.copytree(FIXTURES / "session", case.root)
    case.is_written = True
    path = case.root / "saved_model.pb"
    evil = message((1, text_const("path", f"{case.proof}/written")), (1, node("evil", "WriteFile", ["path", "path"])))
    init = message((1, "saved_model_main_op"), (2, message((1, message((1, "evil"))))))
    path.write_bytes(_appended(path.read_bytes(), message((4, init)), graph=evil))


def _appended(saved_model: bytes, meta_graph: bytes, graph: bytes) -> bytes:
    """A saved model with fields behind those of its meta graph and of its graph."""
    out = b""
    for tag, value, chunk in wire.fields(memoryview(saved_model)):
        if tag != 0x12:
            out += message((tag >> 3, value))
            continue
        inner = b""
        for number, held, part in wire.fields(chunk):
            added = graph if number == 0x12 else b""
            inner += message((number >> 3, bytes(part) + added)) if number & 7 == 2 else message((number >> 3, held))
        out += message((2, inner + meta_graph))
    return out


# What the loader calls by a name: an object that holds a function under it has that function run when it is loaded.


@refused("objects.child-name", "__class__")
def dunder_children(case: Case) -> None:
    """Children that become attributes of Python objects: __class__, __call__, _call_flat, __del__."""
    for name in ("__class__", "__call__", "_call_flat", "__del__"):
        case.model.root_children.append((name, 2))


@refused("objects.child-name", "__reduce_ex__")
def dunder_getattr(case: Case) -> None:
    """Children that take the place of methods that the loader calls."""
    for name in ("__reduce_ex__", "_gather_saveables_for_checkpoint"):
        case.model.root_children.append((name, 2))


@refused("objects.child-name", "_maybe_initialize_trackable")
def load_write_by_method_name(case: Case) -> None:
    """A function under the name of a method that restoring calls on every object: it writes when it is loaded."""
    case.model.root_children.append(("_maybe_initialize_trackable", case.add_callable(_write_file(case))))


@refused("objects.child-name", "_trackable_children")
def load_write_by_children_name(case: Case) -> None:
    """A function under the name of the method that lists what an object holds."""
    case.model.root_children.append(("_trackable_children", case.add_callable(_write_file(case))))


@refused("objects.child-name", "_call_flat")
def call_by_method_name(case: Case) -> None:
    """A function that holds another one in the place of how it is called."""
    evil = case.add_callable(_write_file(case))
    holder = case.add_object(saved_object(6, message((1, "f")), [("_call_flat", evil)]))
    case.model.root_children.append(("held", holder))


@refused("objects.child-name", "assign")
def load_write_by_assign(case: Case) -> None:
    """A variable that holds a function in the place of how it is assigned to."""
    evil = case.add_callable(_write_file(case))
    case.model.variable_children.append(("assign", evil))
