"""Commands where `fleet.temporal` is set: the same words, and the same answers."""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from docpipe.checkpoints import StoredRun
from docpipe.cli.inspection import activities_of, print_log, print_report, timeline
from docpipe.cli.phrases import as_json, doing_json, no_report, no_run, print_line, warn
from docpipe.cli.plans import Plans, plans_json, print_plans
from docpipe.cli.progress import Spent
from docpipe.cli.rerun import print_cancelled
from docpipe.cli.selection import selected_patients
from docpipe.cli.status import Presence, line_of
from docpipe.cli.summary import print_summary
from docpipe.config.config import Config
from docpipe.errors import UsageError
from docpipe.fleet.checks import refuse_namespace, refuse_unfit
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.opening import open_fleet
from docpipe.fleet.planning import StoredPlans
from docpipe.fleet.queues import run_queue
from docpipe.fleet.requests import all_of, answered, notices_of
from docpipe.fleet.views import FleetRun, log_lines
from docpipe.model import RunState
from docpipe.storage import Storage
from docpipe.wiring.backends import open_storage
from docpipe.wiring.fleet import open_store

log = structlog.get_logger(__name__)

_OF_ONE_PROCESS: Final = {"until": "--until", "trace_http": "--trace-http"}
_BEGINNING: Final = ("run", "submit", "retry")
_NO_WORKER: Final = (
    "docpipe: no worker of the fleet is running: `docpipe worker` starts one; runs wait until then."
)


@dataclass(frozen=True, slots=True)
class _Open:
    """What a command uses of the fleet."""

    runs: FleetRuns
    storage: Storage
    schedules: StoredPlans
    config: Config

    async def plans(self) -> Plans:
        """Schedules that a service has begun to follow, and notifications."""
        stored, waiting = [], 0
        try:
            stored = [await self.schedules.read(schedule.name) for schedule in self.config.schedule]
        except OSError as error:  # runs are known all the same
            warn(f"docpipe: the state of the schedules is unknown: the storage cannot be used ({error}).")
        if self.config.notify.url:
            queue = run_queue(self.runs.prefix)
            waiting = await answered(lambda: notices_of(self.runs.client, queue, "Running"))
        return Plans([one for one in stored if one is not None], waiting)

    async def of(self, word: str) -> list[FleetRun]:
        """The runs that an argument names (a run or a patient), oldest first."""
        runs = await self.runs.runs(word)
        if not runs:
            raise no_run(word)
        return sorted(runs, key=lambda run: run.stored.run_id)

    async def meant(self, words: Sequence[str]) -> list[FleetRun]:
        """The unfinished runs that each argument names; where all are finished, the last one."""
        meant: dict[str, FleetRun] = {}
        for word in words:
            runs = await self.of(word)
            chosen = [run for run in runs if not run.stored.state.finished] or runs[-1:]
            meant |= {run.stored.run_id: run for run in chosen}
        return list(meant.values())


@contextlib.asynccontextmanager
async def _opened(config: Config, *, begins: bool) -> AsyncIterator[_Open]:
    """`begins`: whether it may begin runs, and so has to be sure that it belongs to this fleet."""
    async with open_fleet(config) as fleet, contextlib.AsyncExitStack() as stack:
        if begins:
            await refuse_unfit(config, fleet, await open_store(config, stack))
        else:
            await refuse_namespace(config, fleet.client)
        storage = open_storage(config)
        try:
            notify = bool(config.notify.url)
            runs = FleetRuns(fleet.client, fleet.keys, config.fleet.prefix, notify=notify)
            plans = StoredPlans(fleet.blobs, fleet.keys, config.fleet.prefix)
            yield _Open(runs, storage, plans, config)
        finally:
            await storage.close()


def _do(
    args: argparse.Namespace, config: Config, work: Callable[[argparse.Namespace, _Open], Awaitable[int]]
) -> int:
    for name, option in _OF_ONE_PROCESS.items():
        if getattr(args, name, None) is not None:
            raise UsageError(
                f"{option} is for runs of this process, and workers do a fleet's runs: leave it out."
            )

    async def done() -> int:
        async with _opened(config, begins=args.command in _BEGINNING) as fleet:
            return await work(args, fleet)

    return asyncio.run(done(), debug=args.debug)


def run(args: argparse.Namespace, config: Config) -> int:
    """Submit patients, or resume unfinished runs, and wait for their end."""
    return _do(args, config, _resume if args.command == "resume" else _run)


async def _run(args: argparse.Namespace, fleet: _Open) -> int:
    patients = await selected_patients(args, fleet.config)
    return await _watch_to_the_end(args, fleet, await fleet.runs.submit(patients, args.priority))


async def _resume(args: argparse.Namespace, fleet: _Open) -> int:
    """Workers continue by themselves: it is enough to wait."""
    wanted = set(await selected_patients(args, fleet.config))
    runs = [run for run in await fleet.runs.runs() if not run.stored.state.finished]
    return await _watch_to_the_end(
        args, fleet, [run for run in runs if not wanted or run.stored.patient_id in wanted]
    )


async def _watch_to_the_end(
    args: argparse.Namespace, fleet: _Open, runs: Sequence[FleetRun], *, summary: bool = True
) -> int:
    """Wait until runs have ended, and print what became of them; returns the exit status."""
    began = time.monotonic()
    if runs and not await fleet.runs.workers():
        warn(_NO_WORKER)
    try:
        ended = await fleet.runs.wait(runs, _announced)
    except asyncio.CancelledError:
        warn("docpipe: the runs continue in the fleet; `docpipe watch` shows them again.")
        raise
    if args.json:
        print_line(json.dumps({"runs": [as_json(run) for run in ended]}))
    elif summary:
        await print_summary(fleet.storage, ended, Spent(time.monotonic() - began, {}) if ended else None)
    return 1 if any(run.state is RunState.FAILED for run in ended) else 0


def _announced(run: StoredRun) -> None:
    log.info("run_finished", run_id=run.run_id, state=run.state, **run.counts)


def submit(args: argparse.Namespace, config: Config) -> int:
    """Submit patients."""
    return _do(args, config, _submit)


async def _submit(args: argparse.Namespace, fleet: _Open) -> int:
    patients = await selected_patients(args, fleet.config)
    runs = await fleet.runs.submit(patients, args.priority)
    if args.wait:
        return await _watched(args, fleet, runs)
    if args.json:
        print_line(json.dumps({"runs": [as_json(run.stored, at_work=True) for run in runs]}))
        return 0
    for run in runs:
        stored = run.stored
        print_line(f"{stored.run_id}  {stored.patient_id:<12}  {stored.state}")
    count = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
    warn(f"docpipe: {count} submitted to the fleet; `docpipe watch` shows the progress.")
    return 0


def watch(args: argparse.Namespace, config: Config) -> int:
    """Show runs until they have ended."""
    return _do(args, config, _watch)


async def _watch(args: argparse.Namespace, fleet: _Open) -> int:
    if args.which:
        runs = await fleet.meant(args.which)
    else:
        runs = [run for run in await fleet.runs.runs() if not run.stored.state.finished]
    if not runs and not args.json:
        print_line("Nothing to watch: no run is unfinished.")
    return await _watched(args, fleet, runs)


async def _watched(args: argparse.Namespace, fleet: _Open, runs: Sequence[FleetRun]) -> int:
    """Print each change in the progress of runs."""
    presence = Presence(at_work=True, now=time.time())
    last: dict[str, str] = {}

    def changed(run: StoredRun) -> None:
        line = _line(run, presence)
        if not args.json and last.get(run.run_id) != line:
            last[run.run_id] = line
            print_line(line)

    async def follow() -> None:
        while True:
            for run in await fleet.runs.with_progress(runs):
                changed(run)
            await asyncio.sleep(1.0 + len(runs) / 20)

    following = asyncio.create_task(follow(), name="follow")
    try:
        status = await _watch_to_the_end(args, fleet, runs, summary=False)
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    for run in () if args.json else await fleet.runs.with_progress(runs):
        changed(run)
    return status


def _line(run: StoredRun, presence: Presence) -> str:
    return "  ".join(filter(None, (run.run_id, f"{run.patient_id:<12}", line_of(run, presence))))


def status(args: argparse.Namespace, config: Config) -> int:
    """Print the state of runs."""
    return _do(args, config, _status)


async def _status(args: argparse.Namespace, fleet: _Open) -> int:
    if args.activities and not args.which:
        raise UsageError("Name a run or a patient: `docpipe status P123 --activities`.")
    runs = await fleet.of(args.which) if args.which else await fleet.runs.runs()
    runs = runs[-1:] if args.activities else runs
    presence = Presence(at_work=bool(await fleet.runs.workers()), now=time.time())
    stand = await fleet.runs.with_progress(runs)
    steps = await fleet.runs.steps(runs[-1]) if args.activities else []
    if args.json:
        listed: list[dict[str, object]] = [
            as_json(run, at_work=True) | {"doing": doing_json(run.doing)} for run in stand
        ]
        if args.activities:
            listed[-1]["activities"] = activities_of(steps)
        whole = {"runs": listed, "at_work": presence.at_work, "trouble": None}
        print_line(json.dumps(whole | plans_json(await fleet.plans())))
        return 0
    if not stand:
        print_line("There are no runs yet: `docpipe run --patient ID` starts one.")
    if not presence.at_work:
        print(_NO_WORKER, file=sys.stderr)
    for run in stand:
        print_line(_line(run, Presence(at_work=True, now=presence.now)))
        for line in timeline(steps, run, presence.now, at_work=True) if args.activities else ():
            print_line(f"  {line}")
    if not args.which:
        print_plans(await fleet.plans())
    return 0


def cancel(args: argparse.Namespace, config: Config) -> int:
    """Cancel runs."""
    return _do(args, config, _cancel)


async def _cancel(args: argparse.Namespace, fleet: _Open) -> int:
    meant = await fleet.meant(args.which)
    await all_of(fleet.runs.cancel, [run for run in meant if not run.stored.state.finished])
    ended = await fleet.runs.wait(meant)
    if args.json:
        print_line(json.dumps({"runs": [as_json(run) for run in ended]}))
    for run in () if args.json else ended:
        print_cancelled(fleet.storage, run)
    return 1 if any(run.state is not RunState.CANCELLED or run.error for run in ended) else 0


def retry(args: argparse.Namespace, config: Config) -> int:
    """Begin a finished run again."""
    return _do(args, config, _retry)


async def _retry(args: argparse.Namespace, fleet: _Open) -> int:
    latest = (await fleet.of(args.which))[-1]
    return await _watch_to_the_end(args, fleet, [await fleet.runs.retry(latest, args.first)])


def logs(args: argparse.Namespace, config: Config) -> int:
    """Print when the activities of a run began and ended."""
    return _do(args, config, _logs)


async def _logs(args: argparse.Namespace, fleet: _Open) -> int:
    latest = (await fleet.of(args.which))[-1]
    steps = await fleet.runs.steps(latest)
    lines = log_lines(latest.stored, steps)
    print_log(latest.stored, lines, steps, in_json=args.json, at_work=True)
    return 0


def report(args: argparse.Namespace, config: Config) -> int:
    """Print the last report of a patient, or open it."""
    return _do(args, config, _report)


async def _report(args: argparse.Namespace, fleet: _Open) -> int:
    runs = [run.stored for run in reversed(await fleet.of(args.which))]
    if not runs:
        raise no_run(args.which)
    if not await print_report(args, fleet.storage, runs):
        raise no_report(args.which, runs, at_work=True)
    return 0
