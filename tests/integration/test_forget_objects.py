"""`docpipe forget` of a patient whose documents lie in a bucket: nothing of that one stays, others do."""

from pathlib import Path

import pytest

import fakes
from docpipe import app, forget
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.config.parsing import Secret
from tests.object_stores import S3
from tests.simulation.world import CONVERTER


@pytest.mark.parametrize("prefix", ["id", "hash"])
async def test_a_patient_in_a_bucket_is_forgotten(s3: S3, tmp_path: Path, prefix: str) -> None:
    """Documents, reports, the lines of the index and the rows of the state; a second time finds nothing."""
    quick = {"search_rate": None, "status_rate": None, "tracker_rate": None, "search_seconds": (0.1, 0.2)}
    storage = Storage(
        url=s3.url, options=tuple(s3.options.items()), patient_prefix=prefix, prefix_key=Secret("k" * 32)
    )
    async with fakes.serve(fakes.FakeOptions(mix="tiny", **quick)) as running:
        config = Config(
            docex=Docex(base_url=running.docex_url, search_rate=None, status_rate=None),
            tasktracker=Tasktracker(base_url=running.tracker_url, rate=None),
            patients=Patients(url="fake"),
            storage=storage,
            state=State(dir=str(tmp_path / "state")),
        )
        async with app.opened(config, converter=CONVERTER, inline=True) as docpipe:
            await docpipe.engine.submit(["P123", "P124"])
            await docpipe.engine.wait()
            tree, folder_of = docpipe.storage.tree(), docpipe.storage.folder_of
            before = tree.listing(folder_of("P124")).files
            assert docpipe.index is not None
    kept = await forget.remove(config, "P123")
    assert kept.documents > 1
    assert kept.location.startswith(s3.url)
    assert "older versions that a bucket keeps" in " ".join(kept.beyond_reach)
    assert tree.listing(folder_of("P123")).files == {}
    assert tree.listing(folder_of("P124")).files == before
    assert (await forget.find(config, "P123")).nothing
    (index,) = config.state_dir.glob("search-*.db")
    assert b"P123" not in index.read_bytes()
    assert b"P124" in index.read_bytes()
