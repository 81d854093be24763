"""Kinds that are about the files themselves: names, links, and what does not belong to a model.

A model's files are stored and handed out as they are. None but the graph, the variables and the assets is ever opened,
which is why code beside a model is a warning to whoever pulls it and not a reason to refuse it.
"""

import os

from tests.hostile.corpus import Case, refused, warned

_PICKLE = b"cposix\nsystem\n(S'true'\ntR."


@warned("layout.code-file", "keras_metadata.pb")
def extra_keras_metadata_lambda(case: Case) -> None:
    """Keras 2 metadata, in which code can be packed: every good Keras 2 model has that file too."""
    (case.write() / "keras_metadata.pb").write_bytes(b"Lambda")


@warned("layout.code-file", "assets.extra/model.pkl")
def extra_pickle(case: Case) -> None:
    """A pickle that would run a command."""
    (case.write() / "assets.extra").mkdir()
    (case.root / "assets.extra/model.pkl").write_bytes(_PICKLE)


@warned("layout.code-file", "assets/custom_ops.so", "assets/setup.py")
def extra_python_and_so(case: Case) -> None:
    """A library of ops and a setup script between the assets."""
    (case.write() / "assets").mkdir()
    (case.root / "assets/custom_ops.so").write_bytes(b"\x7fELF")
    (case.root / "assets/setup.py").write_text("raise SystemExit\n")


def _named(case: Case, *names: str) -> None:
    (case.write() / "assets").mkdir()
    for name in names:
        (case.root / "assets" / name).write_text("x")


@refused("layout.bad-name", "assets/b")
def weird_names_newline(case: Case) -> None:
    """A name with a line break, which forges lines of logs."""
    _named(case, "b\nc")


@refused("layout.bad-name", "assets/")
def weird_names_direction(case: Case) -> None:
    """A name that is shown backwards."""
    _named(case, "vocab\u202etxt.exe")


@refused("layout.bad-name", "VOCAB.txt", "vocab.txt")
def weird_names_case(case: Case) -> None:
    """Two names that are one on other systems."""
    _named(case, "vocab.txt", "VOCAB.txt")


@refused("layout.bad-name", "caf")
def weird_names_composed(case: Case) -> None:
    """Two names that are one once their accents are composed."""
    _named(case, "caf\u00e9.txt", "cafe\u0301.txt")


@refused("layout.bad-name", "back")
def weird_names_backslash(case: Case) -> None:
    """A name that is a path on other systems."""
    _named(case, "..\\back")


@refused("layout.bad-name", "assets/CON")
def weird_names_device(case: Case) -> None:
    """A name that is a device on other systems."""
    _named(case, "CON", "nul.txt")


@refused("layout.bad-name", "assets/a:b")
def weird_names_colon(case: Case) -> None:
    """A name that is a stream of another file on other systems."""
    _named(case, "a:b")


@refused("layout.bad-name", "assets/end")
def weird_names_end(case: Case) -> None:
    """A name with a space at its end, which other systems drop."""
    _named(case, "end ")


@refused("layout.special-file", "assets/pipe")
def pipe_as_asset(case: Case) -> None:
    """A pipe that nobody writes to: who opens it waits for ever."""
    (case.write() / "assets").mkdir()
    os.mkfifo(case.root / "assets/pipe")


@refused("layout.link", "saved_model.pb")
def linked_graph(case: Case) -> None:
    """The graph is a link to a file outside."""
    (case.write() / "saved_model.pb").unlink()
    (case.root / "saved_model.pb").symlink_to(case.canary)


@refused("layout.link", "variables")
def linked_variables(case: Case) -> None:
    """The folder of the variables is a link."""
    case.write()
    (case.root / "variables").rename(case.root.parent / "elsewhere")
    (case.root / "variables").symlink_to(case.root.parent / "elsewhere")


@refused("layout.nested", "1")
def nested_model(case: Case) -> None:
    """The model is one folder further down."""
    case.write()
    case.root.rename(case.root.parent / "held")
    case.root.mkdir()
    (case.root.parent / "held").rename(case.root / "1")


@refused("layout.lfs-pointer", "variables.data")
def lfs_pointer(case: Case) -> None:
    """The weights are a pointer of Git LFS."""
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    (case.write() / "variables/variables.data-00000-of-00001").write_text(text)
