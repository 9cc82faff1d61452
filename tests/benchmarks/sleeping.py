"""docpipe whose converter only sleeps: `python -m tests.benchmarks.sleeping SECONDS`, then words of docpipe.

A real pool of real workers, in which a conversion takes as long whatever else the machine does.
"""

import functools
import sys
import time
from typing import Any

from tests.simulation.world import pass_through

TARGET = "tests.benchmarks.sleeping"


def _convert(seconds: float, job: dict[str, Any]) -> dict[str, Any]:
    """A document is its own readable form."""
    time.sleep(seconds)
    return pass_through(job)


def __getattr__(name: str) -> Any:
    """`after N` is a converter that takes N seconds: workers are given nothing but its name."""
    word, _, seconds = name.partition(" ")
    if word != "after":
        raise AttributeError(name)
    return functools.partial(_convert, float(seconds))


def main() -> int:
    from unittest import mock  # noqa: PLC0415 -- not for workers

    from docpipe import app, cli  # noqa: PLC0415 -- likewise

    make = app.make_workers

    def workers(config: Any, clock: Any, _: str, **more: Any) -> Any:
        return make(config, clock, f"{TARGET}:after {sys.argv[1]}", **more)

    with mock.patch.object(app, "make_workers", workers):
        return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
