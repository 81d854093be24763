"""A folder of ``tf.summary`` event files becomes the curves of a version.

Every folder with event files is a run, named by its path. The files of a run are read one after the other, by name,
which begins with when they were made. Their points become one curve for each tag, by rising step.

Laws: what is damaged is told and left out, and everything else counts; memory is bounded, however long the job ran.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hub.client.event_files import Seen, read_scalars
from hub.client.thinning import Gathered
from hub.domain.curves import MAX_CURVES, MAX_DAMAGES, MAX_POINTS, MAX_POINTS_IN_ALL, MAX_TAG_CHARS, Damage
from hub.domain.errors import InvalidRequest
from hub.protocol.codecs.points import pack_points
from hub.protocol.curves import PutCurve, PutCurves

MAX_FILES = 10_000
_MARK = "tfevents"
_EXAMPLE = (
    'hub push ./export acme/resnet50 --summaries ./logs, where ./logs is what create_file_writer("./logs") was given'
)


@dataclass(slots=True)
class _Reading:
    curves: dict[tuple[str, str], Gathered] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)

    def tell(self, file: str, byte: int, reason: str) -> None:
        if len(self.damages) < MAX_DAMAGES - 1:
            self.damages.append(Damage(file=_shown(file), byte=byte, reason=reason))
        elif len(self.damages) < MAX_DAMAGES:
            self.damages.append(Damage(file=_shown(file), byte=byte, reason="and more, which are not listed"))


def read_summaries(folder: Path) -> PutCurves:
    """The curves of all event files under a folder.

    Raises:
        InvalidRequest: There are no event files, too many, or no scalars in them.
        OSError: One cannot be read at all.
    """
    files = sorted(_event_files(folder))
    if not files:
        raise InvalidRequest(f"There are no event files of tf.summary under {folder}.", remedy=f"Write: {_EXAMPLE}.")
    if len(files) > MAX_FILES:
        raise InvalidRequest(f"There are {len(files)} event files under {folder}; {MAX_FILES} are taken.")
    reading, seen = _Reading(), Seen()
    for at, path in enumerate(files):
        if at and path.parent != files[at - 1].parent:
            seen = Seen()
        _read(reading, folder, path, seen)
    if not reading.curves:
        raise InvalidRequest(
            f"The event files under {folder} hold no scalars.",
            remedy='Write some with tf.summary.scalar("loss", loss, step=step), and close the writer.',
            damages=[damage.model_dump() for damage in reading.damages],
        )
    return _packed(reading)


def _event_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if _MARK in path.name and path.is_file())


def _read(reading: _Reading, folder: Path, path: Path, seen: Seen) -> None:
    run, file = path.parent.relative_to(folder).as_posix(), path.relative_to(folder).as_posix()
    is_full = False
    for tag, step, wall, value in read_scalars(path, seen, lambda byte, reason: reading.tell(file, byte, reason)):
        curve = reading.curves.get((run, tag))
        if curve is None:
            if len(reading.curves) == MAX_CURVES or not _is_label(run) or not _is_label(tag):
                is_full = True
                continue
            curve = reading.curves[run, tag] = Gathered()
        curve.add(step, wall, value)
    if is_full:
        reason = (
            f"some of its curves are left out: {MAX_CURVES} are taken, with names of 1 to {MAX_TAG_CHARS} characters"
        )
        reading.tell(file, 0, reason)


def _is_label(name: str) -> bool:
    return 0 < len(name) <= MAX_TAG_CHARS and "\0" not in name and name.isprintable()


def _packed(reading: _Reading) -> PutCurves:
    most = min(MAX_POINTS, MAX_POINTS_IN_ALL // len(reading.curves))
    return PutCurves(
        items=tuple(
            PutCurve.model_construct(curve=curve.facts(run, tag), points=pack_points(curve.points(most)))
            for (run, tag), curve in sorted(reading.curves.items())
        ),
        damages=tuple(reading.damages),
    )


def _shown(file: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in file)[-500:]
