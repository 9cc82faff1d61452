"""The search index of documents that lie in a bucket."""

from pathlib import Path

from docpipe.config.config import Config, State, Storage
from docpipe.search import open_index
from docpipe.wiring.backends import index_path, open_storage
from tests.object_stores import S3
from tests.unit.test_search import names, stored


async def test_documents_in_a_bucket_are_searched(s3: S3, tmp_path: Path) -> None:
    """A rebuild reads them; the index of each bucket lies in the state folder, for its owner alone."""
    config = Config(
        storage=Storage(url=s3.url, options=tuple(s3.options.items())),
        state=State(dir=str(tmp_path / "state")),
    )
    config.state_dir.mkdir()
    storage = open_storage(config)
    for number, patient_id in enumerate(("P1", "P/2")):
        await stored(storage, tmp_path, patient_id, number, f"word {number}")
    async with open_index(index_path(config), storage) as index:
        assert await index.rebuild() == 2
        assert await names(index, "word") == {"P1/0.txt", "P/2/1.txt"}
        assert (await index.search("word", patient_id="P1")).total == 1
        assert (await index.search("word")).complete
    assert index_path(config).parent == config.state_dir
    assert index_path(config).stat().st_mode & 0o077 == 0
    other = Config(storage=Storage(url=f"{s3.url}/other"), state=config.state)
    assert index_path(other) != index_path(config)
