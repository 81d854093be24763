"""Reporting: how a child process logs. One JSON object per line on stderr, which the engine logs as its own."""

import sys

import orjson
import structlog


def report_to_engine() -> None:
    """Have structlog write for the engine that started this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(lambda event, **_: orjson.dumps(event, default=repr).decode()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
