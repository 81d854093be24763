"""Kinds that make a lookup table read a file of the machine: every line of it comes out by its number."""

import shutil
from pathlib import Path

from tests.hostile.corpus import Case, accepted, refused
from tests.support.savedmodel_writer import FIXTURES, message, node, saved_object, tensor_info, text_const


def _asset(case: Case, filename: str) -> None:
    """A table that is filled from an asset of that name."""
    fill = node("fill", "InitializeTableFromTextFileV2", ["table", "same:output:0"])
    name = case.add_function(
        node("table", "HashTableV2"), node("same", "Identity", ["path"]), fill, arguments=("path",)
    )
    asset = case.add_object(saved_object(5, message((1, 0))))
    case.model.captures[name] = [asset]
    case.model.assets = [message((1, tensor_info("path:0", 7)), (2, filename))]
    table = case.add_object(saved_object(10, b"", [("_initialize", case.add_callable(name))]))
    case.model.root_children += [("table", table), ("asset", asset)]
    (case.root / "assets").mkdir(parents=True)


@accepted
def asset_benign(case: Case) -> None:
    """A vocabulary, as TensorFlow writes it: the control."""
    shutil.copytree(FIXTURES / "vocab", case.root)
    case.is_written = True


@accepted
def asset_written_benign(case: Case) -> None:
    """A vocabulary, as the other kinds of this file have it: their control."""
    _asset(case, "words.txt")
    (case.root / "assets/words.txt").write_text("a\n")


@refused("assets.path", "../")
def asset_traversal(case: Case) -> None:
    """The asset lies above its folder."""
    _asset(case, "../" * 8 + str(case.canary).lstrip("/"))


@refused("assets.path", "canary")
def asset_absolute(case: Case) -> None:
    """The asset is an absolute path."""
    _asset(case, str(case.canary))


@refused("assets.path", "gs://")
def asset_gs(case: Case) -> None:
    """The asset is in a bucket: loading opens a connection."""
    _asset(case, "gs://bucket.invalid/words.txt")


@refused("layout.link", "assets/words.txt")
def asset_symlink(case: Case) -> None:
    """The asset is a link to a file outside."""
    _asset(case, "words.txt")
    (case.root / "assets/words.txt").symlink_to(case.canary)


@refused("layout.link", "assets")
def asset_folder_symlink(case: Case) -> None:
    """The folder of the assets is a link to a folder outside."""
    _asset(case, "canary")
    (case.root / "assets").rmdir()
    (case.root / "assets").symlink_to(case.canary.parent)


@refused("layout.missing-asset", "assets/words.txt")
def asset_missing(case: Case) -> None:
    """The asset is not there."""
    _asset(case, "words.txt")


@refused("ops.table-file", "not an asset", "node fill")
def asset_const_path(case: Case) -> None:
    """The file of the table is a constant path instead of an asset."""
    case.model.nodes += [
        text_const("path", str(case.canary)),
        node("table", "HashTableV2"),
        node("fill", "InitializeTableFromTextFileV2", ["table", "path"]),
    ]


@refused("ops.table-file", "node fill in function extra0")
def asset_path_of_the_caller(case: Case) -> None:
    """The file of the table is what the caller of a signature says."""
    fill = node("fill", "InitializeTableFromTextFileV2", ["table", "path"])
    name = case.add_function(node("table", "HashTableV2"), fill, arguments=("path",))
    case.model.body.append(case.call(name))


@refused("ops.table-file", "node fill in function extra0")
def asset_or_const_path(case: Case) -> None:
    """A function that fills a table is called with an asset by one, and with a constant path by another."""
    _asset(case, "words.txt")
    Path(case.root / "assets/words.txt").write_text("a\n")
    case.model.body += [text_const("path", str(case.canary)), node("again", "PartitionedCall", ["path"], f=_call())]


def _call() -> bytes:
    return message((10, message((1, "extra0"))))
