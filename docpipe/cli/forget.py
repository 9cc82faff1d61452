"""`docpipe forget`: removes all data of a patient."""

import argparse
import json
import sys

import msgspec

from docpipe import forget as forgetting
from docpipe.cli.access import sentence_of
from docpipe.cli.phrases import print_line
from docpipe.cli.signals import run_stoppable
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import StateError, UsageError
from docpipe.forget import Kept
from docpipe.model import count_of

_STOPPED = "\ndocpipe: stopped before all was removed; repeat the command.\n"


def forget(args: argparse.Namespace) -> int:
    """Remove all data of a patient; returns the exit status."""
    config = load(args.config, services=False, state=True)
    try:
        kept = run_stoppable(_find(args, config), debug=args.debug)
        if not args.dry_run:
            if not args.yes:
                _confirm(args, kept)
            kept = run_stoppable(_remove(args, config), debug=args.debug, hint=_STOPPED)
    except OSError as error:
        why = sentence_of(error) or f"{error.strerror or error}."
        if args.dry_run:
            raise StateError(f"Not everything can be listed: {why}") from error
        raise StateError(f"Not everything was removed: {why} Then repeat the command.") from error
    if args.json:
        print_line(json.dumps({**msgspec.to_builtins(kept), "removed": not args.dry_run}))
    else:
        _print(kept, removed=not args.dry_run)
    return 0


async def _find(args: argparse.Namespace, config: Config) -> Kept:
    kept = await forgetting.find(config, args.patient)
    kept.histories = await _histories(config, args.patient, remove=False)
    return kept


async def _remove(args: argparse.Namespace, config: Config) -> Kept:
    histories = await _histories(config, args.patient, remove=True)
    kept = await forgetting.remove(config, args.patient)
    kept.histories = histories
    return kept


async def _histories(config: Config, patient_id: str, *, remove: bool) -> int:
    """How many histories a fleet keeps, or kept."""
    if not config.fleet.temporal:
        return 0
    from docpipe.fleet.forgetting import count_histories, remove_histories  # noqa: PLC0415 -- an extra

    return await (remove_histories if remove else count_histories)(config, patient_id)


def _confirm(args: argparse.Namespace, kept: Kept) -> None:
    """Ask for the patient's id.

    Raises:
        UsageError: if there is no terminal to confirm on, or the confirmation does not match.
    """
    if args.json or not sys.stdin.isatty():
        raise UsageError("Nothing was removed: add --yes to confirm, or --dry-run to list what is kept.")
    _print(kept, removed=False)
    answer = input("This cannot be undone. Type the patient's id to remove all of it: ")
    if answer.strip() != kept.patient_id:
        raise UsageError("Nothing was removed: the answer is not the patient's id.")


def _print(kept: Kept, *, removed: bool) -> None:
    if kept.nothing and not kept.in_patients:
        print_line(f"docpipe keeps nothing of patient {kept.patient_id}.")
    else:
        stored = f"{count_of(kept.documents, 'document')}, {count_of(kept.files, 'file')}"
        state = f"{count_of(len(kept.runs), 'run')}, {count_of(kept.log_lines, 'line')}"
        print_line(f"Patient {kept.patient_id}: {'removed' if removed else 'would be removed'}")
        print_line(f"  storage    {stored} ({count_of(kept.bytes, 'byte')})")
        print_line(f"             {kept.location}")
        print_line(f"  state      {state} of the activity log")
        if kept.histories:
            histories = f"{kept.histories:,} {'history' if kept.histories == 1 else 'histories'} of runs"
            delay = " (Temporal deletes them within a minute)" if removed else ""
            print_line(f"  Temporal   {histories}{delay}")
        print_line("  search     the patient's texts in the search index, if there is one")
        if kept.in_patients:
            print_line("  patients   the patient's row in docpipe's own patients database")
    print_line("Out of docpipe's reach:")
    for text in kept.beyond_reach:
        print_line(f"  - {text}")
