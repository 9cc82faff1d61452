"""The commands of the command line and their options."""

import argparse
from pathlib import Path

from docpipe import __version__
from docpipe.cli.options_of_fleet import add_fleet
from docpipe.cli.options_of_inspection import (
    add_chart,
    add_completion,
    add_docs,
    add_forget,
    add_logs,
    add_report,
    add_search,
    add_worker,
)
from docpipe.cli.options_of_plan import add_plan
from docpipe.cli.usage import Parser, meant
from docpipe.model import Activity

_Commands = argparse._SubParsersAction  # noqa: SLF001 -- argparse gives the type no public name
_EPILOG = """\
exit status:
  0    every run completed; errors in single documents are listed, and leave it 0;
       with --until also when a run stopped after that activity
  1    a run failed, could not be cancelled, or `check` found something wrong
  2    bad usage or configuration, or a state folder that cannot be used
  130  stopped by Ctrl-C, 143 by SIGTERM; `docpipe resume` continues

Each key of config.toml can be set by the environment: DOCPIPE_<SECTION>__<KEY>,
for instance DOCPIPE_DOCEX__BASE_URL.
"""


def _activity(text: str) -> Activity:
    try:
        return Activity(text)
    except ValueError:
        near = meant(text, Activity) or f"; they are {', '.join(Activity)}"
        raise argparse.ArgumentTypeError(f"there is no activity {text!r}{near}") from None


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    common = _common()
    top: argparse.ArgumentParser = Parser(
        prog="docpipe",
        parents=[common],
        description="Retrieve every document that a health-information exchange holds for a patient, "
        "convert, store and report it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"docpipe {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument(
        "--json", action="store_true", help="print one JSON object on standard output, nothing else there"
    )
    by_service, working = _by_service(), _working()
    _add_run(commands, [common, as_json, working])
    _add_resume(commands, [common, as_json, working])
    _add_status(commands, [common, as_json, by_service])
    _add_cancel(commands, [common, as_json, by_service])
    _add_retry(commands, [common, as_json, by_service, working])
    _add_check(commands, [common, as_json])
    _add_convert(commands, [common, as_json])
    _add_patients(commands, common, as_json)
    add_forget(commands, [common, as_json])
    _add_serve(commands, [common])
    add_fleet(commands, [common])
    _add_submit(commands, [common, as_json, by_service])
    _add_watch(commands, [common, as_json, by_service])
    add_worker(commands, [common])
    add_logs(commands, [common, as_json])
    add_report(commands, [common])
    add_search(commands, [common, as_json])
    add_chart(commands, [common, as_json])
    add_plan(commands, [common, as_json])
    add_docs(commands)
    add_completion(commands)
    return top


def _by_service() -> argparse.ArgumentParser:
    """The option that has a command done by a service."""
    by_service = argparse.ArgumentParser(add_help=False)
    by_service.add_argument(
        "--service",
        nargs="?",
        const="",
        metavar="URL",
        help="have a service do it: the one at this address; without an address, the one that uses the state "
        "folder, else the one at service.host and service.port. Its token: DOCPIPE_SERVICE__TOKEN "
        "or DOCPIPE_SERVICE__TOKEN_FILE",
    )
    return by_service


def _working() -> argparse.ArgumentParser:
    """Options of the commands that run patients here."""
    working = argparse.ArgumentParser(add_help=False)
    amount = working.add_mutually_exclusive_group()
    amount.add_argument("-q", "--quiet", action="store_true", help="show only what needs attention")
    amount.add_argument("-v", "--verbose", action="store_true", help="show every activity of every patient")
    working.add_argument(
        "--until",
        type=_activity,
        choices=list(Activity),
        metavar="ACTIVITY",
        help="stop after this activity of each run; `docpipe resume` continues. For debugging",
    )
    working.add_argument(
        "--trace-http",
        type=Path,
        metavar="FILE",
        help="write every HTTP exchange to this file as HAR, for a browser's network view. Secrets are left "
        "out, but bodies quote patient data",
    )
    return working


def _common() -> argparse.ArgumentParser:
    """Options that stand before or after the command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="configuration (default: ./config.toml)",
    )
    common.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="convert inside the process, without limits, so that breakpoint() works; show debug logs and "
        "tracebacks, which may quote patient data",
    )
    return common


def _add_run(commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        parents=parents,
        help="retrieve the documents of patients",
        description="Retrieve the documents of one or more patients. A patient with an unfinished run "
        "continues that one.",
        epilog="example: docpipe run --patient P123 --patient P124",
    )
    _add_patients_wanted(run)


def _add_patients_wanted(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--patient", action="append", default=[], metavar="ID", help="a patient; may be repeated"
    )
    run.add_argument(
        "--patients",
        type=Path,
        metavar="FILE",
        help="one patient id per line, or a CSV file with a column `id`",
    )
    run.add_argument("--all", action="store_true", help="everybody in the patients database")
    run.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="everybody there whose column has this value; also != < <= > >=. Repeated, all of them hold",
    )
    run.add_argument(
        "--priority",
        type=int,
        choices=range(10),
        default=0,
        metavar="N",
        help="0 to 9; higher goes first in every line; a level is worth an hour of waiting (default 0)",
    )


def _add_resume(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    resume = commands.add_parser(
        "resume",
        parents=parents,
        help="resume unfinished runs",
        description="Resume every unfinished run, or those of some patients. Finished activities are not "
        "repeated.",
    )
    resume.add_argument(
        "--patient", action="append", default=[], metavar="ID", help="a patient; may be repeated"
    )
    resume.add_argument(
        "--unpause",
        "--go-on",  # its name before 0.1.0
        action="store_true",
        help="end pauses that a service left behind",
    )


def _add_status(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    status = commands.add_parser(
        "status",
        parents=parents,
        help="show where runs stand and what they wait for",
        description="Show the state of runs and what they wait for, also while docpipe runs.",
    )
    status.add_argument("which", nargs="?", metavar="PATIENT or RUN", help="only these runs")
    status.add_argument(
        "--activities",
        action="store_true",
        help="show the timeline of the run: each activity with its tries, waits and results",
    )


def _add_cancel(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    cancel = commands.add_parser(
        "cancel",
        parents=parents,
        help="cancel unfinished runs",
        description="Cancel unfinished runs: nothing more is retrieved, and the task in the tracker is "
        "closed as cancelled. Documents that are stored already stay. A cancelled run is neither resumed nor "
        "retried. While the tracker is down the command waits; Ctrl-C leaves the rest to `docpipe resume`.",
        epilog="example: docpipe cancel P123",
    )
    cancel.add_argument(
        "which",
        nargs="+",
        metavar="PATIENT|RUN",
        help="a patient, for the unfinished run that it has, or a run",
    )


def _add_retry(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    retry = commands.add_parser(
        "retry",
        parents=parents,
        help="do a finished run again, or a part of it",
        description="Do a finished run again from an activity on, and see it to the end. Without --from "
        "that is what failed: the activity that stopped the run (a new search where the search itself "
        "failed, or its archive lacked documents), the conversions where documents failed, the status where "
        "the tracker did not take it. "
        "Documents that are readable already are not converted again; no second task is made; the task gets "
        "another report. Where the task may not be changed any more, the run continues all the same, and "
        "says so at its end.",
        epilog="activities, in their order: " + ", ".join(Activity) + ". Example: docpipe retry P123 --from "
        "DocEx_Search",
    )
    retry.add_argument("which", metavar="RUN|PATIENT", help="a run, or a patient for the latest one")
    retry.add_argument(
        "--from",
        dest="first",
        type=_activity,
        choices=list(Activity),
        metavar="ACTIVITY",
        help="do this activity and all later ones again; what failed before it, too",
    )


def _add_check(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    check = commands.add_parser(
        "check",
        parents=parents,
        help="test whether every part can be used, and verify stored data",
        description="Try each part: configuration, services (one harmless question each, and no search), "
        "patients, storage, converters, OCR, LibreOffice, disks and memory. Then verify the checkpoint "
        "database, the state folder, the activity log and every stored document. It names the cure of each "
        "problem. It may run beside another docpipe: it sends nothing to the services then, and "
        "leaves out what a run is working on.",
        epilog="exit status: 0 when there is no problem, or each was repaired; else 1",
    )
    check.add_argument(
        "--notify",
        action="store_true",
        help="send one event of the type docpipe.test to the receiver of notifications",
    )
    check.add_argument(
        "--repair",
        action="store_true",
        help="convert documents again that lost their readable forms, remove leftovers, correct permissions, "
        "and name what is permanently lost; no other docpipe may be running",
    )


def _add_convert(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    convert = commands.add_parser(
        "convert",
        parents=parents,
        help="convert files by hand",
        description="Convert files as a run does, with the same workers and limits, but without any service. "
        "Archives are opened, and documents within documents are converted, too. Each document gets a folder "
        "named after it, with document.pdf, text.md, thumbnail.png and metadata.json. What was converted "
        "before from the same bytes by the same docpipe is left as it is, with the documents in it.",
        epilog="exit status: 0 when all is converted or kept as it is, 1 when a file failed or was refused. "
        "Example: docpipe convert letter.rtf scans/ --to readable",
    )
    convert.add_argument(
        "file", nargs="+", type=Path, metavar="FILE", help="a file, an archive, or a folder of them"
    )
    convert.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="where the readable documents go"
    )
    convert.add_argument(
        "--again", action="store_true", help="convert also documents that were converted before"
    )


def _add_patients(
    commands: "_Commands[argparse.ArgumentParser]",
    common: argparse.ArgumentParser,
    as_json: argparse.ArgumentParser,
) -> None:
    patients = commands.add_parser("patients", help="import or list patients").add_subparsers(
        dest="patients_command", required=True, metavar="COMMAND"
    )
    load = patients.add_parser(
        "import",
        parents=[common],
        help="add patients from a CSV file",
        description="Add patients from a CSV file with the columns id, given, family, birth_date, sex, "
        "postal_code. A bad row is refused with its line number, and the rest goes in.",
    )
    load.add_argument("file", type=Path, metavar="FILE.csv")
    patients.add_parser("list", parents=[common, as_json], help="list the patients")


def _add_serve(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    serve = commands.add_parser(
        "serve",
        parents=parents,
        help="run as a service, with an HTTP API and a page",
        description="Run as a service until SIGTERM or Ctrl-C: resumes unfinished runs, takes patients in by "
        "HTTP, and shows a page. It listens on 127.0.0.1 unless configured otherwise; where no token is "
        "configured it makes one, and prints a link to sign in once. SIGHUP takes over the rates of a "
        "changed configuration.",
        epilog="example: docpipe serve --port 8080",
    )
    serve.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: service.host)")
    serve.add_argument(
        "--port", type=int, choices=range(65536), metavar="N", help="port (default: service.port)"
    )


def _add_submit(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    submit = commands.add_parser(
        "submit",
        parents=parents,
        help="have a service retrieve the documents of patients",
        description="Submit patients to a service that runs already (`docpipe serve`). A patient with an "
        "unfinished run continues that one.",
        epilog="example: docpipe submit --patient P123 --wait",
    )
    _add_patients_wanted(submit)
    submit.add_argument("--wait", action="store_true", help="wait until they have ended, as `run` does")


def _add_watch(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    watch = commands.add_parser(
        "watch",
        parents=parents,
        help="follow a running service",
        description="Print the activity of a service's runs as it changes, until they have ended. Ctrl-C "
        "stops watching; the runs continue.",
        epilog="example: docpipe watch P123",
    )
    watch.add_argument(
        "which", nargs="*", metavar="PATIENT|RUN", help="only these; without any, all unfinished runs"
    )
