"""Compare the locked packages with published vulnerabilities: `python -m tests.audit [--osv FILE]`.

FILE is the ZIP of all advisories on PyPI that OSV exports (https://google.github.io/osv.dev/data/), or a
folder with them; it needs no network. Without it pip-audit is run where it is installed. Ends with 0 where
nothing is known against any package, 1 where something is, and 2 where there is no data to compare with.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.locks import ROOT

CLEAN, KNOWN, NO_DATA = 0, 1, 2
_SHIPPED: Final = ("requirements.lock", "docpipe/deploy/build.lock")
_NO_DATA: Final = (
    "NOT COMPARED: there is neither a file of advisories (--osv) nor pip-audit with a way to its service."
)


def locked(text: str) -> set[tuple[str, str]]:
    """Names and versions of a lock file."""
    return {
        (canonicalize_name(name), version)
        for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)
    }


def advisories(path: Path) -> Iterator[dict[str, Any]]:
    """Every advisory of a ZIP or a folder."""
    if path.is_dir():
        for file in sorted(path.rglob("*.json")):
            yield json.loads(file.read_bytes())
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def known(packages: set[tuple[str, str]], listed: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each package that an advisory is about."""
    lines = set()
    for advisory in listed:
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            if package.get("ecosystem") != "PyPI":
                continue
            for name, version in packages:
                if name == canonicalize_name(package.get("name", "")) and _is_affected(version, affected):
                    names = ", ".join([advisory["id"], *advisory.get("aliases", ())])
                    lines.add(f"{name} {version}: {names}: {advisory.get('summary', '')}".rstrip(": "))
    return sorted(lines)


def _is_affected(version: str, affected: dict[str, Any]) -> bool:
    if version in affected.get("versions", ()):
        return True
    ranges = [one for one in affected.get("ranges", ()) if one.get("type") == "ECOSYSTEM"]
    return any(_lies_in(Version(version), one.get("events", ())) for one in ranges)


def _lies_in(version: Version, events: Iterable[dict[str, str]]) -> bool:
    """Whether the last event at or below a version introduces the fault."""
    within = False
    for event in sorted(events, key=_place):
        kind, place = next(iter(event)), _place(event)
        if kind == "introduced" and version >= place:
            within = True
        elif (kind == "fixed" and version >= place) or (kind == "last_affected" and version > place):
            within = False
    return within


def _place(event: dict[str, str]) -> Version:
    try:
        return Version(next(iter(event.values())))
    except InvalidVersion:  # "0": from the beginning
        return Version("0")


def _by_pip_audit() -> int:
    program = shutil.which("pip-audit", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if program is None:
        return NO_DATA
    worst = CLEAN
    for lock in _SHIPPED:
        words = [program, "--disable-pip", "--progress-spinner", "off", "-r", lock]
        done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
        sys.stdout.write(f"{lock}:\n{done.stdout}{done.stderr}")
        if done.returncode and "vulnerabilit" not in f"{done.stdout}{done.stderr}":
            return NO_DATA  # its service cannot be reached
        worst = max(worst, KNOWN if done.returncode else CLEAN)
    return worst


def main(arguments: list[str] | None = None) -> int:
    """Compare, and print what is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osv", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    if given.osv is None:
        status = _by_pip_audit()
        sys.stdout.write(f"{_NO_DATA}\n" if status == NO_DATA else "")
        return status
    packages = {one for lock in _SHIPPED for one in locked((ROOT / lock).read_text("utf-8"))}
    listed = list(advisories(given.osv))
    if not listed:
        sys.stdout.write(f"{_NO_DATA}\n")
        return NO_DATA
    lines = known(packages, listed)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.write(
        f"{len(packages)} packages, {len(listed)} advisories, {len(lines)} of them known here.\n"
    )
    return KNOWN if lines else CLEAN


if __name__ == "__main__":
    sys.exit(main())
