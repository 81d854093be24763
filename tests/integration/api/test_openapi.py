"""Every operation of our own OpenAPI document, asked with what schemathesis makes up from it.

Whatever is sent, nothing is an error of the hub's own, every answer is one that the document tells of, and what is
refused is a problem. Half of it goes to things that exist: a name that is made up is hardly ever one of them.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.domain.access import Scope
from hub.protocol import paths
from hub.protocol.problems import BY_CODE, CONTENT_TYPE
from tests.integration.api.conftest import Hub, Landlord, write_saved_model

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
HARDLY_ANY_WAIT_S = 0
THERE = {
    "owner": "acme",
    "name": "trunk",
    "number": 1,
    "path": "saved_model.pb",
    "alias": "latest",
    "ref": "acme/trunk@1",
    "from": "acme/trunk@1",
    "to": "acme/trunk",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    landlord = Landlord(tmp_path_factory.mktemp("described"))
    hub = landlord.start()
    hub.admin.push("acme/trunk", {"saved_model.pb": write_saved_model()})
    yield hub
    landlord.stop()


@pytest.fixture(scope="module")
def operations(hub: Hub) -> list[APIOperation]:
    described = hub.nobody.http.get(paths.OPENAPI).json()
    schema = schemathesis.openapi.from_dict(described, config=SchemathesisConfig())
    schema.config.update(base_url=hub.url)
    return [found.ok() for found in schema.get_all_operations()]


def existing(operation: APIOperation) -> dict[str, Any]:
    """What leads to something, in an operation's path and in its query."""
    return {
        "path_parameters": {each.name: THERE[each.name] for each in operation.path_parameters if each.name in THERE},
        "query": {each.name: THERE[each.name] for each in operation.query if each.name in ("ref", "from", "to")},
    }


def wrong(case: schemathesis.Case, answer: requests.Response) -> list[str]:
    """What is wrong with an answer."""
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as failures:
        return [f"{type(each).__name__}: {each}" for each in failures.exceptions]
    if answer.status_code < 400:
        return []
    problem = answer.json() if answer.headers.get("content-type") == CONTENT_TYPE else {}
    is_ours = problem.get("code") in {*BY_CODE, "method-not-allowed"} and problem.get("status") == answer.status_code
    return [] if is_ours else [f"{answer.status_code} is no problem of ours: {answer.text[:200]}"]


def ask(hub: Hub, operation: APIOperation, session: requests.Session, examples: int, **how: Any) -> set[str]:
    """What was wrong with the answers to as many requests."""
    said: set[str] = set()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(**how))
    def asked(case: schemathesis.Case) -> None:
        if "wait_s" in (case.query or {}):
            case.query["wait_s"] = HARDLY_ANY_WAIT_S
        answer = session.send(session.prepare_request(requests.Request(**case.as_transport_kwargs(base_url=hub.url))))
        said.update(f"{operation.label}: {each}" for each in wrong(case, answer))

    with suppress(Unsatisfiable):  # nothing can be wrong with what takes nothing
        asked()
    return said


@pytest.mark.parametrize(
    ("scope", "examples"),
    [
        pytest.param(Scope.ADMIN, 2, id="few"),
        pytest.param(Scope.ADMIN, 25, id="many", marks=pytest.mark.faults),
        pytest.param(None, 25, id="nobody", marks=pytest.mark.faults),
    ],
)
@pytest.mark.timeout(600)
def test_every_operation_answers_as_it_is_described(
    hub: Hub, operations: list[APIOperation], scope: Scope | None, examples: int
) -> None:
    assert len(operations) > 40
    said: set[str] = set()
    with requests.Session() as session:
        session.headers.update(hub.caller(scope).http.headers)
        for operation in operations:
            said |= ask(hub, operation, session, examples, **existing(operation))
            said |= ask(hub, operation, session, examples)
            if operation.query or operation.body:  # of a path alone hardly anything can be made up that is wrong
                said |= ask(hub, operation, session, examples, generation_mode=GenerationMode.NEGATIVE)
    assert said == set()


def test_what_is_not_described_is_noticed(hub: Hub, operations: list[APIOperation]) -> None:
    whoami = next(each for each in operations if each.label == f"GET {paths.WHOAMI}")
    case = whoami.Case()
    good = requests.get(f"{hub.url}{paths.WHOAMI}", headers=dict(hub.admin.http.headers), timeout=30)
    assert wrong(case, good) == []
    good._content = b'{"scope": 7}'
    assert wrong(case, good)
    refused = requests.get(f"{hub.url}{paths.TOKENS}", timeout=30)
    assert wrong(case, refused) == []
    refused._content = b'{"detail": "no"}'
    assert wrong(case, refused)
    refused.status_code = 500
    assert any("ServerError" in each for each in wrong(case, refused))
