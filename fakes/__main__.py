"""`python -m fakes`: the fakes as a program."""

import argparse
import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from fakes import faults, patients
from fakes.faults import Fault
from fakes.fhiroptions import FhirOptions
from fakes.ledger import Seen
from fakes.options import EXPIRES_IN, MIXES, FakeOptions, parse_span
from fakes.quota import parse_rate
from fakes.server import serve

_EPILOG: Final = """\
faults:
  --fault "OPERATION ANSWER [from=S] [until=S] [times=N] [probability=P] [patient=ID] [retry_after=V]
           [seconds=S]"
  OPERATION is one of these, a glob ("docex.*"), or several with "|" between:
    {operations}
  ANSWER is one of these:
{answers}
  from and until count in seconds from the start; retry_after is sent as it is, or as "date:30",
  "epoch:30", "epoch_ms:30": in 30 s, as an HTTP date or as an epoch.

examples:
  python -m fakes --docex-port 8081 --tracker-port 8082
  python -m fakes --documents samples --search-seconds 30-120 --latency 0.05 --jitter 0.2
  python -m fakes --fault "docex.* html502 from=60 until=7260"             an outage of two hours
  python -m fakes --fault "tracker.create lost times=3" --fault "docex.archive truncate probability=0.2"
  python -m fakes --fault "docex.search 429 times=1 retry_after=epoch_ms:30"
  python -m fakes --fault "docex.status 500 patient=P123"                  one poisoned patient
  python -m fakes --oauth2-port 8083 --oauth2-seconds 60 --fault "docex.status revoke times=3"
  python -m fakes --fhir content=relative --fhir page=5 --fhir elsewhere   a FHIR server of some habits
  python -m fakes --export-patients patients.csv                           and no servers

Standard output has one line of JSON with the addresses, once they can be used. Tokens are taken from the
environment: FAKES_DOCEX_TOKEN and FAKES_TRACKER_TOKEN; without them none is asked for. With --oauth2-port
both services ask for tokens of the OAuth2 server, whose client shows FAKES_OAUTH2_SECRET, or an assertion
that is signed with one of --oauth2-keys.
"""


def _typed(name: str, read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A type for argparse that tells what is wrong, rather than that something is."""

    def convert(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    convert.__name__ = name
    return convert


def _patient_seconds(text: str) -> tuple[str, float]:
    patient, _, seconds = text.partition("=")
    if not patient or not seconds:
        raise ValueError(f"{text!r}: write PATIENT=SECONDS, as in P123=30")
    return patient, float(seconds)


def _ids(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def _parser() -> argparse.ArgumentParser:
    """What is given goes by the names of `FakeOptions`; what is not given is not there."""
    answers = (faults.__doc__ or "").partition("Answers:\n\n")[2].rstrip()
    operations = ",\n    ".join(textwrap.wrap(", ".join(faults.OPERATIONS), 90)).replace(",,", ",")
    parser = argparse.ArgumentParser(
        prog="python -m fakes",
        description="An exchange, a FHIR server and a tracker that are not real, for docpipe to talk to.",
        epilog=_EPILOG.format(operations=operations, answers=answers),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_servers(parser.add_argument_group("servers").add_argument)
    _add_oauth2(parser.add_argument_group("OAuth2").add_argument)
    _add_searches(parser.add_argument_group("searches and archives").add_argument)
    add = parser.add_argument_group("FHIR server").add_argument
    add(
        "--fhir",
        action="append",
        metavar="NAME[=VALUE]",
        help=f"its habits; repeatable: {', '.join(field.name for field in fields(FhirOptions))}",
    )
    add = parser.add_argument_group("trouble").add_argument
    add("--latency", type=float, metavar="S", help="of each request, both ways together")
    add("--jitter", type=float, metavar="S", help="at most this much more latency")
    fault = _typed("fault", Fault.parse)
    add("--fault", type=fault, action="append", dest="faults", metavar="FAULT", help="see below; repeatable")
    add = parser.add_argument_group("other").add_argument
    add("--seed", type=int, help="of documents, durations, latency, patients, faults (default: 0)")
    add(
        "--export-patients", type=Path, metavar="FILE.csv", help="write sample patients P100 to P199, and end"
    )
    add("--log", action="store_const", const=_tell, help="tell each request on standard error")
    return parser


def _add_servers(add: Callable[..., Any]) -> None:
    rate = _typed("rate", parse_rate)
    add("--host", help="address to listen on (default: 127.0.0.1)")
    for name in ("docex", "tracker", "archive"):
        add(f"--{name}-port", type=int, metavar="PORT", help="default: any free port")
    add("--search-rate", type=rate, metavar="RATE", help='quota, or "none" (default: 10/min)')
    add("--status-rate", type=rate, metavar="RATE", help="likewise (default: 10/sec)")
    add("--tracker-rate", type=rate, metavar="RATE", help="likewise (default: 10/sec)")
    add("--absolute-urls", action="store_true", help="make Location an absolute address")
    add("--no-ranges", action="store_false", dest="ranges", help="ignore Range in downloads")
    add("--sparse", action="store_true", help="answer only what the contract requires")
    add("--state", type=Path, metavar="FILE", help="keep searches, tasks, keys and reports here")


def _add_oauth2(add: Callable[..., Any]) -> None:
    add("--oauth2-port", type=int, metavar="PORT", help="serve tokens, and ask for them; 0: any free port")
    add("--oauth2-client-id", metavar="ID", help="who may ask for tokens (default: docpipe)")
    add("--oauth2-keys", type=Path, metavar="JWKS", help="public keys, for signed assertions")
    add("--oauth2-auth", choices=("basic", "post"), help="where a secret has to be (default: basic)")
    add("--oauth2-seconds", type=float, metavar="S", help="a token is good for (default: 300)")
    add("--oauth2-expires-in", choices=EXPIRES_IN, help="the form of the lifetime (default: number)")


def _add_searches(add: Callable[..., Any]) -> None:
    ids, one = _typed("ids", _ids), _typed("patient", _patient_seconds)
    add("--search-seconds", type=_typed("span", parse_span), metavar="A-B", help="default: 1-4")
    add(
        "--patient-seconds",
        type=one,
        action="append",
        metavar="ID=S",
        help="searches for this patient take exactly so long; repeatable",
    )
    for name, message in (
        ("empty", "without any document (default: P198)"),
        ("failing", "whose searches fail (default: P199)"),
        ("expiring", "whose first search expires"),
    ):
        add(f"--{name}", type=ids, metavar="IDS", help=f"patients, with commas between, {message}")
    add("--link-seconds", type=float, metavar="S", help="a link is good for (default: 300)")
    add("--mix", choices=MIXES, help='documents made up: "full" (default), or 4 small texts for load')
    add("--documents", type=Path, metavar="FOLDER", help="serve the files of this folder to every patient")


def _options(given: dict[str, Any]) -> FakeOptions:
    lists: dict[str, Any] = {
        "faults": tuple(given.get("faults", ())),
        "fhir": FhirOptions.parse(given.get("fhir", ())),
        "patient_seconds": dict(given.get("patient_seconds", ())),
        "docex_token": os.environ.get("FAKES_DOCEX_TOKEN") or None,
        "tracker_token": os.environ.get("FAKES_TRACKER_TOKEN") or None,
        "oauth2_secret": os.environ.get("FAKES_OAUTH2_SECRET") or None,
    }
    return FakeOptions(**{**given, **lists})


def _tell(seen: Seen) -> None:
    fault = f" fault={seen.fault}" if seen.fault else ""
    key = f" key={seen.key}" if seen.key else ""
    status = "dropped" if seen.status is None else seen.status
    sys.stderr.write(f"{seen.at:.3f} {seen.operation} {seen.method} {seen.path} {status}{key}{fault}\n")


async def _run(options: FakeOptions) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve(options) as running:
        addresses = {
            "docex_url": running.docex_url,
            "fhir_url": running.fhir_url,
            "tracker_url": running.tracker_url,
            "archive_url": running.archive_url,
        }
        if running.oauth2 is not None:
            addresses["token_url"] = running.oauth2.url
        sys.stdout.write(json.dumps(addresses) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status: 0 after a clean stop, 2 for what cannot be used."""
    parser = _parser()
    given = vars(parser.parse_args(argv))
    export = given.pop("export_patients", None)
    try:
        if export is not None:
            patients.export(export, given.get("seed", 0))
        else:
            asyncio.run(_run(_options(given)))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
