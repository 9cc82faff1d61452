"""`python -m tests.simulation.hazards --seeds 200`: the worst window that a server saw, by hazard."""

import argparse
import logging

import structlog

from docpipe.model import Rate
from tests import virtual
from tests.gate_world import worst_window
from tests.simulation.test_gates_window import HAZARDS, simulate

RATES = (Rate(10, 1.0), Rate(10, 60.0), Rate(4, 1.0))


def main() -> None:
    """Print the table; the exit status is 1 where a window held too many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    broken = 0
    print(f"worst window of {seeds} seeds".ljust(28) + "".join(f"{rate!s:>10}" for rate in RATES))
    for hazards in [frozenset(), *(frozenset({name}) for name in HAZARDS), frozenset(HAZARDS)]:
        name = "none" if not hazards else next(iter(hazards)) if len(hazards) == 1 else "all at once"
        row = name.ljust(28)
        for rate in RATES:
            worst = max(
                worst_window(virtual.run(simulate(seed, rate, hazards, calls=42))[0], rate.per)
                for seed in range(seeds)
            )
            broken += worst > rate.n
            row += f"{worst:>10}"
        print(row, flush=True)
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
