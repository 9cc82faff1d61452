"""The options of `docpipe fleet`."""

import argparse
from pathlib import Path

_Commands = argparse._SubParsersAction  # noqa: SLF001 -- argparse gives the type no public name


def _workers(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 16:  # noqa: PLR2004 -- on one machine
        raise argparse.ArgumentTypeError(f"{text!r} cannot be used; it has to be a number from 1 to 16")
    return int(text)


def add_fleet(commands: "_Commands[argparse.ArgumentParser]", parents: list[argparse.ArgumentParser]) -> None:
    """`docpipe fleet up`."""
    fleet = commands.add_parser("fleet", help="try a fleet of workers on this machine").add_subparsers(
        dest="fleet_command", required=True, metavar="COMMAND"
    )
    up = fleet.add_parser(
        "up",
        parents=parents,
        help="start Temporal, Valkey, fakes, workers and the page here, until Ctrl-C",
        description="Start a whole fleet on this machine, for a first look: Temporal's development server, "
        "Valkey, fakes of the exchange and the tracker with invented patients, workers that share the "
        "runs, and the page of `docpipe serve`. It writes a configuration for the other commands, prints how "
        "to use it, and ends with Ctrl-C; started again in the same folder, it continues. No real service "
        "is called. End a worker by `kill -9` while patients are retrieved: the others take over what it "
        "did. A production fleet is described by `docpipe docs fleet`.",
        epilog="example: docpipe fleet up --workers 3, then in another terminal: docpipe --config "
        "fleet/config.toml run --patient P123. It needs pip install 'docpipe[up]'.",
    )
    up.add_argument(
        "--folder",
        type=Path,
        default=Path("fleet"),
        metavar="FOLDER",
        help="where its configuration, logs, storage and databases go (default: fleet)",
    )
    up.add_argument("--workers", type=_workers, default=3, metavar="N", help="how many (default: 3)")
