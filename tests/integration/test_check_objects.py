"""`docpipe check` over a bucket: what is damaged there is found, and mended from what is right."""

import json
from pathlib import Path

import fakes
from docpipe import app
from docpipe.check import Scene, findings, repair
from docpipe.config.config import Config, Docex, Patients, State, Storage, Tasktracker
from docpipe.config.parsing import Secret
from tests.object_stores import S3
from tests.simulation.world import CONVERTER


async def test_damage_in_a_bucket_is_found_and_mended(s3: S3, tmp_path: Path) -> None:
    """Lost outputs and metadata are made anew, leftovers are removed, a damaged original is reported."""
    quick = {"search_rate": None, "status_rate": None, "tracker_rate": None, "search_seconds": (0.1, 0.2)}
    storage = Storage(
        url=s3.url, options=tuple(s3.options.items()), patient_prefix="hash", prefix_key=Secret("k" * 32)
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
            (run,) = await docpipe.engine.submit(["P123"])
            await docpipe.engine.wait()
            scene = Scene(config.state_dir, docpipe.storage, beside=False)
            assert [finding async for finding in findings(scene)] == []
            home, tree = docpipe.storage.folder_of("P123"), docpipe.storage.tree()
            manifest = json.loads(tree.read(f"{home}/runs/{run.run_id}/manifest.json"))
            first, second, third = [file["id"] for file in manifest["files"] if file.get("key")][:3]
            tree.remove(f"{home}/{first}/text.md")
            tree.remove(f"{home}/{second}/metadata.json")
            await docpipe.storage.put_run_files("P123", "R0", {"report.json": b"{}"})
            original = next(name for name in tree.listing(home).within(third) if name.startswith("original"))
            tree.remove(f"{home}/{third}/{original}")
            problems, done = [], []
            async for finding in findings(scene):
                problems.append(finding.problem)
                assert finding.where.startswith(f"{s3.url}/{home}/")
                mended = await repair(finding, docpipe.activities)
                done.append(mended and mended.action)
            assert sorted(problems) == sorted(
                [
                    "text.md: missing, or not as it was stored",
                    "metadata.json is missing",
                    f"its original ({original}) is missing",
                    "a run has no manifest",
                ]
            )
            assert sorted(filter(None, done)) == [
                "converted again",
                "converted again",
                "permanently lost here",
            ]
            left = [finding.problem async for finding in findings(scene)]
            assert "a run has no manifest" in left
            assert not [problem for problem in left if "text.md" in problem]
            assert await docpipe.storage.find_document("P123", first) is not None
            assert await docpipe.storage.find_document("P123", second) is not None
