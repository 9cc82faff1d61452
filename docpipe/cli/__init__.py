"""The command line. Commands are imported when they are called, so that `--help` answers at once.

Imports everything but `web`, which `serve` starts.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from docpipe.cli.options import parser
from docpipe.cli.streams import OutputError, drop_errors, drop_output, usable_streams
from docpipe.errors import DocpipeError

_COMMANDS = {
    "run": "docpipe.cli.run:run",
    "resume": "docpipe.cli.run:run",
    "status": "docpipe.cli.status:status",
    "cancel": "docpipe.cli.rerun:cancel",
    "retry": "docpipe.cli.rerun:retry",
    "check": "docpipe.cli.check:check",
    "convert": "docpipe.cli.convert:convert",
    "patients": "docpipe.cli.patients:patients",
    "plan": "docpipe.cli.plan:plan",
    "forget": "docpipe.cli.forget:forget",
    "serve": "docpipe.cli.serve:serve",
    "fleet": "docpipe.cli.fleet_up:fleet",
    "submit": "docpipe.cli.remote:submit",
    "watch": "docpipe.cli.remote:watch",
    "logs": "docpipe.cli.inspection:logs",
    "report": "docpipe.cli.inspection:report",
    "chart": "docpipe.cli.chart:write",
    "search": "docpipe.cli.search:search",
    "worker": "docpipe.cli.worker:worker",
    "docs": "docpipe.cli.docs:docs",
    "completion": "docpipe.cli.inspection:completion",
}
"""The module of each command, imported when the command is called."""

_WORKING = ("run", "resume", "retry", "serve", "worker")
"""Commands that log what they do."""


def main(argv: Sequence[str] | None = None, *, begin: Callable[[], object] = lambda: None) -> int:
    """Run a command; returns the exit status. `begin` is called when all is imported."""
    status = _main(argv, begin)
    if argv is None and "temporalio.bridge" in sys.modules:
        _leave(status)
    return status


def _leave(status: int) -> None:
    """End the process without the interpreter's own end, at which temporalio's threads abort at times."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _main(argv: Sequence[str] | None, begin: Callable[[], object]) -> int:
    os.umask(0o077)  # files may hold patients' data
    usable_streams()
    args = argparse.Namespace(debug=False, config=None)
    try:
        parser().parse_args(argv, args)
        status = _command(args, begin)
        sys.stdout.flush()  # here, where an error of it becomes a sentence
    except DocpipeError as error:
        return _failed(args, str(error), error.exit_status)
    except KeyboardInterrupt:  # before there was anything to stop
        return 130
    except BrokenPipeError:  # the reader of the output went away, as `| head` does
        drop_output()
        return 0
    except Exception as error:  # noqa: BLE001 -- the edge: it becomes a sentence here or nowhere
        return _report_error(args, error)
    return status


def _report_error(args: argparse.Namespace, error: Exception) -> int:
    """Print what an error of the system means, or where another one comes from; returns the exit status."""
    from docpipe.cli.access import sentence_of  # noqa: PLC0415 -- not needed for --help
    from docpipe.runtime.logs import place_of  # noqa: PLC0415 -- likewise

    if isinstance(error, OutputError):
        drop_output()
        return _failed(args, f"The output cannot be written: {error.strerror}. Write it elsewhere.", 1)
    if (sentence := sentence_of(error)) is not None:
        return _failed(args, sentence, 2)
    cure = "Run again with --debug for the traceback, and please report it."
    return _failed(args, f"Unexpected error ({place_of(error)}). {cure}", 1)


def _failed(args: argparse.Namespace, message: str, status: int) -> int:
    """Print the error that is being handled, with its traceback under --debug; return the exit status."""
    if args.debug:
        traceback.print_exc()
    try:
        print(f"docpipe: {message}", file=sys.stderr, flush=True)
    except OSError:  # its disk can be full, too
        drop_errors()
    if getattr(args, "json", False):
        try:
            print(json.dumps({"runs": [], "error": message}), flush=True)
        except OSError:
            drop_output()
    return status


def _import_structlog() -> None:
    """Import structlog without rich, which it would import for tracebacks with the values of variables.

    Those are never logged, and the import takes as long as all of docpipe's own modules of a command.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # so an import of it fails
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


def _command(args: argparse.Namespace, begin: Callable[[], object]) -> int:
    _import_structlog()
    from docpipe.runtime import hardening, logs  # noqa: PLC0415 -- not needed for --help

    if not args.debug:  # who debugs may look into it
        hardening.keep_memory_private()

    works = args.command in _WORKING and getattr(args, "service", None) is None
    quiet = not works or getattr(args, "quiet", False)
    logs.configure(debug=args.debug, quiet=quiet, plain=args.command not in ("serve", "worker"))
    module, _, name = _COMMANDS[args.command].partition(":")
    gc.disable()  # what is imported stays: to look through it again and again would take a tenth of the time
    try:
        command: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module), name)
        gc.freeze()
    finally:
        gc.enable()
    begin()
    return command(args)
