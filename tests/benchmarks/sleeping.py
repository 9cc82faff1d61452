"""docpipe whose converter only sleeps: `python -m tests.benchmarks.sleeping SECONDS`, then words of docpipe.

A real pool of real workers, in which a conversion takes as long whatever else the machine does.
"""

import os
import sys
import time
from typing import Any

from tests.simulation.world import pass_through

SLEEP_S = "BENCHMARK_CONVERSION_SLEEPS"
"""Workers see the environment, and nothing else of who made them."""


def convert(job: dict[str, Any]) -> dict[str, Any]:
    """A document is its own readable form."""
    time.sleep(float(os.environ[SLEEP_S]))
    return pass_through(job)


def main() -> int:
    from unittest import mock  # noqa: PLC0415 -- not for workers

    from docpipe import app, cli  # noqa: PLC0415 -- likewise

    os.environ[SLEEP_S] = sys.argv[1]
    make = app.make_workers

    def workers(config: Any, clock: Any, _: str, **more: Any) -> Any:
        return make(config, clock, "tests.benchmarks.sleeping:convert", **more)

    with mock.patch.object(app, "make_workers", workers):
        return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
