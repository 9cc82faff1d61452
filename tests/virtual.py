"""Virtual time in tests: docpipe's own virtual loop, and how pytest comes by it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from docpipe.plan.virtual import EPOCH_S, Deadlock, VirtualLoop, wall_clock

__all__ = ["EPOCH_S", "Deadlock", "VirtualLoop", "loop_factories", "run", "wall_clock"]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end on a virtual loop of its own, as `asyncio.run` would."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def loop_factories(item: pytest.Item) -> dict[str, Any]:
    """For `pytest_asyncio_loop_factories`: a virtual loop where the test is marked so, else the usual one."""
    if item.get_closest_marker("virtual"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}
