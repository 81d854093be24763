"""TensorFlow's errors as the hub's: one sentence, without paths of this machine.

Laws: what ``scrub`` returns holds no absolute path with two or more parts. What an error says that names a place
outside the version is not passed on at all, because the rest of it may be what is there: such an error is told by its
kind, and the log of who runs the hub has the text.
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
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (tf.errors.PermissionDeniedError, "Permission denied: it reached for a file or an address that it may not have"),
    (tf.errors.NotFoundError, "It looked for a file that is not there"),
    (tf.errors.UnavailableError, "It wanted to reach something over a network"),
    (tf.errors.ResourceExhaustedError, "It needs more memory than it may have"),
)
_AT_FAULT = (
    tf.errors.UnimplementedError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.PermissionDeniedError,
    tf.errors.InternalError,
)


def scrub(text: str) -> str:
    """``text`` without paths of this machine."""
    return _PATH.sub("<path>", text)


def describe(error: BaseException, root: Path | None = None) -> str:
    """The first sentence of an error that says something; paths below ``root`` become relative to it."""
    if isinstance(error, HubError):
        return error.detail
    lines = [line.strip() for line in _FUNCTION_NODE.sub("", str(error)).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_NOISE)]
    said = telling[0] if telling else ""
    if root is not None:
        said = said.replace(f"{root}/", "").replace(str(root), ".")
    text = (said if scrub(said) == said else _kind(error)).rstrip(". ")
    name = type(error).__name__
    return f"{name}: {text}"[:_MAX_CHARS] if text else name


def _kind(error: BaseException) -> str:
    return next((said for kind, said in _KINDS if isinstance(error, kind)), "")


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
