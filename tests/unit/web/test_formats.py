"""Figures for people."""

from datetime import UTC, datetime, timedelta

import pytest

from hub.web.formats import age_text, bytes_text, count_text, plural, short_digest, time_text, wait_text

NOW = datetime(2026, 11, 23, 20, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_501, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (67_108_864, "67 MB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_bytes_are_given_in_decimal_units(size: int, text: str) -> None:
    assert bytes_text(size) == text


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=40), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_an_age_is_given_in_its_largest_unit(ago: timedelta, text: str) -> None:
    assert age_text(NOW - ago, NOW) == text


def test_counts_are_grouped_and_nouns_agree() -> None:
    assert count_text(410_208) == "410,208"
    assert (plural(1, "file"), plural(0, "file"), plural(1_200, "file")) == ("1 file", "0 files", "1,200 files")


def test_the_exact_time_is_utc_whatever_the_zone() -> None:
    assert time_text(NOW) == "2026-11-23 20:13:05 UTC"


def test_a_digest_is_shortened_to_twelve_digits() -> None:
    assert short_digest("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 second"), (41, "41 seconds"), (90, "90 seconds"), (91, "2 minutes"), (600, "10 minutes")],
)
def test_a_wait_is_told_in_what_people_count(seconds: float, text: str):
    assert wait_text(seconds) == text
