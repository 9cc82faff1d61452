"""The structure holds: imports point down, files and functions stay small, the top level is as agreed."""

import ast
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"__main__"},
    {"cli"},
    {"web", "client", "plan"},
    {"service"},
    {"byhand", "check"},
    {"access"},
    {"limits", "places"},
    {"tracing", "tidying"},
    {"engine"},
    {"runs"},
    {"pipeline", "retries", "waited"},
    {"interfaces"},
    {"activities"},
    {"report"},
    {"fhir"},
    {"archive"},
    {"tracker"},
    {"exchange"},
    {"polling", "room"},
    {"patients", "storage", "convert"},
    {"http"},
    {"gates", "workers", "checkpoints", "activity_log", "state"},
    {"logs", "privacy", "lines", "durable", "interpreter"},
    {"config"},
    {"jsons"},
    {"values"},
    {"model", "errors"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SOURCES = sorted((ROOT / "docpipe").rglob("*.py"))
TOP_LEVEL = {
    *("docpipe", "fakes", "tests", "config.toml", "pyproject.toml", "Containerfile", "README.md"),
    *("LICENSE", "CHANGELOG.md", "requirements.lock"),
}


def imported(path: Path) -> Iterator[str]:
    """Modules of the project that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in ("docpipe", "fakes"))


def part(path: Path) -> str:
    return path.relative_to(ROOT / "docpipe").with_suffix("").parts[0]


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.parent.name != "docpipe" or p.name != "__init__.py"]
)
def test_imports_point_down(path: Path) -> None:
    """A module imports only from layers below its own, and from its own package."""
    mine = part(path)
    for name in imported(path):
        package, *rest = name.split(".")
        if package == "fakes":
            assert mine in ("service", "places"), f"{path} imports fakes; they are for a first try only"
        elif rest[0] in RANK and rest[0] != mine:
            assert RANK[rest[0]] > RANK[mine], f"{path} imports upward: {name}"
        else:
            assert rest[0] in RANK or rest == ["__version__"], f"{name} has no place in the layers"


def test_fakes_stand_alone() -> None:
    """The fakes import nothing of docpipe, so that they are a judge and not an accomplice."""
    for path in (ROOT / "fakes").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "docpipe"], path


def test_converters_know_only_the_words() -> None:
    """What runs in a worker process loads no more of docpipe than errors and model."""
    for path in (ROOT / "docpipe" / "convert").rglob("*.py"):
        names = {name.split(".")[1] for name in imported(path)}
        assert names <= {"convert", "errors", "model", "__version__"}, path


@pytest.mark.parametrize("path", [*SOURCES, *sorted((ROOT / "fakes").rglob("*.py"))])
def test_files_and_functions_are_small(path: Path) -> None:
    """A file has fewer than 400 lines, a function fewer than 50."""
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert lines <= 50, f"{path}: {node.name} has {lines} lines"


def test_only_checkpoints_know_sqlite() -> None:
    """SQL stands in one package; the patients database goes through SQLAlchemy."""
    for path in SOURCES:
        if part(path) != "checkpoints":
            assert "import sqlite3" not in path.read_text("utf-8"), path


def test_top_level_is_as_agreed() -> None:
    """Nothing stands at the top level but what the layout names."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("SKIPPED LOUDLY: not a git checkout")
    listed = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL
