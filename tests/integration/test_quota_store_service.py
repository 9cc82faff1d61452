"""Processes that share their quotas: what their service and `docpipe check` say of the store."""

import asyncio
import dataclasses
import time
from pathlib import Path

import fakes
from docpipe import app
from docpipe.check import Bench
from docpipe.check.services import services
from docpipe.config.config import Fleet, Service
from docpipe.web.metrics import Metrics
from tests.quota_store import running
from tests.web_support import CONVERTER, config_of


async def test_metrics_say_whether_the_store_answers(tmp_path: Path) -> None:
    """Also while no request is made; the process starts although the store is down."""
    with running() as store:
        store.kill()
        async with fakes.serve(fakes.FakeOptions(mix="tiny")) as served:
            config = config_of(tmp_path, served, Service(), None)
            config = dataclasses.replace(config, fleet=Fleet(redis=store.url))
            async with app.opened(config, clock=time.time, converter=CONVERTER, inline=True) as docpipe:
                metrics = Metrics(docpipe)
                assert b"\ndocpipe_quota_store_up 0.0" in await metrics.text()
                store.start()
                while b"\ndocpipe_quota_store_up 1.0" not in await metrics.text():
                    await asyncio.sleep(0.05)


async def test_check_asks_no_service_without_the_store(tmp_path: Path) -> None:
    """While it is down, or is another fleet's, nothing is sent and nothing waited for; else both answer."""
    with running() as store:
        async with fakes.serve(fakes.FakeOptions(mix="tiny")) as served:
            config = config_of(tmp_path, served, Service(), None)
            config = dataclasses.replace(config, fleet=Fleet(redis=store.url))

            async def problems() -> set[str | None]:
                results = [result async for result in services(Bench(config, workers=lambda _: None))]
                assert len(results) == 2
                return {getattr(result, "problem", None) for result in results}

            store.client.set("{docpipe}:fleet", "another")
            assert await problems() == {"it was not asked: the quota store cannot be used"}
            store.kill()
            assert await problems() == {"it was not asked: the quota store is down"}
            assert not served.docex.requests
            store.start()
            assert await problems() == {None}
            assert len(served.docex.requests) == 1
