"""Logs never carry a secret, and libraries' lines look like ours."""

import json
import logging

import pytest
import structlog

from hub.telemetry.logging import configure_logging


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("field", ["token", "admin_token", "Authorization", "secret", "cookie_value", "db_password"])
def test_a_field_that_is_named_like_a_secret_is_masked(field: str, capsys: pytest.CaptureFixture[str]):
    configure_logging("json", "info")
    structlog.get_logger().info("token.used", **{field: "trunkhub_abc", "name": "ci"})
    [line] = lines(capsys)
    assert "trunkhub_abc" not in json.dumps(line)
    assert (line["event"], line["name"], line["level"]) == ("token.used", "ci", "info")


def test_what_a_library_logs_is_json_too(capsys: pytest.CaptureFixture[str]):
    configure_logging("json", "warning")
    logging.getLogger("some.library").warning("pool is full")
    logging.getLogger("some.library").info("not shown")
    [line] = lines(capsys)
    assert (line["event"], line["level"]) == ("pool is full", "warning")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(form: str, capsys: pytest.CaptureFixture[str]):
    configure_logging(form, "info")
    remembered = " only in memory ".strip().replace(" ", "-")
    try:
        raise ValueError(f"{len(remembered)} characters")
    except ValueError:
        structlog.get_logger().exception("request.failed")
    shown = capsys.readouterr().err
    assert "14 characters" in shown
    assert "only-in-memory" not in shown
