"""What a workflow replays decides by nothing but its results: no clock, no chance, no order of the moment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCPIPE = Path(__file__).parents[3] / "docpipe"
REPLAYED = (
    *("engine/pipeline.py", "engine/files.py", "engine/budget.py"),
    *("fleet/course.py", "fleet/flow.py", "fleet/queues.py"),
)
"""What decides on the course of a run."""
MODULES = {"time", "datetime", "random", "secrets", "uuid", "threading", "os", "socket", "concurrent"}
SPANS = {"datetime"}
"""`timedelta` is a span; the time of day is another matter."""
AWAITED = {"TaskGroup", "Semaphore", "CancelledError", "shield"}
"""What ends in the same order each time; asyncio.wait and as_completed go through sets."""


def modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).split(".")[0]


def of_asyncio(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "asyncio"
        ):
            yield node.attr


def sets(tree: ast.AST) -> Iterator[int]:
    """Loops over a set: their order differs from process to process."""
    for node in ast.walk(tree):
        over = node.iter if isinstance(node, ast.For | ast.comprehension) else None
        named = isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "set"
        if over is not None and (named or isinstance(over, ast.Set | ast.SetComp)):
            yield over.lineno


@pytest.mark.parametrize("name", REPLAYED)
def test_the_pipeline_is_deterministic(name: str) -> None:
    """It knows no clock and no randomness, and waits only for what ends in the same order each time."""
    tree = ast.parse((DOCPIPE / name).read_text("utf-8"))
    assert not (MODULES - SPANS) & set(modules(tree))
    assert set(of_asyncio(tree)) <= AWAITED
    assert not list(sets(tree))
    assert "datetime." not in ast.unparse(tree).replace("datetime import timedelta", "")


def test_what_would_break_it_is_noticed() -> None:
    """The test itself can fail: a clock, a race, and an order by chance."""
    tree = ast.parse("import time\nasync def f(x):\n await asyncio.wait(x)\n for y in set(x): print(y)\n")
    assert MODULES & set(modules(tree))
    assert not set(of_asyncio(tree)) <= AWAITED
    assert list(sets(tree)) == [4]
