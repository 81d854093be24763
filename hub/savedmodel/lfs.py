"""Git LFS pointers: what a clone without Git LFS leaves where a model's large files should be.

Law: only files so small that they may be pointers are opened, and of them only what SavedModels are made of.

Source: Git LFS specification, "The Pointer" (``docs/spec.md``).
"""

from collections.abc import Iterator

from hub.domain.reports import Finding
from hub.savedmodel.layout import SAVED_MODEL, Layout
from hub.savedmodel.rules import clip, finding

_MAX_POINTER_BYTES = 1024
_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
_FOLDERS = ("variables/", "assets/")


def check_pointers(layout: Layout) -> Iterator[Finding]:
    """The model's files that are pointers to themselves.

    Raises:
        OSError: A file cannot be read.
    """
    for path, entry in layout.files.items():
        belongs = path == SAVED_MODEL or path.startswith(_FOLDERS)
        if not belongs or not len(_FIRST_LINE) < entry.size < _MAX_POINTER_BYTES:
            continue
        with (layout.root / path).open("rb") as file:
            is_pointer = file.read(len(_FIRST_LINE)) == _FIRST_LINE
        if is_pointer:
            yield finding("layout.lfs-pointer", f"{clip(path)} is a Git LFS pointer, not the file itself.", clip(path))
