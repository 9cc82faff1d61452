"""docpipe as its users run it: a process of its own, against fakes that the test can look into."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import fakes
from docpipe.storage import folder_name
from fakes.quota import Rate

ROOT = Path(__file__).parents[2]


@dataclass
class Ended:
    """A process that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Box:
    """A folder with docpipe in it: its configuration by environment, its storage and state below."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def patient(self, patient_id: str) -> Path:
        return self.storage / folder_name(patient_id)

    def manifest(self, run: dict[str, Any]) -> dict[str, Any]:
        path = self.patient(run["patient_id"]) / "runs" / run["run_id"] / "manifest.json"
        return json.loads(path.read_bytes())

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-m",
            "docpipe",
            *words,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self.env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words: str) -> Ended:
        process = await self.start(*words)
        out, err = await process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture
def box(tmp_path: Path, request: pytest.FixtureRequest) -> Box:
    """docpipe with its built-in fakes, as a fresh clone has it; scans are read where the module says so.

    OCR takes two thirds of the processor time of a patient, and changes only the text of scans: only
    modules with `READS_SCANS = True` pay for it.
    """
    (tmp_path / "config.toml").write_bytes((ROOT / "config.toml").read_bytes())
    env = {"DOCPIPE_STORAGE__URL": "storage", "DOCPIPE_STATE__DIR": "state", "DOCPIPE_SERVICE__TOKEN": "none"}
    if not getattr(request.module, "READS_SCANS", False):
        env["DOCPIPE_CONVERT__OCR"] = "false"
    return Box(tmp_path, env)


def pointed_at(box: Box, running: fakes.Running, search_rate: str) -> Box:
    box.env |= {
        "DOCPIPE_DOCEX__BASE_URL": running.docex_url,
        "DOCPIPE_TASKTRACKER__BASE_URL": running.tracker_url,
        "DOCPIPE_DOCEX__SEARCH_RATE": search_rate,
    }
    return box


@pytest.fixture
async def services(box: Box, request: pytest.FixtureRequest) -> AsyncIterator[fakes.Running]:
    """Fakes at quotas scaled to 600 searches a minute, with docpipe pointed at them."""
    options = {"search_rate": Rate(600, 60.0)} | getattr(request, "param", {})
    async with fakes.serve(fakes.FakeOptions(**options)) as running:
        pointed_at(box, running, "600/min")
        yield running
