"""The house rules that a machine can hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for path in (ROOT / "hub").rglob("*.py"))
HEAVY = {"tensorflow", "keras", "tf_keras", "sqlalchemy", "boto3", "botocore", "fastapi", "starlette", "ray"}
SPEAKS = {
    "tensorflow": ("hub/runtime/", "hub/finetune/"),
    "keras": ("hub/runtime/", "hub/finetune/"),
    "boto3": ("hub/storage/blobs/s3.py",),
    "botocore": ("hub/storage/blobs/s3.py",),
    "sqlalchemy": ("hub/storage/catalog/",),
    "ray": ("hub/engine/ray.py",),
}


def imported_roots(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_heavy_library_is_imported_only_in_its_room(path: Path):
    name = path.relative_to(ROOT).as_posix()
    strays = {
        root for root in imported_roots(path) & SPEAKS.keys() if not any(name.startswith(room) for room in SPEAKS[root])
    }
    assert not strays


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_enough_to_read_in_one_sitting(path: Path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_is_hidden_from_the_layers(path: Path):
    assert "TYPE_CHECKING" not in path.read_text()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_is_documented(path: Path):
    tree = ast.parse(path.read_text())
    bare = [] if ast.get_docstring(tree) else ["the module"]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef):
            continue
        for child in node.body:
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                is_private = child.name.startswith("_") or (
                    isinstance(node, ast.ClassDef) and node.name.startswith("_")
                )
                if not is_private and not ast.get_docstring(child):
                    bare.append(child.name)
    assert not bare


def test_names_say_what_things_are_for():
    vague = {"utils", "core", "common", "helpers", "manager", "misc"}
    assert not [path for path in SOURCES if path.stem in vague or path.parent.name in vague]


@pytest.mark.parametrize("statement", ["import hub", "import hub.client.client", "from hub.cli.main import main"])
def test_the_client_loads_nothing_heavy(statement: str):
    probe = f"{statement}; import sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_help_loads_nothing_heavy():
    code = "import sys; sys.argv = ['hub', '--help']\nfrom hub.cli.main import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    pass\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "push" in done.stdout
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_the_api_process_never_sees_tensorflow():
    code = "import hub.server, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "tf_keras"} & set(done.stdout.split())
