"""The files of a SavedModel: what is there, what is missing, what does not belong.

Laws: nothing is opened here, so that a pipe or a device cannot hold a scan up; links are never followed.

Source: TensorFlow ``saved_model/README.md``; TensorFlow Serving's layout of numeric version folders.
"""

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hub.domain.manifest import MAX_FILES, RelativePath
from hub.domain.reports import Finding
from hub.savedmodel.rules import clip, finding

SAVED_MODEL = "saved_model.pb"
_EXPECTED = {SAVED_MODEL, "fingerprint.pb", "keras_metadata.pb", "tfhub_module.pb", "saved_model_config.pb"}
_EXPECTED_PARENTS = ("variables/variables.", "assets/", "assets.extra/")
_CODE_SUFFIXES = {".py", ".pyc", ".so", ".dll", ".dylib", ".exe", ".sh", ".pkl", ".pickle", ".joblib", ".h5", ".keras"}
_SPARSE_BYTES = 64 << 20
_DISK_BLOCK_BYTES = 512
_RESERVED_CHARS = set('<>:"|?*')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE | re.ASCII)
"""Names that Windows keeps for devices, with any ending."""
_RELATIVE_PATH: TypeAdapter[str] = TypeAdapter(RelativePath)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing below the root, not followed where it is a link."""

    path: str
    mode: int
    size: int
    disk_bytes: int

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file."""
        return stat.S_ISREG(self.mode)


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies below the root."""

    root: Path
    entries: tuple[Entry, ...]
    is_complete: bool = True

    @property
    def files(self) -> dict[str, Entry]:
        """Plain files by relative path."""
        return {entry.path: entry for entry in self.entries if entry.is_file}

    @property
    def size(self) -> int:
        """Bytes of all plain files."""
        return sum(entry.size for entry in self.entries if entry.is_file)


def read_layout(root: Path) -> Layout:
    """List what lies below ``root``.

    Raises:
        OSError: ``root`` itself cannot be read.
    """
    entries: list[Entry] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        for name, info in _listing(root / folder):
            path = f"{folder}/{name}" if folder else name
            if stat.S_ISDIR(info.st_mode):
                folders.append(path)
            else:
                entries.append(Entry(path, info.st_mode, info.st_size, info.st_blocks * _DISK_BLOCK_BYTES))
            if len(entries) + len(folders) > 2 * MAX_FILES:
                return Layout(root, tuple(entries), is_complete=False)
    return Layout(root, tuple(sorted(entries, key=lambda entry: entry.path)))


def _listing(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        for entry in found:
            yield entry.name, entry.stat(follow_symlinks=False)


def check_layout(layout: Layout) -> Iterator[Finding]:
    """What is wrong with the files, not yet with what is in them."""
    if not layout.is_complete or len(layout.files) > MAX_FILES:
        yield finding("layout.too-many-files", f"There are more than {MAX_FILES:,} files.")
        return
    yield from _check_kinds(layout)
    yield from _check_names(layout)
    yield from _check_saved_model(layout)
    if SAVED_MODEL in layout.files:
        yield from _check_extras(layout)


def _check_kinds(layout: Layout) -> Iterator[Finding]:
    for entry in layout.entries:
        if stat.S_ISLNK(entry.mode):
            yield finding("layout.link", f"{clip(entry.path)} is a symbolic link.", clip(entry.path))
        elif not entry.is_file:
            yield finding("layout.special-file", f"{clip(entry.path)} is a pipe, socket or device.", clip(entry.path))
        elif entry.size > _SPARSE_BYTES and entry.disk_bytes * 4 < entry.size:
            message = f"{clip(entry.path)} has {entry.size:,} bytes, of which {entry.disk_bytes:,} are on disk."
            yield finding("layout.sparse-file", message, clip(entry.path))


def _check_names(layout: Layout) -> Iterator[Finding]:
    folded: dict[str, str] = {}
    for path in layout.files:
        key = unicodedata.normalize("NFC", path).casefold()
        if key in folded:
            yield finding("layout.bad-name", f"{clip(path)} and {clip(folded[key])} differ only in case.", clip(path))
        folded[key] = path
        try:
            _RELATIVE_PATH.validate_python(path)
        except ValidationError:
            yield finding("layout.bad-name", f"The path {clip(path)!r} cannot be stored.", clip(path))
        else:
            if any(_is_unportable(part) for part in path.split("/")):
                yield finding("layout.bad-name", f"Windows cannot store the path {clip(path)!r}.", clip(path))


def _is_unportable(segment: str) -> bool:
    return bool(_RESERVED_CHARS & set(segment)) or segment[-1:] in (".", " ") or bool(_DEVICES.match(segment))


def _check_saved_model(layout: Layout) -> Iterator[Finding]:
    files = layout.files
    second = [path for path in ("saved_model.pbtxt", "saved_model.cpb") if path in files]
    for path in second:
        yield finding("layout.text-format", f"There is {path}; readers disagree on which file counts.", path)
    if SAVED_MODEL in files:
        return
    nested = sorted(path for path in files if path.endswith(f"/{SAVED_MODEL}"))
    if nested:
        yield _nested(layout.root, [str(Path(path).parent) for path in nested])
    elif not second:
        yield finding("layout.no-saved-model", "There is no saved_model.pb.", remedy=_what_instead(files))


def _nested(root: Path, folders: list[str]) -> Finding:
    newest = max((name for name in folders if name.isdecimal()), key=int, default=None)
    target = newest or folders[0]
    if newest is not None:
        message = f"This is TensorFlow Serving's folder of versions: {', '.join(clip(name) for name in folders[:5])}."
    else:
        message = f"The SavedModel is in the folder {clip(target)}."
    return finding("layout.nested", message, clip(target), f"Push {clip(str(root / target))}.")


def _what_instead(files: dict[str, Entry]) -> str:
    names = {path.rsplit(".", 1)[-1].lower(): path for path in files}
    for suffix in ("keras", "h5", "hdf5"):
        if suffix in names:
            return f"Load {clip(names[suffix])} with Keras and push the model object: hub.push(model, 'owner/name')."
    if "tflite" in names or "onnx" in names:
        return "Push the SavedModel that this file was converted from."
    return "Push a SavedModel's folder: the one that tf.saved_model.save or hub.finetune.export_trunk wrote."


def _check_extras(layout: Layout) -> Iterator[Finding]:
    for path in layout.files:
        if Path(path).suffix.lower() in _CODE_SUFFIXES:
            yield finding("layout.code-file", f"{clip(path)} is code or a pickle.", clip(path))
        elif path == "keras_metadata.pb":
            message = "keras_metadata.pb can hold Python code, which tf_keras.models.load_model runs."
            yield finding("layout.code-file", message, path)
        elif path not in _EXPECTED and not path.startswith(_EXPECTED_PARENTS):
            yield finding("layout.extra-file", f"{clip(path)} is no part of a SavedModel.", clip(path))
