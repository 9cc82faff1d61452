"""A soak: `python -m tests.soak --hours 2`. Random worlds, one after the other, until the time is up.

Each world is virtual: some patients, an exchange of one kind or the other, outages, lost, late and swapped
answers, crashes, disks that refuse writes, locks on the database, a clock that is set, rates that change, low
limits, in any mixture. Each is held against the invariants of
tests/simulation/invariants.py. A failure is printed with the seed and the number of its world, which make it
again: `--seed N --world K`.
"""

import argparse
import errno
import logging
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from docpipe.model import Rate
from fakes import FhirOptions
from tests import full_disk
from tests.simulation.crashes import Failure, Plan, stage, tried
from tests.simulation.lives import prepared

PATIENTS = tuple(f"P{number}" for number in range(1, 7))
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EAGAIN)
"""Not ENOMEM and EMFILE: in a conversion they are the document's own, which has its limits."""
OPERATIONS = {
    "docex": ("docex.search", "docex.status", "docex.link", "docex.archive", "docex.*"),
    "fhir": ("fhir.search", "fhir.status", "fhir.page", "fhir.file", "fhir.*"),
}
TRACKER = ("tracker.create", "tracker.find", "tracker.get", "tracker.update", "tracker.report", "tracker.*")
ANSWERS = (
    *("503", "503 retry_after=7", "429 retry_after=3", "html200", "empty502", "reset", "close", "truncate"),
    *("hang seconds=40", "delay seconds=3", "delay seconds=45", "slow seconds=20", "503 retry_after=date:9"),
    *("plain503", "cached", "500", "503 retry_after=epoch:5"),
)
MIXED_SEARCHES = ("docex.search", "docex.link", "docex.*", "*")
NOT_FHIR = ("cached",)
"""A file of another patient is left out, and the run ends with errors."""
STRANGERS = (
    "plain404",
    "plain410",
    "html401",
    "html403",
    "html404",
    "html410",
    "html451",
    "away302",
    "empty403",
)
"""What proxies and firewalls answer in place of a service: at one path alone, for a long time, too."""
OFTEN = {"corrupt": 2, "remake seconds=9": 5}
"""How often at most: after three damaged archives, or six links that are refused, a run has failed."""
OF_ONE = {
    "docex.archive": ("corrupt", "slow seconds=200"),
    "docex.link": ("remake seconds=9",),
    "fhir.status": ("fhir503",),
    "fhir.page": ("fhir503",),
    "tracker.create": ("forget",),
    "tracker.find": ("unfiltered",),
}
"""Answers that fit one operation alone."""
HOUR_S = 3600.0
STEPS = (1.0, -1.0, 30.0, -30.0, HOUR_S, -HOUR_S, 200 * 24 * HOUR_S, -400 * 24 * HOUR_S)
SEARCHES = (Rate(2, 60.0), Rate(1, 60.0), Rate(2, 120.0))
OTHERS = (Rate(2, 1.0), Rate(1, 1.0), Rate(2, 3.0))
"""Rates that keep within those of the services, which stay as they are, in any order of changes."""
_STARTED = 60
"""Writes with which a process has opened state and storage; trouble before that ends it, with a sentence."""
EFFECTS = ("lost", "late seconds=45", "swapped")
"""Answers after which the service has done what was asked. (With forgotten keys it would do that twice.)"""


def world(rng: random.Random) -> Plan:
    """Draw one."""
    kind = rng.choice(("docex", "docex", "fhir"))
    lives = rng.choice((0, 0, 1, 1, 2, 4, 8))
    options: list[tuple[str, object]] = [
        ("latency", rng.choice((0.0, 0.05, 0.4))),
        ("jitter", rng.choice((0.0, 0.3))),
        ("search_seconds", rng.choice(((2.0, 2.0), (0.0, 1.0), (1.0, 90.0)))),
    ]
    if kind == "fhir":
        content = rng.choice(("absolute", "relative"))
        options.append(("fhir", FhirOptions(page=rng.randint(1, 4), content=content)))
    return Plan(
        patients=PATIENTS[: rng.randint(1, len(PATIENTS))],
        kills=tuple(rng.randint(1, 900) for _ in range(lives)),
        gaps=tuple(rng.choice((0.0, 0.3, 1.0, 5.0, 70.0)) for _ in range(lives)),
        faults=tuple(_fault(rng, kind) for _ in range(rng.randint(0, 5))),
        options=tuple(options),
        seed=rng.randrange(1000),
        kind=kind,
        mode=rng.choice(("auto", "documents", "export")) if kind == "fhir" else "auto",
        troubles=tuple(_trouble(rng) for _ in range(rng.choice((0, 0, 1, 2)))),
        locks=tuple((rng.uniform(0, 90), rng.choice((0.5, 8, 30))) for _ in range(rng.choice((0, 0, 1, 3)))),
        steps=tuple((rng.uniform(0, 200), rng.choice(STEPS)) for _ in range(rng.choice((0, 0, 1, 3)))),
        rates=tuple(sorted(_rates(rng) for _ in range(rng.choice((0, 0, 1, 3))))),
        docex=(("max_downloads", rng.choice((1, 2, 8))), ("spacing", rng.choice(("even", "burst")))),
    )


def _rates(rng: random.Random) -> tuple[float, Rate, Rate]:
    return rng.uniform(0, 200), rng.choice(SEARCHES), rng.choice(OTHERS)


def _fault(rng: random.Random, kind: str) -> str:
    operation = rng.choice((*OPERATIONS[kind], *TRACKER, "*"))
    answers = tuple(answer for answer in ANSWERS if kind != "fhir" or answer not in NOT_FHIR)
    answers = (*answers, *STRANGERS, *OF_ONE.get(operation, ()))
    if kind != "fhir" or operation.startswith("tracker"):
        answers = (*answers, *EFFECTS)
    if operation in MIXED_SEARCHES:  # a mixed-up search is begun anew; a link has four tries
        answers = tuple(answer for answer in answers if answer not in ("cached", "swapped"))
    answer, since = rng.choice(answers), rng.randint(0, 90)
    times, odds = rng.randint(1, OFTEN.get(answer, 6)), rng.choice((1.0, 0.5))
    until = since + rng.choice((5, 41, 200))
    if answer in STRANGERS and rng.random() < 0.5:
        return f"{operation} {answer} from={since} until={since + rng.choice((41, 200, 800))}"
    return f"{operation} {answer} from={since} until={until} times={times} probability={odds}"


def _trouble(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(_STARTED, 400), rng.choice((1, 1, 3, 20)), rng.choice(ERRORS)


@dataclass
class Figures:
    """What a soak has done so far."""

    seed: int
    worlds: int = 0
    lives: int = 0
    points: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def note(self, number: int, plan: Plan, end: object) -> None:
        """Count a world, and keep what is wrong with it."""
        self.worlds += 1
        self.kinds[plan.kind] += 1
        if isinstance(end, Failure):
            self.failures.append(f"FAILED --seed {self.seed} --world {number}: {end.error}\n  {plan}")
        else:
            self.lives += len(end.lives)
            self.points += sum(map(len, end.lives))

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"seed {self.seed}: {self.worlds} worlds ({kinds}), {self.lives} lives, "
            f"{self.points} points passed, {len(self.failures)} failures"
        )


def soak(seed: int, numbers: Iterator[int]) -> Iterator[Figures]:
    """Live worlds of these numbers; yields the figures after each."""
    figures = Figures(seed)
    with stage(PATIENTS) as folder, prepared(), full_disk.prepared():
        for number in numbers:
            plan = world(random.Random(f"{seed}/{number}"))
            figures.note(number, plan, tried(plan, Path(folder)))
            yield figures


def _until(end: float) -> Iterator[int]:
    number = 0
    while time.monotonic() < end:
        yield number
        number += 1


def main() -> int:
    """Soak; the exit status is 1 where a world did not end well."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--hours", type=float, default=1 / 6, help="how long (default: ten minutes)")
    parser.add_argument("--seed", type=int, help="of an earlier soak, to live it again")
    parser.add_argument("--world", type=int, metavar="K", help="only this one of the seed's worlds")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # of requests whose client died
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    numbers = _until(time.monotonic() + args.hours * 3600) if args.world is None else iter((args.world,))
    figures, printed, failed = Figures(seed), time.monotonic(), 0
    for figures in soak(seed, numbers):
        for failure in figures.failures[failed:]:
            print(failure, flush=True)  # noqa: T201 -- printing is what a command does
        failed = len(figures.failures)
        if time.monotonic() - printed > 60:
            printed = time.monotonic()
            print(figures, flush=True)  # noqa: T201
    print(figures)  # noqa: T201
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
