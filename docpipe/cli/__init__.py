"""The command line. Commands are imported when they are called, so that `--help` answers at once."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from docpipe import __version__
from docpipe.errors import DocpipeError

_Commands = argparse._SubParsersAction  # noqa: SLF001 -- argparse gives the type no public name
_EPILOG = """\
exit status:
  0    every run completed; errors in single documents are told, and leave it 0
  1    a run failed
  2    bad usage or configuration, or a state folder that cannot be used
  130  stopped by Ctrl-C, 143 by SIGTERM; `docpipe resume` goes on

Each key of config.toml can be set by the environment: DOCPIPE_<SECTION>__<KEY>,
for instance DOCPIPE_DOCEX__BASE_URL.
"""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    common = _common()
    top = argparse.ArgumentParser(
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
    _add_run(commands, [common, as_json])
    _add_resume(commands, [common, as_json])
    _add_status(commands, [common, as_json])
    _add_patients(commands, common, as_json)
    return top


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
        "goes on with that one.",
        epilog="example: docpipe run --patient P123 --patient P124",
    )
    run.add_argument(
        "--patient", action="append", default=[], metavar="ID", help="a patient; may be repeated"
    )
    run.add_argument(
        "--patients",
        type=Path,
        metavar="FILE",
        help="one patient id per line, or a CSV file with a column `id`",
    )
    run.add_argument(
        "--priority",
        type=int,
        choices=range(10),
        default=0,
        metavar="N",
        help="0 to 9; higher goes first at every line, one level being worth an hour of waiting (default 0)",
    )


def _add_resume(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    resume = commands.add_parser(
        "resume",
        parents=parents,
        help="go on with unfinished runs",
        description="Go on with every unfinished run, or with those of some patients. What is done is not "
        "done again.",
    )
    resume.add_argument(
        "--patient", action="append", default=[], metavar="ID", help="a patient; may be repeated"
    )


def _add_status(
    commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]
) -> None:
    status = commands.add_parser(
        "status",
        parents=parents,
        help="show where runs stand and what they wait for",
        description="Show where runs stand and what they wait for, also those of a docpipe at work.",
    )
    status.add_argument("which", nargs="?", metavar="PATIENT or RUN", help="only these runs")


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    os.umask(0o077)  # whatever is made here may bear patients' data
    args = parser().parse_args(argv)
    args.debug = getattr(args, "debug", False)
    args.config = getattr(args, "config", None)
    try:
        return _command(args)
    except DocpipeError as error:
        if args.debug:
            raise
        print(f"docpipe: {error}", file=sys.stderr)
        if getattr(args, "json", False):
            print(json.dumps({"runs": [], "error": str(error)}))
        return error.exit_status
    except KeyboardInterrupt:  # before there was anything to stop
        return 130
    except BrokenPipeError:  # the reader of the output went away, as `| head` does
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- for the interpreter's exit
        return 0


def _command(args: argparse.Namespace) -> int:
    from docpipe import logs  # noqa: PLC0415 -- not needed for --help

    logs.configure(debug=args.debug, quiet=args.command not in ("run", "resume"))
    if args.command in ("run", "resume"):
        from docpipe.cli.run import run  # noqa: PLC0415 -- loads what the command needs, no more

        return run(args)
    if args.command == "status":
        from docpipe.cli.status import status  # noqa: PLC0415 -- likewise

        return status(args)
    from docpipe.cli.patients import patients  # noqa: PLC0415 -- likewise

    return patients(args)
