"""The structure holds: imports point down, files and functions stay small, the top level is as agreed."""

import ast
import functools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

import pytest

from docpipe import gates, http

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"__main__"},
    {"cli"},
    {"check", "web"},
    {"app", "batch", "fleet", "forget", "plan"},
    {"wiring"},
    {"engine"},
    {"activities"},
    {"sources", "tasks", "runtime", "search", "chart", "schedule", "notify"},
    {"http", "workers", "checkpoints", "storage", "patients", "client"},
    {"gates", "archive", "convert", "report", "config", "api"},
    {"util", "errors", "model", "results"},
]
"""Folders and the few modules beside them, from the top down."""
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SOURCES = sorted((ROOT / "docpipe").rglob("*.py"))
TOP_LEVEL = {
    *("docpipe", "fakes", "tests", "config.toml", "pyproject.toml", "Containerfile", "README.md"),
    *("LICENSE", "CHANGELOG.md", "requirements.lock"),
}


@functools.cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file; each is parsed once for all tests."""
    return ast.parse(path.read_text("utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Modules of the project that a file imports, anywhere in it."""
    for node in ast.walk(parsed(path)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in ("docpipe", "fakes"))


def part(path: Path) -> str:
    return path.relative_to(ROOT / "docpipe").with_suffix("").parts[0]


def test_imports_point_down() -> None:
    """A module imports only from layers below its own, and from its own package."""
    for path in SOURCES:
        if path != ROOT / "docpipe" / "__init__.py":
            _points_down(path)


def _points_down(path: Path) -> None:
    mine = part(path)
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "fakes":
            assert mine in ("app", "wiring"), f"{path} imports fakes; they are for a first try only"
        elif rest[0] in RANK and rest[0] != mine:
            assert RANK[rest[0]] > RANK[mine], f"{path} imports upward: {name}"
        else:
            assert rest[0] in RANK or rest == ["__version__"], f"{name} has no place in the layers"


def test_packages_say_what_they_import() -> None:
    """The docstring of a package says what lives there, and what it may import."""
    for path in sorted((ROOT / "docpipe").glob("*/__init__.py")):
        docstring = ast.get_docstring(parsed(path)) or ""
        assert re.search(r"\b[Ii]mports ", docstring), path


def test_commands_need_no_web() -> None:
    """The command line imports nothing of the service, but to start it."""
    for path in (ROOT / "docpipe" / "cli").rglob("*.py"):
        if path.name != "serve.py":
            assert not [name for name in imported(path) if name.startswith("docpipe.web")], path


def test_fakes_stand_alone() -> None:
    """The fakes import nothing of docpipe, so that they are a judge and not an accomplice."""
    for path in (ROOT / "fakes").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "docpipe"], path


def test_converters_import_only_errors_and_model() -> None:
    """What runs in a worker process loads no more of docpipe than errors and model."""
    for path in (ROOT / "docpipe" / "convert").rglob("*.py"):
        names = {name.split(".")[1] for name in imported(path)}
        assert names <= {"convert", "errors", "model", "__version__"}, path


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        ("core", {"core"}),
        ("writers", {"core", "writers"}),
        ("ocr", {"core", "ocr"}),
        ("readers", {"core", "ocr", "readers"}),
    ],
)
def test_parts_of_convert_keep_their_order(folder: str, allowed: set[str]) -> None:
    """Core stands below readers, writers and OCR; readers and writers do not import each other."""
    for path in (ROOT / "docpipe" / "convert" / folder).rglob("*.py"):
        names = {name.split(".")[2] for name in imported(path) if name.startswith("docpipe.convert.")}
        assert names <= allowed, path


def test_there_are_at_most_eleven_ranks() -> None:
    """The order of imports is one that fits on a page."""
    assert len(LAYERS) <= 11
    beside = {path.stem for path in (ROOT / "docpipe").glob("*.py")}
    assert beside == {"__init__", "__main__", "errors", "model", "app", "batch"}


def test_files_and_functions_are_small() -> None:
    """A file has fewer than 400 lines, a function fewer than 50."""
    for path in (*SOURCES, *sorted((ROOT / "fakes").rglob("*.py"))):
        assert len(path.read_text("utf-8").splitlines()) < 400, path
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
                assert lines <= 50, f"{path}: {node.name} has {lines} lines"


def test_only_checkpoints_know_sqlite() -> None:
    """SQL stands with the databases that docpipe owns; all others of patients go through SQLAlchemy."""
    for path in SOURCES:
        if part(path) not in ("checkpoints", "search") and path.name != "sqlite_file.py":
            assert "import sqlite3" not in path.read_text("utf-8"), path


def test_top_level_is_as_agreed() -> None:
    """Nothing stands at the top level but what the layout names."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("SKIPPED LOUDLY: not a git checkout")
    listed = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_names_of_gates_are_no_modules() -> None:
    """A name imported when it is used would stand for the module of that name, once that is loaded."""
    modules = {path.stem for path in (ROOT / "docpipe" / "gates").glob("*.py")}
    assert not modules & set(gates.__all__)
    assert all(hasattr(gates, name) for name in gates.__all__)
    assert isinstance(http.retry_after, FunctionType)
