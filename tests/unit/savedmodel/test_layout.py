"""The files: what belongs, what is missing, and what a person did wrong."""

import os

import pytest

from hub.domain.errors import InvalidModel
from hub.savedmodel.inspect import inspect


def rules(root):
    return {found.rule for found in inspect(root).report.findings}


def finding_of(root, rule):
    return next(found for found in inspect(root).report.findings if found.rule == rule)


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InvalidModel, match="cannot be read"):
        inspect(tmp_path / "nowhere")


def test_the_file_instead_of_its_folder_is_an_error_that_names_the_folder(fixtures):
    with pytest.raises(InvalidModel, match="Give the folder"):
        inspect(fixtures / "trunk/saved_model.pb")


def test_a_serving_folder_of_versions_says_which_one_to_push(copy_of, tmp_path):
    parent = tmp_path / "versions"
    parent.mkdir()
    for number in ("9", "00000124"):
        copy_of("session").rename(parent / number)
    found = finding_of(parent, "layout.nested")
    assert found.remedy.endswith("versions/00000124.")


def test_a_model_one_folder_down_says_so(copy_of, tmp_path):
    parent = tmp_path / "outer"
    parent.mkdir()
    copy_of("trunk").rename(parent / "export")
    assert finding_of(parent, "layout.nested").remedy.endswith("outer/export.")


def test_an_empty_folder_and_a_keras_file_get_different_advice(tmp_path):
    assert "tf.saved_model.save" in finding_of(tmp_path, "layout.no-saved-model").remedy
    (tmp_path / "model.keras").write_bytes(b"")
    assert "hub.push(model" in finding_of(tmp_path, "layout.no-saved-model").remedy


@pytest.mark.parametrize("name", ["saved_model.pbtxt", "saved_model.cpb"])
def test_a_second_format_is_refused(copy_of, name):
    root = copy_of("trunk")
    (root / name).write_bytes(b"")
    assert "layout.text-format" in rules(root)
    assert not inspect(root).report.is_accepted


def test_a_link_is_not_safe_and_nothing_is_opened_through_it(copy_of):
    root = copy_of("vocab")
    (root / "assets/words.txt").unlink()
    (root / "assets/words.txt").symlink_to("/etc/hostname")
    inspection = inspect(root)
    assert inspection.report.safe.answer == "no"
    assert inspection.signatures == {}


def test_a_pipe_does_not_hold_the_scan_up(copy_of):
    root = copy_of("trunk")
    (root / "saved_model.pb").unlink()
    os.mkfifo(root / "saved_model.pb")
    assert "layout.special-file" in rules(root)


def test_names_that_cannot_be_stored_everywhere_are_refused(copy_of):
    root = copy_of("vocab")
    (root / "assets/a\nb").write_bytes(b"")
    (root / "assets/Words.txt").write_bytes(b"")
    messages = [found.message for found in inspect(root).report.findings if found.rule == "layout.bad-name"]
    assert len(messages) == 2
    assert any("case" in message for message in messages)


def test_variables_beside_the_graph_get_the_right_remedy(copy_of):
    root = copy_of("trunk")
    for path in list((root / "variables").iterdir()):
        path.rename(root / path.name)
    assert "into a folder variables/" in finding_of(root, "layout.flattened-variables").remedy


def test_a_model_without_its_variables_folder_is_not_servable(copy_of):
    root = copy_of("trunk")
    for path in list((root / "variables").iterdir()):
        path.unlink()
    assert "layout.missing-variables" in rules(root)


def test_other_files_and_code_are_noted_but_do_not_reject(copy_of):
    root = copy_of("trunk")
    (root / "notes.md").write_text("hello")
    (root / "train.py").write_text("print()")
    (root / "keras_metadata.pb").write_bytes(b"")
    assert {"layout.extra-file", "layout.code-file"} <= rules(root)
    assert inspect(root).report.is_accepted


def test_a_missing_asset_is_named(copy_of):
    root = copy_of("vocab")
    (root / "assets/words.txt").unlink()
    assert "assets/words.txt" in finding_of(root, "layout.missing-asset").message


@pytest.mark.parametrize("path", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_a_git_lfs_pointer_says_how_to_get_the_file(copy_of, path):
    root = copy_of("trunk")
    (root / path).write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
    )
    found = finding_of(root, "layout.lfs-pointer")
    assert path in found.message
    assert "git lfs pull" in found.remedy
    assert rules(root) <= {"layout.lfs-pointer", "layout.extra-file"}, "a pointer explains everything else"
