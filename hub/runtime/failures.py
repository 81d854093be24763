"""TensorFlow's errors as the hub's: one sentence, without paths of this machine.

Law: what ``scrub`` returns holds no absolute path with two or more parts.
"""

import re
from pathlib import Path

import tensorflow as tf

from hub.domain.errors import HubError, ModelFailed

_MAX_CHARS = 400
_PATH = re.compile(r"(?<![\w.>/])(?:file://)?/(?:[^\s/:;,'\"(){}\[\]]+/)+[^\s/:;,'\"(){}\[\]]*")
_FUNCTION_NODE = re.compile(r"\{\{function_node \S+\}\}\s*")
_NOISE = ("Graph execution error", "Detected at node", "<stack traces unavailable>", "[[{{node", "Node: ", "File ")
_CANNOT_RUN = (
    re.compile(r"No OpKernel|no kernel|OpKernel .*not registered|No registered '", re.IGNORECASE),
    re.compile(r"Op type not registered"),
    re.compile(r"has a reference type"),
    re.compile(r"You must feed a value for placeholder"),
)
_AT_FAULT = (
    tf.errors.UnimplementedError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.InternalError,
)


def scrub(text: str, root: Path | None = None) -> str:
    """``text`` without paths of this machine; those below ``root`` become relative to it."""
    if root is not None:
        text = text.replace(f"{root}/", "").replace(str(root), ".")
    return _PATH.sub("<path>", text)


def describe(error: BaseException, root: Path | None = None) -> str:
    """The first sentence of an error that says something, without paths."""
    if isinstance(error, HubError):
        return error.detail
    lines = [line.strip() for line in _FUNCTION_NODE.sub("", str(error)).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_NOISE)]
    text = scrub(telling[0] if telling else "", root).rstrip(". ")
    name = type(error).__name__
    return f"{name}: {text}"[:_MAX_CHARS] if text else name


def cannot_run(error: BaseException) -> bool:
    """Whether a call failed whatever it was given: a kernel is missing, or a variable, or the graph is at fault.

    ``InvalidArgumentError`` and Python's ``ValueError`` and ``TypeError`` mean that these inputs were not liked.
    """
    if isinstance(error, tf.errors.OpError):
        return isinstance(error, _AT_FAULT) or any(rule.search(str(error)) for rule in _CANNOT_RUN)
    return not isinstance(error, HubError | ValueError | TypeError)


def model_failed(error: Exception, signature: str, root: Path | None = None) -> HubError:
    """The error to answer with when a call raised ``error``; the hub's own errors stay as they are."""
    if isinstance(error, HubError):
        return error
    return ModelFailed(f"Signature {signature!r} failed: {describe(error, root)}.", signature=signature)
