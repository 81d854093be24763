"""The hostile corpus: models that try something, each with what the hub must answer.

A kind is a function that spoils a good model; its docstring says what it tries, its decorator what the scan must say.
Payloads are harmless: they would touch a file below a folder of the test's own, or read a file that the test made.

Laws: making a kind needs no TensorFlow and takes milliseconds; ``KINDS`` has every kind once; a kind of a known name
that has no way into this hub is in ``NO_WAY_IN`` with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.savedmodel_writer import (
    ModelWriter,
    call_attr,
    function,
    message,
    node,
    saved_object,
)

CANARY_TEXT = "the-canary-sings-at-dawn"
ROOT_OBJECTS = 4
"""Objects that the writer's model has by itself: the first of ``model.objects`` is number four."""

NO_WAY_IN = {
    "tar_traversal": "A version is sent file by file, as blobs and a list of paths: the hub opens no archive.",
    "tar_symlink": "As tar_traversal; a link in a folder that is pushed is layout.link.",
    "tar_device": "As tar_traversal; a pipe in a folder that is pushed is layout.special-file.",
    "tar_duplicate": "As tar_traversal; a list of files with one path twice is no draft.",
    "zip_overlap": "The hub reads no zip: of every blob it counts the bytes that come.",
    "tar_many_files": "As tar_traversal; a draft and a folder are bounded by layout.too-many-files.",
}
"""Kinds of other hubs that cannot be sent to this one."""

ELSEWHERE = {
    "gz_bomb": "test_pushed.py sends one: bodies may be packed.",
    "model_card_xss": "A card is no file of a model; tests/unit/web/test_cards.py.",
}
"""Kinds that are no SavedModel, and where they are tried."""


@dataclass
class Case:
    """One model in the making.

    Attributes:
        model: A good model, not yet written.
        proof: A folder that must stay empty: whoever writes anywhere below it has run the payload.
        canary: A file that must not be read: its text must not be in any answer.
    """

    model: ModelWriter
    proof: Path
    canary: Path
    is_written: bool = field(default=False, init=False)

    @property
    def root(self) -> Path:
        return self.model.root

    def write(self) -> Path:
        """Write the model, for kinds that change files afterwards."""
        self.is_written = True
        return self.model.write()

    def add_function(self, *nodes: bytes, arguments: tuple[str, ...] = ()) -> str:
        """A function of the library that nothing calls yet; its name."""
        name = f"extra{len(self.model.functions)}"
        self.model.functions.append(function(name, nodes, arguments))
        return name

    def add_object(self, written: bytes) -> int:
        """An object that nothing holds yet; its number."""
        self.model.objects.append(written)
        return ROOT_OBJECTS + len(self.model.objects) - 1

    def add_callable(self, name: str) -> int:
        """An object that is a function of the library."""
        return self.add_object(saved_object(6, message((1, name))))

    def call(self, name: str, op: str = "StatefulPartitionedCall", attr: str = "f") -> bytes:
        """A node that calls a function."""
        return node(f"call_{name}", op, ["x"], **{attr: call_attr(name)})


Spoil = Callable[[Case], None]


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: As it is known.
        tries: What it tries.
        refused_by: The rule that refuses it; empty where the scan accepts it.
        warned_by: A rule that warns of it without refusing.
        names: What the finding must name: the op or the file, and the way there.
        at_run_time: What holds it where no scan can: a limit of the process that runs it.
    """

    name: str
    tries: str
    spoil: Spoil
    refused_by: str
    warned_by: str
    names: tuple[str, ...]
    at_run_time: str

    def make(self, case: Case) -> Path:
        """Write it."""
        self.spoil(case)
        if not case.is_written:
            case.write()
        return case.root


KINDS: dict[str, Kind] = {}


def refused(by: str, *names: str) -> Callable[[Spoil], Spoil]:
    """A kind that the scan must refuse by that rule, naming these."""
    return lambda spoil: _add(spoil, refused_by=by, names=names)


def warned(by: str, *names: str) -> Callable[[Spoil], Spoil]:
    """A kind that the scan must accept with a warning."""
    return lambda spoil: _add(spoil, warned_by=by, names=names)


def accepted(spoil: Spoil) -> Spoil:
    """A control that the scan must accept."""
    return _add(spoil)


def limited(at_run_time: str) -> Callable[[Spoil], Spoil]:
    """A kind that no scan can tell from a good model: it is held when it runs."""
    return lambda spoil: _add(spoil, at_run_time=at_run_time)


def _add(
    spoil: Spoil, *, refused_by: str = "", warned_by: str = "", names: tuple[str, ...] = (), at_run_time: str = ""
) -> Spoil:
    name = spoil.__name__.removeprefix("_")
    assert name not in KINDS
    tries = (spoil.__doc__ or "").strip()
    assert tries
    KINDS[name] = Kind(name, tries, spoil, refused_by, warned_by, names, at_run_time)
    return spoil
