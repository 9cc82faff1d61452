"""Records histories of runs, for tests that replay them: `python -m tests.fleet_histories`.

Each release of the pipeline has a folder in `tests/unit/data/fleet/`; runs that it began are replayed by
every later docpipe as long as its number is `queues.PIPELINE`. They are encrypted with a key that all know.
"""

import asyncio
import json
import re
import socket
import tempfile
from pathlib import Path
from typing import Final

from temporalio.client import WorkflowHistory

from docpipe.config.parsing import Secret
from docpipe.fleet.client import FleetRuns
from docpipe.fleet.queues import PIPELINE
from docpipe.fleet.views import FleetRun
from docpipe.fleet.worker import working
from docpipe.model import Activity
from tests.fleet_support import Machines, machines
from tests.fleet_worker import CONVERTER, ENTERED, OPEN

KEY: Final = Secret("00" * 64)
FOLDER: Final = Path(__file__).parent / "unit" / "data" / "fleet"


async def _history(runs: FleetRuns, run: FleetRun) -> WorkflowHistory:
    handle = runs.client.get_workflow_handle(run.workflow, run_id=run.execution)
    return await handle.fetch_history()


def _plain(history: WorkflowHistory) -> str:
    """As JSON, in which no machine is named."""
    text = json.dumps(history.to_json_dict(), separators=(",", ":"))
    host = re.escape(socket.gethostname())
    text = re.sub(rf"{host}:\d+(-[0-9a-f]{{32}})?", "worker", text)
    return re.sub(rf"\d+@{host}", "client", text) + "\n"


async def _recorded(made: Machines, folder: Path) -> None:
    """A run that completes, one that is carried over, a retry, and one that is cancelled."""
    async with made.runs() as runs, made.runs(longest=40) as short:
        submitted = await runs.submit(["P100", "P198"])
        long = await short.submit(["P101"])
        await runs.wait([*submitted, *long])
        OPEN.clear()
        cancelled = await runs.submit(["P102"])
        while ENTERED.acquire(blocking=False):
            pass
        await asyncio.to_thread(ENTERED.acquire)
        await runs.cancel(cancelled[0])
        OPEN.set()
        await runs.wait(cancelled)
        again = await runs.retry((await runs.runs("P100"))[0], Activity.UPDATE_STATUS)
        await runs.wait([again])
        kept = {
            "completed": submitted[0],
            "empty": submitted[1],
            "carried": long[0],
            "cancelled": cancelled[0],
        }
        for name, run in (kept | {"retried": again}).items():
            history = await _history(runs, run)
            (folder / f"{name}.json").write_text(history.to_json())


async def main() -> None:
    """Record those of this release."""
    folder = FOLDER / str(PIPELINE)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        async with machines(Path(name)) as made:
            made.key.write_text(KEY.reveal())
            async with working(made.config("worker"), converter=CONVERTER, inline=True):
                await _recorded(made, folder)


if __name__ == "__main__":
    asyncio.run(main())
