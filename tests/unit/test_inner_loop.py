"""Which tests run, and how thoroughly: the inner loop leaves slow ones out, unless their file is named."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.conftest import dealt, pytest_configure


@dataclass(frozen=True)
class Named:
    """A test, as far as its order depends on it."""

    nodeid: str


@pytest.fixture(autouse=True)
def profiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The profiles of Hypothesis that are loaded; the tests of this process keep theirs."""
    loaded: list[str] = []
    monkeypatch.setattr(conftest, "_load_profile", loaded.append)
    return loaded


def configured(words: list[str], markexpr: str = "not slow", **more: Any) -> str:
    """Which marks are run for a command line."""
    config: Any = SimpleNamespace(
        invocation_params=SimpleNamespace(args=words),
        args=[word for word in words if not word.startswith("-")],
        option=SimpleNamespace(markexpr=markexpr),
        **more,
    )
    pytest_configure(config)
    return str(config.option.markexpr)


@pytest.mark.parametrize("more", [{}, {"workerinput": {}}], ids=["controller", "worker"])
def test_a_file_that_is_named_runs_whole(more: dict[str, Any]) -> None:
    """Also in parallel, where each worker chooses for itself: else nothing of a slow file would run."""
    assert configured([__file__], **more) == ""
    assert configured([f"{__file__}::test_x", "-q"], **more) == ""
    assert configured(["-q", "tests"], **more) == "not slow"
    assert configured(["-m=not slow", __file__], **more) == "not slow"


@pytest.mark.parametrize(
    ("words", "in_ci", "profile"),
    [(["tests"], False, ["inner"]), (["tests"], True, []), ([__file__], False, []), (["-m", ""], False, [])],
    ids=["inner loop", "CI", "a file", "everything"],
)
def test_the_inner_loop_tries_fewer_examples(
    words: list[str], *, in_ci: bool, profile: list[str], profiles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them where everything runs, where a file is named, and in CI."""
    monkeypatch.setattr(conftest, "_IN_CI", in_ci)
    expression = words[1] if words[0] == "-m" else "not slow"
    configured(words, markexpr=expression)
    assert profiles == profile


def test_each_worker_begins_with_a_share_of_the_longest() -> None:
    """None of them comes twice or is left out, and none waits behind a worker's short tests."""
    names = [f"tests/unit/test_x.py::test_{number}" for number in range(10)]
    names += [f"tests/{name}" for name in conftest._LONGEST[::-1]]
    items: list[Any] = [Named(name) for name in names]
    for workers in (1, 2, 3, 7):
        order = [item.nodeid for item in dealt(items, workers)]
        assert sorted(order) == sorted(names)
        begins = [0]
        for left in range(workers, 1, -1):
            begins.append(begins[-1] + (len(names) - begins[-1]) // left)
        firsts = [order[begin] for begin in begins]
        assert firsts == [f"tests/{name}" for name in conftest._LONGEST[:workers]]
