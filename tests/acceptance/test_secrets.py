"""Canaries: no secret gets into output, logs, files, HAR, command lines, or the environment of workers."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

import fakes
from fakes.quota import Rate
from tests.acceptance.conftest import Box, pointed_at

CANARIES = {
    name: f"CANARY-{name}"
    for name in ("docex", "tracker", "client", "service", "proxy", "database", "aws", "wrong")
}


def written(folder: Path) -> list[Path]:
    """Files below a folder that hold a canary."""
    return [path for path in folder.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]


def clean(box: Box, *ended: object) -> None:
    for end in ended:
        assert "CANARY" not in f"{end.out}{end.err}", end
    assert written(box.folder) == []


def environment(box: Box) -> None:
    box.env |= {
        "DOCPIPE_DOCEX__TOKEN": CANARIES["docex"],
        "DOCPIPE_TASKTRACKER__TOKEN": CANARIES["tracker"],
        "DOCPIPE_SERVICE__TOKEN": CANARIES["service"],
        "AWS_SECRET_ACCESS_KEY": CANARIES["aws"],
        "PGPASSWORD": CANARIES["database"],
    }


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


async def test_no_canary_sings(box: Box) -> None:
    """Runs that go well and that are refused, with traces and tracebacks, and all that looks at them."""
    environment(box)
    options = {"docex_token": CANARIES["docex"], "tracker_token": CANARIES["tracker"]}
    async with fakes.serve(fakes.FakeOptions(search_rate=Rate(600, 60.0), mix="tiny", **options)) as running:
        pointed_at(box, running, "600/min")
        ran = await box.run("run", "--patient", "P123", "--trace-http", "trace.har", "--json")
        assert ran.json["runs"][0]["state"] == "completed"
        debugged = await box.run("run", "--patient", "P124", "--debug", "--trace-http", "debug.har", "-v")
        assert debugged.status == 0
        running.tracker.use_token("another")
        refused = await box.run("run", "--patient", "P125", "--trace-http", "refused.har")
        assert "refused the token" in refused.out
        looks = [
            await box.run(*words)
            for words in (
                ("status", "--json"),
                ("status", "P123", "--activities"),
                ("check", "--json"),
                ("logs", "P123"),
                ("report", "P123"),
            )
        ]
    box.env["DOCPIPE_DOCEX__TOKEN"] = "CANARY with a blank"  # noqa: S105 -- of no service
    bad = await box.run("--debug", "run", "--patient", "P126")
    assert "Traceback" in bad.err
    assert "docex" in bad.err.lower()
    clean(box, ran, debugged, refused, bad, *looks)


@pytest.mark.parametrize("secret", ["client", "wrong"])
async def test_oauth2_sings_neither(box: Box, secret: str) -> None:
    """Neither the client's secret nor any token gets out, whether tokens are given or refused."""
    options = {"oauth2_port": 0, "oauth2_secret": CANARIES["client"], "mix": "tiny"}
    async with fakes.serve(fakes.FakeOptions(search_rate=Rate(600, 60.0), **options)) as running:
        pointed_at(box, running, "600/min")
        for section in ("DOCEX", "TASKTRACKER"):
            box.env |= {
                f"DOCPIPE_{section}__TOKEN_URL": running.oauth2.url,
                f"DOCPIPE_{section}__CLIENT_ID": "docpipe",
                f"DOCPIPE_{section}__CLIENT_SECRET": CANARIES[secret],
            }
        ran = await box.run("run", "--patient", "P123", "--trace-http", "trace.har")
        assert ran.status == (1 if secret == "wrong" else 0)  # noqa: S105 -- a name
        checked = await box.run("check")
        clean(box, ran, checked)
        everything = b"".join(path.read_bytes() for path in box.folder.rglob("*") if path.is_file())
        everything += (ran.out + ran.err + checked.out + checked.err).encode()
        assert len(running.oauth2.tokens.issued) == (0 if secret == "wrong" else 4)  # noqa: S105 -- a name
        assert not [token for token in running.oauth2.tokens.issued if token.encode() in everything]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="SKIPPED LOUDLY: there is no /proc")
async def test_processes_show_nothing(box: Box) -> None:
    """No secret is on a command line or in a worker's environment, and no core can be dumped."""
    environment(box)
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    process = await box.start("run", "--patient", "P123")  # with documents enough to be caught at it
    try:
        while len(family(process.pid)) < 3:  # itself, the nursery, a worker
            assert process.returncode is None
            await asyncio.sleep(0.02)
        for pid in family(process.pid):
            about = Path(f"/proc/{pid}")
            assert b"CANARY" not in (about / "cmdline").read_bytes()
            if pid != process.pid:
                assert b"CANARY" not in (about / "environ").read_bytes()
        limits = (Path(f"/proc/{process.pid}/limits")).read_text()
        assert next(row for row in limits.splitlines() if "core file" in row).split()[4] == "0"
        if os.getuid() != 0:
            with pytest.raises(PermissionError):
                Path(f"/proc/{process.pid}/environ").read_bytes()
        else:  # what cannot be dumped belongs to root; docpipe's own tests are often root's
            assert Path(f"/proc/{process.pid}/environ").stat().st_uid == 0
    finally:
        process.terminate()
        out, err = await process.communicate()
    assert b"CANARY" not in out + err
    assert written(box.folder) == []
