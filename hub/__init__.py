"""Trunk Hub: share, serve and reuse trained TensorFlow networks.

The few names most programs need; everything heavier is loaded when it is first used.

Law: ``import hub`` loads the standard library and ``hub.domain.errors``, nothing else.
"""

from importlib import import_module
from typing import Any

from hub.domain import errors

__all__ = ["Client", "__version__", "errors", "finetune", "pull", "push", "trunk"]

_LAZY = {
    "Client": ("hub.client.client", "Client"),
    "pull": ("hub.client.pull", "pull"),
    "push": ("hub.client.push", "push"),
    "trunk": ("hub.finetune.trunk", "load_trunk"),
}
_NEEDS_TENSORFLOW = frozenset({"trunk", "finetune"})


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name == "__version__":
        return import_module("importlib.metadata").version("trunkhub")
    if name in _NEEDS_TENSORFLOW:
        _require_tensorflow(name)
    if name == "finetune":
        return import_module("hub.finetune")
    if name not in _LAZY:
        raise AttributeError(f"module 'hub' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)


def _require_tensorflow(name: str) -> None:
    for package in ("tensorflow", "keras"):
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            raise errors.ExtraMissing(
                f"hub.{name} needs {package}, which is not installed.",
                remedy='Install it with: pip install "trunkhub[finetune]"',
                package=package,
            ) from error
