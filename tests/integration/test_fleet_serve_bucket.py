"""Two services of a fleet whose documents are in a bucket of a real S3 server: both have all of it."""

import asyncio
import contextlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pikepdf

from docpipe.config.config import Search, Storage
from docpipe.fleet.worker import working
from tests.fleet_serve_support import FleetServed, serving
from tests.fleet_support import machines
from tests.object_stores import S3

SOON_S = 180.0


async def until_completed(served: FleetServed, run_id: str) -> None:
    async with asyncio.timeout(SOON_S):
        while True:
            answer = await served.ask("GET", f"/api/runs/{run_id}")
            if answer.status == 200 and answer.json["state"] == "completed":
                return
            await asyncio.sleep(0.2)


async def check_all_is_there(served: FleetServed, run_id: str) -> set[str]:
    """Chart, ZIP, documents and search of the patient; returns the documents' ids."""
    await until_completed(served, run_id)
    for address in ("/api/patients/P100", f"/api/runs/{run_id}"):
        chart = await served.ask("GET", f"{address}/chart.pdf")
        assert (chart.status, chart.headers["Content-Type"]) == (200, "application/pdf"), chart.body
        with pikepdf.open(io.BytesIO(chart.body)) as read:
            assert len(read.pages) > 3
        package = await served.ask("GET", f"{address}/documents.zip")
        assert package.status == 200, package.body
        with zipfile.ZipFile(io.BytesIO(package.body)) as whole:
            assert whole.testzip() is None
            assert any(name.endswith(".pdf") for name in whole.namelist())
    documents = (await served.get(f"/api/runs/{run_id}/documents"))["documents"]
    text = await served.ask("GET", documents[0]["files"]["text.md"])
    assert (text.status, bool(text.body)) == (200, True)
    word = next(word for word in text.body.decode().split() if word.isalpha() and len(word) > 3)
    async with asyncio.timeout(SOON_S):
        while not (await served.get(f"/api/search?q={word}&patient=P100"))["total"]:
            await asyncio.sleep(0.2)
    return {document["document_id"] for document in documents}


async def test_each_service_has_charts_packages_and_search(tmp_path: Path, s3: S3) -> None:
    """Whichever was asked to begin the run, and also one that began to serve after its end."""
    async with machines(tmp_path) as made, contextlib.AsyncExitStack() as stack:
        storage = Storage(url=s3.url, options=tuple(s3.options.items()))
        await stack.enter_async_context(working(replace(made.config("worker"), storage=storage)))
        more = {"storage": storage, "search": Search(index=True)}
        one = await stack.enter_async_context(serving(made, "one", **more))
        two = await stack.enter_async_context(serving(made, "two", **more))
        (run_id,) = await one.submit("P100")
        ids = await check_all_is_there(two, run_id)
        assert ids
        late = await stack.enter_async_context(serving(made, "late", **more))
        assert await check_all_is_there(late, run_id) == ids
        await until_completed(one, run_id)
