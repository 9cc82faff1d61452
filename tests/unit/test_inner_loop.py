"""Which tests run, and how thoroughly: the inner loop leaves slow ones out, unless their file is named."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.conftest import pytest_configure


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
