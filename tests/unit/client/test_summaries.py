"""Event files: those TensorFlow writes, and those that are torn, damaged or made to harm."""

import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.client.event_files import MAX_RECORD_BYTES, Seen, read_scalars
from hub.client.summaries import read_summaries
from hub.domain.curves import MAX_CURVES, MAX_DAMAGES, MAX_POINTS_IN_ALL
from hub.domain.errors import InvalidRequest
from hub.protocol.codecs.points import unpack_points
from hub.savedmodel.table import masked_crc32c
from tests.support.curves import event, field, record, simple, tensor, write_run

WRITE = """
import sys, tensorflow as tf
folder = sys.argv[1]
for run in ("train", "validation"):
    with tf.summary.create_file_writer(f"{folder}/{run}").as_default():
        for step in range(40):
            tf.summary.scalar("loss", 0.0 if step == 3 else 1.0 / (step + 1), step=step)
            tf.summary.scalar("epoch/accuracy", step / 40, step=step, description="the share that is right")
        tf.summary.text("note", "hello", step=0)
        tf.summary.histogram("weights", [1.0, 2.0], step=0)
        tf.summary.image("picture", tf.zeros((1, 8, 8, 3)), step=0)
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    value = tf.compat.v1.placeholder(tf.float32)
    summary = tf.compat.v1.summary.scalar("old", value)
    writer = tf.compat.v1.summary.FileWriter(f"{folder}/classic", session.graph)
    for step in range(5):
        writer.add_summary(session.run(summary, {value: step * 2.0}), step)
    writer.add_summary(session.run(summary, {value: float("nan")}), 5)
    writer.close()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Event files by TensorFlow itself, in its two ways."""
    folder = tmp_path_factory.mktemp("summaries")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", WRITE, str(folder)], check=True, capture_output=True, env=environment)
    return folder


@pytest.mark.slow
def test_what_tensorflow_writes_is_read_in_both_its_ways(written: Path) -> None:
    found = read_summaries(written)
    assert found.damages == ()
    curves = {(item.curve.run, item.curve.tag): item for item in found.items}
    assert set(curves) == {
        ("classic", "old"),
        *((run, tag) for run in ("train", "validation") for tag in ("loss", "epoch/accuracy")),
    }
    loss = curves["train", "loss"]
    assert (loss.curve.count, loss.curve.min.step, loss.curve.min.value) == (40, 3, 0.0)
    points = unpack_points(loss.points)
    assert points.steps.tolist() == list(range(40))
    assert points.values.tolist() == pytest.approx([0.0 if step == 3 else 1 / (step + 1) for step in range(40)])
    assert 0 <= points.walls[-1] - points.walls[0] < 600
    old = curves["classic", "old"].curve
    assert (old.count, old.not_finite, old.last, old.max.value) == (6, 1, None, 8.0)


def test_a_torn_tail_is_told_with_its_byte_and_what_came_before_counts(tmp_path: Path) -> None:
    path = write_run(tmp_path / "train", {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]})
    whole = path.read_bytes()
    size = len(whole) // 3
    for cut in (1, 7, 12, size - 1):
        path.write_bytes(whole[: 2 * size + cut])
        found = read_summaries(tmp_path)
        assert [(each.file, each.byte) for each in found.damages] == [(f"train/{path.name}", 2 * size)]
        assert "ends within a record" in found.damages[0].reason
        assert found.items[0].curve.count == 2


def test_a_damaged_record_is_left_out_alone_and_a_damaged_length_ends_its_file(tmp_path: Path) -> None:
    path = write_run(tmp_path, {"loss": [(0, 1.0), (1, 0.5), (2, 0.25)]})
    other = write_run(tmp_path / "b", {"loss": [(0, 9.0)]})
    whole = bytearray(path.read_bytes())
    size = len(whole) // 3
    whole[size + 20] ^= 1
    path.write_bytes(whole)
    found = read_summaries(tmp_path)
    assert [(each.file, each.byte) for each in found.damages] == [(path.name, size)]
    assert [(item.curve.run, item.curve.count) for item in found.items] == [(".", 2), ("b", 1)]
    whole[2] ^= 1
    path.write_bytes(whole)
    found = read_summaries(tmp_path)
    assert [(each.byte, "length" in each.reason) for each in found.damages] == [(0, True)]
    assert [item.curve.run for item in found.items] == ["b"]
    assert other.exists()


def test_no_event_files_and_no_scalars_are_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"no event files of tf\.summary under"):
        read_summaries(tmp_path)
    (tmp_path / "events.out.tfevents.1").write_bytes(record(event(0, tensor("picture", 1.0, plugin="images"))))
    with pytest.raises(InvalidRequest, match="hold no scalars") as refused:
        read_summaries(tmp_path)
    assert "tf.summary.scalar" in refused.value.remedy


def test_a_scalar_is_told_from_what_is_none(tmp_path: Path) -> None:
    kinds = [
        simple("simple", 1.0),
        tensor("float", 2.0),
        tensor("double", 3.0, kind=2),
        tensor("nothing", 4.0, plugin=None),
        tensor("picture", 5.0, plugin="images"),
        tensor("vector", 6.0, shape=field(2, b"\x08\x01")),
        field(1, b"whole") + field(8, b"\x08\x09") + field(9, field(1, field(1, b"scalars"))),
        field(1, b"zero") + field(8, b"\x08\x01") + field(9, field(1, field(1, b"scalars"))),
    ]
    later = [tensor("float", 7.0, plugin=None)]
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(record(event(-5, *kinds)) + record(event(6, *later)))
    found = [(tag, step, value) for tag, step, _, value in read_scalars(path, Seen(), pytest.fail)]
    assert found == [("simple", -5, 1.0), ("float", -5, 2.0), ("double", -5, 3.0), ("zero", -5, 0.0), ("float", 6, 7.0)]


@settings(max_examples=30, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.sampled_from(["loss", "mae2", "a/b"]), st.floats(width=32)), min_size=1, max_size=60)
)
def test_the_quick_way_reads_what_the_long_way_reads(pairs: list[tuple[str, float]], tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("quick") / "events.out.tfevents.1"
    path.write_bytes(b"".join(record(event(step, tensor(*pair))) for step, pair in enumerate(pairs)))
    found = [(tag, struct.pack("<d", value)) for tag, _, _, value in read_scalars(path, Seen(), pytest.fail)]
    assert found == [(tag, struct.pack("<d", value)) for tag, value in pairs]


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), is_framed=st.booleans())
def test_any_bytes_end_in_scalars_or_in_a_report(data: bytes, is_framed: bool, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("any") / "events.out.tfevents.1"
    path.write_bytes(record(data) if is_framed else data)
    told: list[tuple[int, str]] = []
    list(read_scalars(path, Seen(), lambda *what: told.append(what)))
    assert is_framed or not data or told


def test_a_giant_record_and_a_giant_announcement_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    giant = MAX_RECORD_BYTES + 1
    header = struct.pack("<Q", giant)
    with path.open("wb") as file:
        file.write(header + struct.pack("<I", masked_crc32c(header)))
        file.seek(giant + 4, os.SEEK_CUR)
        file.write(record(event(1, simple("loss", 1.0))))
        announced = struct.pack("<Q", 1 << 60)
        file.write(announced + struct.pack("<I", masked_crc32c(announced)) + b"x" * 100)
    told: list[tuple[int, str]] = []
    tracemalloc.start()
    try:
        found = list(read_scalars(path, Seen(), lambda *what: told.append(what)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [each[0] for each in found] == ["loss"]
    assert "ends within" in told[0][1]
    assert peak < 4 << 20


def test_more_curves_than_are_taken_are_left_out_and_told(tmp_path: Path) -> None:
    write_run(tmp_path, {f"tag{number}": [(0, 1.0)] for number in range(MAX_CURVES + 10)})
    write_run(tmp_path / "odd", {"x" * 400: [(0, 1.0)], "a\nb": [(0, 1.0)]})
    found = read_summaries(tmp_path)
    assert len(found.items) == MAX_CURVES
    assert [("left out" in each.reason) for each in found.damages] == [True, True]
    assert sum(len(unpack_points(item.points)) for item in found.items) <= MAX_POINTS_IN_ALL


def test_many_damages_are_not_all_listed(tmp_path: Path) -> None:
    records = [bytearray(record(event(step, simple("loss", 1.0)))) for step in range(100)]
    for broken in records[1:]:
        broken[15] ^= 1
    (tmp_path / "events.out.tfevents.1").write_bytes(b"".join(records))
    found = read_summaries(tmp_path)
    assert len(found.damages) == MAX_DAMAGES
    assert "not listed" in found.damages[-1].reason
