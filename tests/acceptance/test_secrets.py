"""Canaries: no secret gets into output, logs, files, HAR, answers, command lines, or workers' environment."""

import asyncio
import base64
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fakes
from fakes.quota import Rate
from tests.acceptance.conftest import Box, Ended, pointed_at
from tests.acceptance.test_serve import Serving, serving
from tests.proxies import Proxy

CANARIES = {
    name: f"CANARY-{name}"
    for name in ("docex", "tracker", "client", "service", "database", "aws", "wrong", "next")
} | {"proxy": "me:CANARY-proxy"}
SUNG = [
    b"CANARY",
    *(base64.b64encode(login.encode()) for login in (CANARIES["proxy"], f"docpipe:{CANARIES['client']}")),
]
"""As they are, and as Basic authentication has them."""
QUICK = {"search_rate": Rate(600, 60.0), "mix": "tiny", "search_seconds": (0.1, 0.1)}


def sings(what: bytes | str) -> bool:
    raw = what.encode() if isinstance(what, str) else what
    return any(canary in raw for canary in SUNG)


def clean(box: Box, *ended: Ended) -> None:
    """Nothing that was printed, and no file below the folder, bears a canary."""
    assert not [end for end in ended if sings(end.out) or sings(end.err)]
    assert not [path for path in box.folder.rglob("*") if path.is_file() and sings(path.read_bytes())]


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    result = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            result += family(int(child))
    return result


@pytest.fixture
def cores() -> Iterator[None]:
    """Cores are dumped where nothing forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def memory_and_arguments_of(main: int) -> None:
    """No secret is on a command line or in a worker's environment, and no core can be dumped."""
    pids = family(main)
    assert len(pids) >= 3  # itself, the forkserver, a worker
    for pid in pids:
        about = Path(f"/proc/{pid}")
        assert not sings((about / "cmdline").read_bytes())
        assert pid == main or not sings((about / "environ").read_bytes())
    limits = Path(f"/proc/{main}/limits").read_text()
    assert next(row for row in limits.splitlines() if "core file" in row).split()[4] == "0"
    if os.getuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{main}/environ").read_bytes()
    else:  # what cannot be dumped belongs to root; docpipe's own tests are often root's
        assert Path(f"/proc/{main}/environ").stat().st_uid == 0


async def asked(service: Serving, patient: str, sign: str) -> str:
    """Submit a patient, wait for a sign in what the service tells of the run, and return all it tells."""
    displayed = {"headers": {"Authorization": f"Bearer {CANARIES['service']}"}}
    body = await service.ask("POST", "/api/runs", 202, json={"patients": [patient]}, **displayed)
    path = f"/api/runs/{body['runs'][0]['run_id']}"
    while sign not in str(run := await service.ask("GET", path, 200, **displayed)):
        assert run["finished_at"] is None, run["error"]
        await asyncio.sleep(0.05)
    paths = ("/api/runs", "/api/services", "/api/summary", "/metrics", "/")
    return str(run) + "".join([str(await service.ask("GET", path, 200, **displayed)) for path in paths])


async def served(box: Box, running: fakes.Running) -> Ended:
    """A run that goes well, one in an outage, one that is refused; what is reported them bears no canary."""
    async with serving(box) as service:
        reported = await asked(service, "P123", "'state': 'completed")
        if sys.platform == "linux":
            memory_and_arguments_of(service.process.pid)
        running.add_fault("docex.* 503")
        reported += await asked(service, "P124", "'outage'")
        running.tracker.use_token(CANARIES["next"])
        reported += await asked(service, "P125", "refused the token")
        assert not sings(reported)
        service.process.terminate()
        _, err = await service.ended()
        assert service.process.stdout is not None
        return Ended(0, service.first_line + (await service.process.stdout.read()).decode(), err)


@pytest.mark.usefixtures("cores")
async def test_no_canary_sings(box: Box) -> None:
    """Runs that go well, fail and wait, a proxy with a login, HAR, tracebacks, and all that looks at them."""
    tokens = {"docex_token": CANARIES["docex"], "tracker_token": CANARIES["tracker"]}
    async with (
        fakes.serve(fakes.FakeOptions(**QUICK, **tokens)) as running,
        Proxy(CANARIES["proxy"]) as proxy,
    ):
        pointed_at(box, running, "600/min").env |= {
            "DOCPIPE_DOCEX__TOKEN": CANARIES["docex"],
            "DOCPIPE_DOCEX__PROXY": proxy.url,
            "DOCPIPE_DOCEX__PROXY_LOGIN": CANARIES["proxy"],
            "DOCPIPE_TASKTRACKER__TOKEN": CANARIES["tracker"],
            "DOCPIPE_SERVICE__TOKEN": CANARIES["service"],
            "AWS_SECRET_ACCESS_KEY": CANARIES["aws"],
            "PGPASSWORD": CANARIES["database"],
        }
        ended = [await served(box, running)]
        assert proxy.asked
        running.clear_faults()
        running.docex.use_token("another")
        box.env["DOCPIPE_TASKTRACKER__TOKEN"] = CANARIES["next"]
        ended.append(await box.run("run", "--patient", "P126", "--debug", "--trace-http", "debug.har", "-v"))
        assert "The exchange refused the token" in ended[-1].out
        ended.append(await box.run("logs", "P126"))
    box.env["DOCPIPE_DOCEX__TOKEN"] = "CANARY with a blank"  # noqa: S105 -- of no service
    ended.append(await box.run("--debug", "run", "--patient", "P127"))
    assert "Traceback" in ended[-1].err
    assert "docex" in ended[-1].err.lower()
    clean(box, *ended)


async def test_oauth2_sings_neither(box: Box, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither what files hold nor any token gets out, whether it is taken or refused."""
    held = tmp_path_factory.mktemp("secrets")
    options = {"oauth2_port": 0, "oauth2_secret": CANARIES["client"], **QUICK}
    async with fakes.serve(fakes.FakeOptions(**options)) as running, Proxy(CANARIES["proxy"]) as proxy:
        pointed_at(box, running, "600/min")
        for section in ("DOCEX", "TASKTRACKER"):
            box.env |= {
                f"DOCPIPE_{section}__TOKEN_URL": running.oauth2.url,
                f"DOCPIPE_{section}__CLIENT_ID": "docpipe",
                f"DOCPIPE_{section}__CLIENT_SECRET_FILE": str(held / f"{section}-client"),
                f"DOCPIPE_{section}__PROXY": proxy.url,
                f"DOCPIPE_{section}__PROXY_LOGIN_FILE": str(held / f"{section}-login"),
            }
            (held / f"{section}-client").write_text(CANARIES["client"])
            (held / f"{section}-login").write_text(CANARIES["proxy"])
        (held / "DOCEX-client").write_text(CANARIES["wrong"])
        (held / "TASKTRACKER-login").write_text(f"me:{CANARIES['wrong']}")
        checked = await box.run("check", "--json")
        assert "401 invalid_client" in checked.out
        assert "requires a login (407)" in checked.out
        (held / "DOCEX-client").write_text(CANARIES["client"])
        (held / "TASKTRACKER-login").write_text(CANARIES["proxy"])
        ran = await box.run("run", "--patient", "P123", "--trace-http", "trace.har")
        assert ran.status == 0, ran.err
    issued = running.oauth2.tokens.issued
    assert len(issued) == 3  # to the tracker for its check, and to both
    clean(box, checked, ran)
    everything = b"".join(path.read_bytes() for path in box.folder.rglob("*") if path.is_file())
    everything += f"{checked}{ran}".encode()
    assert not [token for token in issued if token.encode() in everything]
