"""A full disk: docpipe waits, says so, continues by itself when there is room, and loses nothing."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakes
from tests.acceptance.conftest import Box

SIZE = 16 * 2**20


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of its own at a path, of 16 MiB."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    path.mkdir()
    if mount is None or umount is None:
        if "CI" in os.environ:
            pytest.fail("CI has to have mount and umount")
        pytest.skip("SKIPPED LOUDLY: mount is not installed")
    words = [mount, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("SKIPPED LOUDLY: this kernel lets this user mount no tmpfs")
    try:
        yield path
    finally:
        subprocess.run([umount, "--lazy", str(path)], check=True)


def fill(disk: Path, left: int) -> Path:
    """Leave so many bytes."""
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    filler.write_bytes(bytes(max(0, free - left)))
    return filler


@pytest.mark.parametrize(
    ("on_it", "left"),
    # The least is what the empty tables and the shared memory of their log take (104 kB), and a little.
    [("state", 140_000), ("state", 180_000), ("state", 500_000), ("state", 900_000), ("storage", 300_000)],
)
async def test_a_full_disk_pauses(box: Box, services: fakes.Running, on_it: str, left: int) -> None:
    """Full while committing, spooling, converting or storing: nothing fails, nothing is lost."""
    with small_disk(box.folder / "small") as disk:
        box.env[f"DOCPIPE_{on_it.upper()}__{'DIR' if on_it == 'state' else 'URL'}"] = f"small/{on_it}"
        await box.run("patients", "list")  # makes the patients database, which is not the matter here
        filler = fill(disk, left)
        process = await box.start("run", "--patient", "P123", "--json")
        assert process.stderr is not None
        while b"disk_full" not in (line := await process.stderr.readline()):
            assert line, (await process.communicate())[0]
        filler.unlink()
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        (run,) = json.loads(out)["runs"]
        assert run["state"] == "completed_with_errors"
        assert run["documents"]["failed"] == 1  # the damaged one, as always
        storage = disk / "storage" if on_it == "storage" else box.storage
        manifest = json.loads((storage / "P123" / "runs" / run["run_id"] / "manifest.json").read_bytes())
        for file in manifest["files"]:
            if file.get("key"):
                original = (storage / file["key"] / file["original"]).read_bytes()
                assert hashlib.sha256(original).hexdigest() == file["sha256"]
        assert len(services.docex.searches) == 1
        assert len(services.tracker.tasks_of(run["run_id"])) == 1


async def test_a_disk_that_is_full_at_the_start(box: Box, services: fakes.Running) -> None:
    """Where not even the checkpoints can be opened, one sentence says what to do."""
    with small_disk(box.folder / "small") as disk:
        box.env["DOCPIPE_STATE__DIR"] = "small/state"
        fill(disk, 20_000)
        ended = await box.run("run", "--patient", "P123")
    assert ended.status == 2
    assert "make room, then start docpipe again" in ended.err
    assert "docpipe continues" not in ended.err
    assert "Traceback" not in ended.err


async def test_a_stop_while_the_disk_is_full(box: Box, services: fakes.Running) -> None:
    """A full disk does not hold up the stop, and what could not be noted is done again after it."""
    with small_disk(box.folder / "small") as disk:
        box.env["DOCPIPE_STATE__DIR"] = "small/state"
        await box.run("patients", "list")
        filler = fill(disk, 180_000)
        process = await box.start("run", "--patient", "P123", "--json")
        assert process.stderr is not None
        while b"disk_full" not in (line := await process.stderr.readline()):
            assert line, (await process.communicate())[0]
        process.terminate()
        out, err = await process.communicate()
        assert process.returncode == 143, err.decode()
        assert "Traceback" not in err.decode()
        (run,) = json.loads(out)["runs"]
        assert run["state"] == "stopped"
        filler.unlink()
        resumed = await box.run("resume", "--json")
    assert resumed.status == 0, resumed.err
    assert resumed.json["runs"][0]["run_id"] == run["run_id"]
    assert resumed.json["runs"][0]["state"] == "completed_with_errors"
    assert len(services.docex.searches) == 1
    assert len(services.tracker.tasks_of(run["run_id"])) == 1
