"""`docpipe logs`, `docpipe report`, `docpipe completion`, the timeline of `docpipe status --activities`."""

import argparse
import csv
import json
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.checkpoints import StoredRun, StoredStep, read_runs, read_steps
from docpipe.cli.dispatch import dispatch
from docpipe.cli.phrases import (
    STOPPED,
    in_short,
    no_report,
    no_run,
    print_line,
    span_words,
    state_of,
    time_words,
    wait_words,
)
from docpipe.cli.signals import run_stoppable
from docpipe.cli.summary import table
from docpipe.config.config import Config
from docpipe.engine.restart import ERROR, failed
from docpipe.errors import StateError, UsageError
from docpipe.model import OUTCOMES, Activity, Json, Outcome, count_of, describe_bytes
from docpipe.runtime.state_folder import in_use
from docpipe.util.times import iso

if TYPE_CHECKING:  # `docpipe logs` needs none
    from docpipe.engine.runfiles import File
    from docpipe.storage import Storage


def logs(args: argparse.Namespace) -> int:
    """Print the lines of the activity log about a run; returns the exit status."""
    return dispatch(args, "logs", _logs, services=False, state=True)


def _logs(args: argparse.Namespace, config: Config) -> int:
    run = _latest(config, args.which)
    lines = list(_lines(config.state_dir, run.run_id))
    steps = read_steps(config.state_dir, run.run_id)
    print_log(run, lines, steps, in_json=args.json, at_work=in_use(config.state_dir))
    return 0


def print_log(
    run: StoredRun,
    lines: Sequence[dict[str, str]],
    steps: Sequence[StoredStep],
    *,
    in_json: bool,
    at_work: bool,
) -> None:
    """Print the lines of an activity log about a run; for people with the names that its steps know.

    The log itself has no names of documents, since patients may be named in them.
    """
    if in_json:
        print_line(json.dumps({"run_id": run.run_id, "lines": lines}))
        return
    state = state_of(run, at_work=at_work).replace("_", " ")
    print_line(f"run {run.run_id} of patient {run.patient_id}: {state}")
    documents = _documents(steps)
    rows = [
        [
            line["timestamp"],
            line["activity"],
            _outcome_words(line, documents),
            "" if line["event"] == "start" else f"{float(line['duration_s']):.3f} s",
            f"try {line['attempt']}" if line["attempt"] != "1" else "",
            _name_of(line, documents),
            "" if line["args"] in ("{}", "null") else line["args"],
        ]
        for line in lines
    ]
    for row in table(rows, numbers_from=9) if rows else ():
        print_line(row)


def _documents(steps: Sequence[StoredStep]) -> dict[str, "File"]:
    """The documents of a run by their ids, under the name that came first."""
    from docpipe.engine.runfiles import files_in  # noqa: PLC0415 -- `docpipe report` needs no msgspec

    documents: dict[str, File] = {}
    for file in files_in(steps):
        if file.member.id is not None:
            documents.setdefault(file.member.id, file)
    return documents


def _document_id(line: dict[str, str]) -> str:
    """The id of the document that a line of the log is about; empty where it is about none."""
    try:
        about = json.loads(line["args"])
    except ValueError:  # a line that was cut off
        return ""
    return str(about.get("document_id", "")) if isinstance(about, dict) else ""


def _name_of(line: dict[str, str], documents: Mapping[str, "File"]) -> str:
    """The name of the document that a line of the log is about; empty where none is known."""
    file = documents.get(_document_id(line))
    return "" if file is None else in_short(file.member.path)


def _outcome_words(line: dict[str, str], documents: Mapping[str, "File"]) -> str:
    """The event or outcome of a line; a conversion may go well and show that its document cannot be read."""
    if line["event"] == "start":
        return "start"
    file = documents.get(_document_id(line))
    unread = file is not None and file.converted is not None and file.converted.outcome == Outcome.FAILED
    if unread and line["activity"] == Activity.CONVERT and line["outcome"] == "ok":
        return OUTCOMES[Outcome.FAILED]
    return line["outcome"]


def _lines(state: Path, run_id: str) -> Iterator[dict[str, str]]:
    """Oldest first: the rotated logs bear their time in their names."""
    put_aside = sorted(state.glob("activity_log-*.csv"))
    for path in (*put_aside, state / "activity_log.csv"):
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                yield from (row for row in csv.DictReader(file) if row["run_id"] == run_id)


def _latest(config: Config, word: str) -> StoredRun:
    runs = read_runs(config.state_dir, word)
    if not runs:
        raise no_run(word)
    return max(runs, key=lambda run: run.run_id)


def timeline(
    steps: Sequence[StoredStep], run: StoredRun, now: float | None, *, at_work: bool
) -> Iterator[str]:
    """Each activity of a run: when, how long, its tries, what came of it, what it waits for.

    Args:
        steps: its activities.
        run: whose they are.
        now: until when activities that have no end are counted (seconds since the epoch), None where nobody
            knows.
        at_work: whether a process is running on the state folder. What has no end is under way only while one
            is, and the run is unfinished.
    """
    rows = [["began", "took with waits", "activity", "", "tries", "result"]]
    under_way = at_work and not run.state.finished
    doing = run.doing if under_way else None
    open_end = "under way" if under_way else "not finished" if run.state.finished else STOPPED
    paths = _paths(steps)
    for step in _in_order(steps):
        over = step.finished_at is not None
        end = step.finished_at or (None if run.state.finished else now)  # nobody knows when it was cancelled
        current = not over and doing and doing.activity == step.activity
        wait = wait_words(doing.wait, now) if current and doing and now is not None else ""
        rows.append(
            [
                time_words(step.started_at),
                "" if end is None else _took(max(0.0, end - step.started_at)),
                step.activity,
                in_short(paths.get(step.item, step.item)),
                str(step.attempts),
                _result(step, for_people=True) if over else wait or open_end,
            ]
        )
    yield from table(rows, numbers_from=9)


def activities_of(steps: Sequence[StoredStep]) -> list[Json]:
    """The activities of a run as `--json` prints them; times are ISO 8601 in UTC."""
    paths = _paths(steps)
    return [
        {
            "activity": step.activity,
            "item": step.item,
            "path": paths.get(step.item),
            "attempts": step.attempts,
            "started_at": iso(step.started_at),
            "finished_at": iso(step.finished_at),
            "result": None if step.finished_at is None else _result(step),
        }
        for step in _in_order(steps)
    ]


def _in_order(steps: Sequence[StoredStep]) -> list[StoredStep]:
    return sorted(steps, key=lambda step: (step.started_at, step.item))


def _paths(steps: Sequence[StoredStep]) -> dict[str, str]:
    """The names of documents in their archive, by the item of their activities."""
    from docpipe.engine.runfiles import files_in  # noqa: PLC0415 -- a plain `docpipe status` needs no msgspec

    return {file.item: file.member.path for file in files_in(steps)}


def _took(seconds: float) -> str:
    return span_words(seconds) if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _result(step: StoredStep, *, for_people: bool = False) -> str:
    """The result of a step in a few words; nothing of the content of documents.

    `for_people`: outcomes and sizes are in the words of page and report, not in those of JSON.
    """
    result: Any = step.result
    if failed(result):
        return f"failed: {result[ERROR]}"
    if not isinstance(result, dict):
        return "ok"
    describe = {
        Activity.CREATE_TASK: lambda: f"task {result['task_id']}",
        Activity.SEARCH: lambda: f"search {result['search_id']}",
        Activity.CHECK_STATUS: lambda: _of_search(result),
        Activity.DOWNLOAD: lambda: _of_archive(result, for_people=for_people),
        Activity.CONVERT: lambda: ": ".join(
            filter(
                None,
                (OUTCOMES[result["outcome"]] if for_people else result["outcome"], result["reason"]),
            )
        ),
    }.get(Activity(step.activity))
    try:
        return describe() if describe else "ok"
    except (KeyError, TypeError):  # an expired search has no archive, for instance
        return str(result.get("state", "ok"))


def _of_search(result: Any) -> str:
    return f"{result.get('state', 'ok')} after {count_of(result.get('polls', 0), 'question')}"


def _of_archive(result: Any, *, for_people: bool) -> str:
    size, files = result["size"], len(result["members"])
    if not for_people:
        return f"{size} bytes, {files} files"
    return f"{describe_bytes(size)}, {count_of(files, 'file')}"


def report(args: argparse.Namespace) -> int:
    """Print the last report of a patient, or open it; returns the exit status."""
    return dispatch(args, "report", _report, services=False, state=True)


def _report(args: argparse.Namespace, config: Config) -> int:
    from docpipe.wiring.backends import open_storage  # noqa: PLC0415 -- the rest of this module needs no storage

    runs = sorted(read_runs(config.state_dir, args.which), key=lambda run: run.run_id, reverse=True)
    if not runs:
        raise no_run(args.which)
    if not run_stoppable(print_report(args, open_storage(config), runs), debug=args.debug):
        raise no_report(args.which, runs, at_work=in_use(config.state_dir))
    return 0


async def print_report(args: argparse.Namespace, storage: "Storage", runs: Sequence[StoredRun]) -> bool:
    """Print the report of the first run that has one, or open it; returns whether one has.

    Raises:
        UsageError: if there is no browser.
        StateError: if the storage cannot be read.
    """
    for run in runs:
        try:
            text = await storage.get_run_file(run.patient_id, run.run_id, "report.json")
        except OSError as error:
            raise StateError(f"The storage cannot be read: {error.strerror}.") from error
        if text is None:
            continue
        where = f"{storage.location(run.patient_id, run_id=run.run_id)}/report.html"
        if not args.open:
            print_line(_printed(text, where))
        elif not webbrowser.open(where if "://" in where else Path(where).as_uri()):
            raise UsageError(f"No browser can be opened here; the report is {where}")
        print_line(f"\nreport: {where}")
        return True
    return False


def _printed(text: bytes, where: str) -> str:
    """A stored report.json, as lines for people; `where` names the page with the same content."""
    import msgspec  # noqa: PLC0415 -- the rest of this module needs neither

    from docpipe.report.terminal import as_lines  # noqa: PLC0415
    from docpipe.results.report import Report  # noqa: PLC0415

    try:
        return "\n".join(as_lines(msgspec.json.decode(text, type=Report)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateError(
            f"report.json is damaged or of another version; open {where} instead, which has the same content"
        ) from error


def completion(args: argparse.Namespace) -> int:
    """Print a script for a shell; returns the exit status."""
    import shtab  # noqa: PLC0415 -- nothing else needs it

    from docpipe.cli.options import parser  # noqa: PLC0415

    commands = parser()
    _forget_numbers(commands)
    print_line(shtab.complete(commands, args.shell))
    return 0


def _forget_numbers(parser: argparse.ArgumentParser) -> None:
    """Take away the choices that are ranges of numbers: nobody completes one of 65,536 ports."""
    for action in parser._actions:  # noqa: SLF001 -- shtab reads them there, too
        if isinstance(action.choices, range):
            action.choices = None
        elif isinstance(action.choices, dict):
            for command in action.choices.values():
                _forget_numbers(command)
