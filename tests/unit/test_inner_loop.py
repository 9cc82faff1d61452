"""Which tests run: the inner loop leaves slow ones out, unless their file is named."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_configure


def configured(words: list[str], **more: Any) -> str:
    """Which marks are run for a command line."""
    config: Any = SimpleNamespace(
        invocation_params=SimpleNamespace(args=words),
        args=[word for word in words if not word.startswith("-")],
        option=SimpleNamespace(markexpr="not slow"),
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
