"""The weight of an installation without extras, and of what the main process loads."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
OF_SERVICES = ("aiohttp", "httpx", "sqlalchemy", "prometheus_client", "fakes", "shtab", "multiprocessing")
MOST = 300 * 2**20
MODULES = 600
"""At the first request of a run; each takes a third of a millisecond, most of them more."""
HEAVY = (
    "lxml",
    "PIL",
    "pikepdf",
    "pypdfium2",
    "typst",
    "img2pdf",
    "selectolax",
    "numpy",
    "onnxruntime",
    "pydicom",
)


def needed(name: str, extras: frozenset[str], seen: dict[str, int]) -> None:
    """Add a distribution and what it needs to `seen`, each with its bytes on the disk."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    try:
        result = distribution(name)
    except PackageNotFoundError:
        return  # a marker of another platform
    seen[key] = sum(Path(str(file.locate())).stat().st_size for file in result.files or () if _there(file))
    for text in result.requires or ():
        requirement = Requirement(text)
        wanted = [{"extra": extra} for extra in (extras or {""})]
        if requirement.marker is None or any(requirement.marker.evaluate(each) for each in wanted):
            needed(requirement.name, frozenset(requirement.extras), seen)


def _there(file: object) -> bool:
    return Path(str(file.locate())).is_file()  # type: ignore[attr-defined]  # a PackagePath


def test_an_installation_without_extras_stays_below_300_mb() -> None:
    """All distributions that docpipe needs, with their compiled files."""
    seen: dict[str, int] = {}
    needed("docpipe", frozenset(), seen)
    assert {"aiohttp", "pikepdf", "typst", "lxml"} <= set(seen)
    assert not {"ocrmypdf", "rapidocr", "onnxruntime", "pydicom", "pytest"} & set(seen)
    assert sum(seen.values()) < MOST, sorted(seen.items(), key=lambda item: -item[1])[:10]


def test_the_main_process_loads_no_converter() -> None:
    """What reads documents is loaded by workers alone."""
    script = (
        "import json, sys; from docpipe import cli; cli._import_structlog()\n"
        "import docpipe.app, docpipe.cli.run; print(json.dumps(sorted(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    modules = json.loads(output)
    assert not {name.partition(".")[0] for name in modules} & set(HEAVY)
    # Nor what other commands and other exchanges need: the first request waits for all that is loaded.
    others = {
        *("docpipe.web.server", "docpipe.sources.fhir", "aiohttp.web_urldispatcher", "sqlalchemy", "rich"),
        *("docpipe.notify", "docpipe.schedule", "docpipe.report.page", "cronsim", "aiocsv"),
    }
    assert not others & set(modules)
    assert len(modules) < MODULES


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (("--help",), (*HEAVY, *OF_SERVICES, "asyncio", "sqlite3", "structlog", "rich")),
        (("run", "--help"), (*HEAVY, *OF_SERVICES, "asyncio", "sqlite3", "structlog", "rich")),
        (("status",), (*HEAVY, *OF_SERVICES)),
    ],
)
def test_commands_that_answer_at_once(
    tmp_path: Path, words: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """They load nothing that they do not need: that, and no clock, keeps them quick."""
    script = (
        "import contextlib, io, json, sys; from docpipe.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main({list(words)!r})\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    env = {**os.environ, "DOCPIPE_STATE__DIR": str(tmp_path / "state")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & set(without)
