"""Metrics by version: few labels, and none that names what is private."""

import pytest

from hub.telemetry import metrics


def test_a_version_is_counted_under_the_first_digits_of_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_batches", {})
    monkeypatch.setattr(metrics, "MAX_VERSIONS", 2)
    digests = [f"sha256:{letter * 64}" for letter in "abcd"]
    series = [metrics.batches_of(digest) for digest in digests]
    assert series[0] is metrics.batches_of(digests[0])
    assert series[2] is series[3]
    series[0].rows.observe(1)
    series[3].rows.observe(2)
    text = metrics.exposition().decode()
    assert f'hub_batches_size_rows_sum{{version="{"a" * 12}"}} 1.0' in text
    assert 'hub_batches_size_rows_sum{version="others"} 2.0' in text
    assert "d" * 12 not in text
