"""What benchmarks return, how it is judged, and how it is shown beside an earlier run."""

import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DISK = "/var/tmp"  # noqa: S108 -- what is made there has a name by chance
"""Not in memory, as /tmp may be, and not in the repository, where git would find it."""
_GOAL = re.compile(r"(<=|>=) ([0-9.]+)( x)?")
_NOISE = 0.05
"""A change below this part of a figure is not worth a mark."""


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark, and what it is to be compared with."""

    name: str
    value: float
    unit: str = ""
    yardstick: str = ""
    """What it was measured against in the same run, in a few words; empty where there is none."""
    against: float | None = None
    """The yardstick's own figure, in the same unit."""
    goal: str = ""
    """Such as "<= 50", ">= 20000", or "<= 1.5 x" of the yardstick; empty for what is only reported."""

    @property
    def ratio(self) -> float | None:
        return self.value / self.against if self.against else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached, None where there is none."""
        if not self.goal:
            return None
        match = _GOAL.fullmatch(self.goal)
        if match is None:
            raise ValueError(f'{self.goal!r} is no goal: write "<= 50", ">= 20000" or "<= 1.5 x"')
        judged = self.ratio if match[3] else self.value
        if judged is None:
            raise ValueError(f"{self.name} has a goal by ratio, and no yardstick")
        return judged <= float(match[2]) if match[1] == "<=" else judged >= float(match[2])


Benchmark = Callable[[], list[Figure]]


def machine() -> dict[str, Any]:
    """Where this ran."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "model": model[1] if model else platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "at": time.strftime("%Y-%m-%d %H:%M"),
    }


def written(figures: dict[str, list[Figure]]) -> list[dict[str, Any]]:
    """As JSON, one object a figure."""
    return [
        {"benchmark": name, **asdict(figure), "ratio": figure.ratio, "met": figure.met}
        for name, result in figures.items()
        for figure in result
    ]


def table(rows: Sequence[dict[str, Any]], before: Iterable[dict[str, Any]] = ()) -> str:
    """The table; with what an earlier run found, what has changed since."""
    was = {(row["benchmark"], row["name"]): row["value"] for row in before}
    head = ["", "", "", "yardstick", "", "ratio", "goal", ""]
    lines = [[*head, "before", "change"] if was else head]
    for row in rows:
        line = [
            row["benchmark"],
            row["name"],
            f"{_number(row['value'])} {row['unit']}",
            "" if row["against"] is None else f"{_number(row['against'])} {row['unit']}",
            row["yardstick"],
            "" if row["ratio"] is None else f"{row['ratio']:.2f} x",
            row["goal"],
            {None: "", True: "met", False: "MISSED"}[row["met"]],
        ]
        if was:
            line += _change(row["value"], was.get((row["benchmark"], row["name"])))
        lines.append(line)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = (2, 3, 5, 8, 9)
    return "\n".join(
        "  ".join(
            word.rjust(width) if number in right else word.ljust(width)
            for number, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _change(value: float, was: float | None) -> list[str]:
    if not was:
        return ["new" if was is None else "0", ""]
    part = value / was - 1
    return [_number(was), f"{part:+.0%}" if abs(part) >= _NOISE else "same"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def cpu(who: int = resource.RUSAGE_SELF) -> float:
    """Seconds of CPU this process (with RUSAGE_CHILDREN: its ended children) has used."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def command(*words: str) -> float:
    """Seconds that Python takes for a command of its own."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began


def best(work: Callable[[], float], times: int = 5) -> float:
    return min(work() for _ in range(times))


def read(path: Path) -> list[dict[str, Any]]:
    """The figures that an earlier run has written."""
    return list(json.loads(path.read_text("utf-8"))["figures"])
