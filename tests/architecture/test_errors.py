"""Every error has a name on the wire, a status and a way back."""

import inspect

import pytest

from hub.domain import errors
from hub.protocol.problems import from_problem, to_problem

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.HubError) and kind is not errors.HubError
]


def test_codes_are_unique():
    assert len({kind.code for kind in CLASSES}) == len(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_is_drawn_in_the_tree(kind: type[errors.HubError]):
    is_ours_alone = issubclass(kind, errors.ClientSide)
    assert is_ours_alone or 400 <= kind.status < 600
    assert is_ours_alone or kind.status != 500
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_problem_read_back_is_the_same_error(kind: type[errors.HubError]):
    sent = kind("acme/x@3 is a thing.", remedy="Do that.", tensor="x", count=3)
    problem = to_problem(sent, request_id="r1")
    read = from_problem(problem["status"], problem)
    assert type(read) is kind
    assert (read.detail, read.remedy, read.facts) == (sent.detail, sent.remedy, sent.facts)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, errors.NotFound), (503, errors.NotAvailable), (418, errors.HubError)]
)
def test_a_foreign_answer_becomes_the_error_of_its_status(status: int, kind: type[errors.HubError]):
    assert type(from_problem(status, None)) is kind
