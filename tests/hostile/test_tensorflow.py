"""What the scan knows of TensorFlow is so in the installed one: its ops, and what its loader sets and calls."""

import json
import subprocess
import sys

import pytest

from hub.savedmodel.graph_rules import LOADER_INTERNALS, RESOURCE_FUNCTIONS
from hub.savedmodel.op_policy import REASONS, policies
from hub.savedmodel.ops import FILE_ATTRIBUTES, JAX_MODULE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_ASK = """
import json
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.trackable import autotrackable, resource
ops = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
print(json.dumps({
    "ops": {op.name: {attr.name: attr.type for attr in op.attr} for op in ops.op},
    "inputs": {op.name: [arg.name for arg in op.input_arg] for op in ops.op},
    "attributes": sorted({*dir(autotrackable.AutoTrackable), *dir(resource.RestoredResource)}),
}))
"""
_PATHS = {"file", "files", "filename", "filenames", "path", "paths", "prefix", "dir", "directory", "region"}
_PLACES = {"url", "urls", "stream", "address", "addresses", "hostport", "server", "target", "descriptor", "token"}


@pytest.fixture(scope="module")
def tensorflow() -> dict:
    """What TensorFlow says of itself, asked in a process of its own."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=240, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_every_op_of_tensorflow_is_classified_and_no_other(tensorflow: dict) -> None:
    assert policies().keys() == tensorflow["ops"].keys()


def test_every_op_that_is_not_plainly_allowed_has_a_reason_in_the_table() -> None:
    groups = {op: policy.group for op, policy in policies().items() if policy.permission != "allow"}
    assert {group for group in groups.values() if group not in REASONS} == {"checkpoint", "asset"}


def test_every_guarded_op_has_an_attribute_that_is_checked(tensorflow: dict) -> None:
    guarded = {op for op, policy in policies().items() if policy.permission == "guarded"}
    checked = FILE_ATTRIBUTES | {JAX_MODULE: "module"}
    assert guarded == checked.keys()
    assert [op for op, attr in checked.items() if attr not in tensorflow["ops"][op]] == []


def test_no_allowed_op_takes_a_path(tensorflow: dict) -> None:
    """By the names of attributes and inputs: whoever adds an op that is named so has to look at it."""
    named = {
        f"{op}.{name}"
        for op, policy in policies().items()
        if policy.permission == "allow"
        for name in [*_texts(tensorflow["ops"][op]), *tensorflow["inputs"][op]]
        if not (_PATHS | _PLACES).isdisjoint(name.split("_"))
    }
    assert named == set()


def _texts(attributes: dict[str, str]) -> list[str]:
    return [name for name, kind in attributes.items() if kind in ("string", "list(string)")]


def test_no_child_may_take_the_place_of_what_the_loader_calls(tensorflow: dict) -> None:
    private = {name for name in tensorflow["attributes"] if name.startswith("_") and not name.startswith("__")}
    assert private - {*RESOURCE_FUNCTIONS} <= LOADER_INTERNALS
