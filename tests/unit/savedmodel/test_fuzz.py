"""Damaged files: inspecting them never raises, whatever bytes are wrong."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.savedmodel import table
from hub.savedmodel.inspect import inspect

NAMES = ["trunk", "vocab", "session"]


def damage(raw, rng):
    """Change, cut out, put in or repeat some bytes."""
    out = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(out))
        match rng.randrange(5):
            case 0:
                out[at] = rng.randrange(256)
            case 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2 if len(out) > 100:
                del out[at : at + rng.randrange(1, 20)]
            case 3:
                out[at:at] = rng.randbytes(rng.randrange(1, 12))
            case _:
                out[at:at] = out[at // 2 : at // 2 + rng.randrange(1, 200)]
    return bytes(out)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_graph_is_a_report(copy_of, name):
    root, rng = copy_of(name), random.Random(name)
    raw = (root / "saved_model.pb").read_bytes()
    reports = []
    for _ in range(120):
        (root / "saved_model.pb").write_bytes(damage(raw, rng))
        reports.append(inspect(root, with_tensors=True).report)
    assert any(not report.is_accepted for report in reports)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_index_is_a_report_even_where_its_checksums_fit(copy_of, name, write):
    root, rng = copy_of(name), random.Random(name)
    path = root / "variables/variables.index"
    rows = list(table.read_table(memoryview(path.read_bytes())))
    for _ in range(120):
        at = rng.randrange(len(rows))
        key, value = rows[at]
        damaged = [*rows[:at], (key, damage(value or b"\0", rng)), *rows[at + 1 :]]
        path.write_bytes(write.table(damaged))
        inspect(root, with_tensors=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_cut_anywhere_is_refused(copy_of, name):
    root, rng = copy_of(name), random.Random(name)
    raw = (root / "saved_model.pb").read_bytes()
    for _ in range(40):
        (root / "saved_model.pb").write_bytes(raw[: rng.randrange(3, len(raw))])
        assert not inspect(root).report.is_accepted


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes_as_a_graph_are_refused(tmp_path, raw):
    (tmp_path / "saved_model.pb").write_bytes(raw)
    assert not inspect(tmp_path).report.is_accepted
