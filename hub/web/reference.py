"""The page that describes the REST API, drawn from the description that the API gives of itself.

Law: nothing of it is written twice; what the API learns is on the page.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from hub.protocol import paths
from hub.web.shell import render
from hub.web.visits import Visit

_Json = Mapping[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")
_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of an operation, or a field of a body."""

    name: str
    type: str
    is_required: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """Something the API does."""

    method: str
    path: str
    note: str
    parameters: tuple[Field, ...]
    takes: str
    gives: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """Names it in the page's address."""
        return f"{self.method.lower()}{self.path.replace('{', '').replace('}', '').replace('/', '-')}"


@dataclass(frozen=True, slots=True)
class Body:
    """A class of bodies."""

    name: str
    note: str
    fields: tuple[Field, ...]


def show_reference(visit: Visit) -> Response:
    """The whole API on one page."""
    described: _Json = visit.request.app.openapi()
    found = bodies(described)
    facts = {"groups": operations(described), "bodies": found, "names": {body.name for body in found}}
    return render(visit.request, "reference.html", api=paths.OPENAPI, **facts)


def operations(described: _Json) -> dict[str, list[Operation]]:
    """Every operation of an OpenAPI document, by the first of its tags."""
    groups: dict[str, list[Operation]] = defaultdict(list)
    for path, item in described["paths"].items():
        for method in _METHODS:
            if method in item:
                groups[next(iter(item[method].get("tags", ())), "other")].append(_operation(method, path, item[method]))
    return groups


def bodies(described: _Json) -> list[Body]:
    """Every class of bodies, by name."""
    found = described.get("components", {}).get("schemas", {})
    return [Body(name, schema.get("description", ""), tuple(_fields(schema))) for name, schema in sorted(found.items())]


def _operation(method: str, path: str, item: _Json) -> Operation:
    parameters = tuple(
        Field(one["name"], type_text(one["schema"]), one.get("required", False), one.get("description", ""))
        for one in item.get("parameters", ())
    )
    gives = tuple(
        (status, _content(answer) or answer.get("description", ""))
        for status, answer in item.get("responses", {}).items()
        if status not in ("default", "422")
    )
    takes = _content(item.get("requestBody", {}))
    return Operation(
        method.upper(), path, item.get("description", "") or item.get("summary", ""), parameters, takes, gives
    )


def _content(body: _Json) -> str:
    content = body.get("content", {})
    return next((type_text(each.get("schema", {})) for each in content.values()), "")


def _fields(schema: _Json) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield Field(name, type_text(field), name in required, field.get("description", ""))


def type_text(schema: _Json) -> str:
    """A JSON schema in a few words: ``string``, ``array of Version``, ``integer or null``."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        words = [str(word) for word in schema.get("enum", [schema.get("const")])]
        return " | ".join(words[:_MOST_WORDS])
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return " or ".join(type_text(each) for each in schema[choice])
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        inner = schema.get("items") or {"type": "anything"}
        return f"array of {type_text(inner)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_text(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind
