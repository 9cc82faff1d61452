"""`python -m fakes.conformance`: examine an exchange and a tracker before going live."""

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fakes.conformance import docex, tracker
from fakes.conformance.kit import Result, Target, Verdict, examine

_CHECKS: Final = {"docex": docex.CHECKS, "tracker": tracker.CHECKS}
_MARKS: Final = {Verdict.KEPT: "ok", Verdict.BROKEN: "BROKEN", Verdict.NOTED: "note", Verdict.SKIPPED: "-"}
_PATIENT: Final = ("id", "given", "family", "birth_date")
_NOT_EXAMINED: Final = (
    "Not examined: FHIR servers, OAuth2 token endpoints and scopes, TLS client certificates."
)
_EPILOG: Final = """\
Not examined: FHIR servers, OAuth2 token endpoints and scopes, and TLS client certificates; try those with
`docpipe check`, and one patient.

Tokens are taken from the environment: CONFORMANCE_DOCEX_TOKEN and CONFORMANCE_TRACKER_TOKEN.

examples:
  python -m fakes.conformance --docex https://exchange.example --tracker https://tracker.example
  python -m fakes.conformance --docex https://exchange.example --write --patient test-patient.json

exit status: 0 nothing is broken, 1 something is, 2 bad usage
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fakes.conformance",
        description="Examine whether a DocumentExchange and a TaskTracker keep the contract that docpipe "
        "relies on. Without --write nothing is created there.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--docex", metavar="URL", help="address of the exchange")
    parser.add_argument("--tracker", metavar="URL", help="address of the tracker")
    parser.add_argument("--write", action="store_true", help="also begin a search, and create a task")
    parser.add_argument(
        "--patient",
        type=Path,
        metavar="FILE.json",
        help='the test patient to search for: {"id", "given", "family", "birth_date"}; for --write --docex',
    )
    parser.add_argument("--quota", action="store_true", help="also send more requests than the quota allows")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="how long a search may take (default: 600)"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, help="how long an answer may take (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    return parser


def _targets(parser: argparse.ArgumentParser, given: argparse.Namespace) -> list[Target]:
    patient = {}
    if given.write and given.docex:
        try:
            patient = json.loads(given.patient.read_text("utf-8"))
        except (AttributeError, OSError, ValueError):
            parser.error("--write for an exchange needs --patient with a JSON file of a test patient")
        if not isinstance(patient, dict) or any(not patient.get(name) for name in _PATIENT):
            parser.error(f"the test patient needs {', '.join(_PATIENT)}")
    shared = {"write": given.write, "quota": given.quota, "seconds": given.seconds, "timeout": given.timeout}
    targets = []
    for name, address in (("docex", given.docex), ("tracker", given.tracker)):
        if address:
            token = os.environ.get(f"CONFORMANCE_{name.upper()}_TOKEN") or None
            targets.append(Target(name, address, token, patient=patient, **shared))
    if not targets:
        parser.error("give --docex, --tracker, or both")
    return targets


async def _examined(targets: Sequence[Target], *, lines: bool) -> list[Result]:
    results = []
    for target in targets:
        async for result in examine(target, _CHECKS[target.name]):
            results.append(result)
            if lines:
                print(_line(result), flush=True)  # noqa: T201 -- a program
    return results


def _line(result: Result) -> str:
    line = f"{_MARKS[result.verdict]:6} {result.service:7} {result.rule}"
    if result.verdict is not Verdict.KEPT:
        line += f"\n                 {result.seen}"
    return line + (f"\n                 cure: {result.cure}" if result.cure else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine, tell, and return the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    results = asyncio.run(_examined(_targets(parser, given), lines=not given.json))
    broken = sum(result.verdict is Verdict.BROKEN for result in results)
    if given.json:
        print(json.dumps({"broken": broken, "results": [dataclasses.asdict(result) for result in results]}))  # noqa: T201
    else:
        kept = sum(result.verdict is Verdict.KEPT for result in results)
        print(f"\n{kept} of {len(results)} rules kept, {broken} broken.")  # noqa: T201 -- likewise
        print(_NOT_EXAMINED)  # noqa: T201 -- likewise
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
