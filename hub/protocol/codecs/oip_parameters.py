"""Parameters of the Open Inference Protocol: what a request, an input or an output says beyond the protocol.

Source: Triton "Schedule Policy Extension", "Parameters Extension".
"""

from collections.abc import Mapping
from typing import Any

from hub.domain.errors import InvalidRequest

_DEFAULT_PRIORITY, _MAX_PRIORITY = 2, 100


def parameters_of(holder: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The parameters of a request, an input or an output, which errors call ``what``.

    Raises:
        InvalidRequest: They are no object.
    """
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequest(f"'parameters' of {what} is not an object.")
    return parameters


def text_of(holder: Mapping[str, Any], key: str) -> str | None:
    """A text; None where there is none, or an empty one.

    Raises:
        InvalidRequest: It is something else.
    """
    value = holder.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{key!r} is not a string.")
    return value or None


def flag_of(parameters: Mapping[str, Any], key: str, what: str) -> bool | None:
    """A parameter of ``what`` that is true or false; None where it is not there.

    Raises:
        InvalidRequest: It is something else.
    """
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{key!r} of {what} is not true or false.")
    return value


def priority_of(parameters: Mapping[str, Any]) -> int:
    """The parameter ``priority``: 1 goes before everybody else's; 2 is meant by 0 and by none; higher ones go after.

    Raises:
        InvalidRequest: It is no such number.
    """
    priority = _number(parameters, "priority", _MAX_PRIORITY)
    return priority - _DEFAULT_PRIORITY if priority else 0


def timeout_of(parameters: Mapping[str, Any]) -> float | None:
    """The parameter ``timeout``, which is in microseconds, in seconds; None where there is none, or 0.

    Raises:
        InvalidRequest: It is no number.
    """
    timeout_us = _number(parameters, "timeout", 1 << 62)
    return timeout_us / 1e6 if timeout_us else None


def _number(parameters: Mapping[str, Any], key: str, most: int) -> int:
    value = parameters.get(key) or 0
    if type(value) is not int or not 0 <= value <= most:
        raise InvalidRequest(f"The parameter {key!r} is {str(value)[:40]!r}.", remedy=f"Send a number up to {most}.")
    return value
