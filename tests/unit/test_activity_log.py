"""activity_log.csv: whole lines, in order, mended where a crash cut it."""

import asyncio
import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.runtime.activity_log import COLUMNS, ActivityLog, Entry


def entry(run_id: str = "R1", args=None) -> Entry:
    return Entry(run_id, "P, 1", "DocEx_Search", 1, args or {})


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "activity_log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_lines_read_back(tmp_path: Path) -> None:
    """A start and a finish are rows with the columns that others rely on."""
    async with ActivityLog(tmp_path, lambda: 1_000_000.25) as log:
        log.start(entry(args={"quote": '"', "line": "a\nb"}))
        log.finish(entry(), 1.5, "ok")
    start, finish = rows(tmp_path)
    assert tuple(start) == COLUMNS
    assert (start["timestamp"], start["event"], start["patient_id"]) == (
        "1970-01-12T13:46:40.250+00:00",
        "start",
        "P, 1",
    )
    assert json.loads(start["args"]) == {"quote": '"', "line": "a\nb"}
    assert (finish["event"], finish["duration_s"], finish["outcome"]) == ("finish", "1.500", "ok")
    assert (tmp_path / "activity_log.csv").stat().st_mode & 0o077 == 0


async def test_lines_are_there_after_a_flush(tmp_path: Path) -> None:
    """What was noted before a flush is in the file after it, from many runs at once, each line once."""
    async with ActivityLog(tmp_path, lambda: 0.0) as log:

        async def one(number: int) -> None:
            log.start(entry(f"R{number}"))
            log.finish(entry(f"R{number}"), 0, "ok")
            await log.flush()
            assert any(r["run_id"] == f"R{number}" and r["event"] == "finish" for r in rows(tmp_path))

        await asyncio.gather(*(one(number) for number in range(50)))
    assert len(rows(tmp_path)) == 100


@pytest.mark.parametrize("cut", range(1, 90, 7))
async def test_a_torn_line_is_taken_away(tmp_path: Path, cut: int) -> None:
    """A crash in the middle of a line costs that line, nothing before it and nothing after."""
    async with ActivityLog(tmp_path, lambda: 0.0) as log:
        log.start(entry("R1"))
        log.start(entry("R2", {"text": 'with "quotes", and commas'}))
    path = tmp_path / "activity_log.csv"
    path.write_bytes(path.read_bytes()[:-cut])
    async with ActivityLog(tmp_path, lambda: 0.0) as log:
        log.start(entry("R3"))
    assert [row["run_id"] for row in rows(tmp_path)] in (["R1", "R3"], ["R3"])


async def test_a_torn_header_is_written_anew(tmp_path: Path) -> None:
    """A crash in the first line leaves a file that can be read after the next start."""
    (tmp_path / "activity_log.csv").write_text("timestamp,run", "utf-8")
    async with ActivityLog(tmp_path, lambda: 0.0) as log:
        log.start(entry())
    assert len(rows(tmp_path)) == 1


@given(st.text(max_size=50), st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3))
def test_any_text_stays_one_record(patient_id: str, args: dict[str, str]) -> None:
    """Line breaks and quotes in ids and arguments neither break a record nor a line."""
    import tempfile  # noqa: PLC0415 -- a folder for each example

    async def check(folder: Path) -> None:
        async with ActivityLog(folder, lambda: 0.0) as log:
            log.start(Entry("R", patient_id, "A", 1, args))
        (row,) = rows(folder)
        assert json.loads(row["args"]) == args
        assert (folder / "activity_log.csv").read_bytes().count(b"\n") == 2

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t=", "\r="])
async def test_formulas_are_text(tmp_path: Path, sign: str) -> None:
    """A patient id never begins a cell as what a spreadsheet would work out."""
    patient = sign + 'HYPERLINK("http://a.example","x")'
    async with ActivityLog(tmp_path, lambda: 0.0) as log:
        log.start(Entry("R1", patient, "DocEx_Search", 1, {}))
    (row,) = rows(tmp_path)
    assert row["patient_id"][0] in "'\N{REPLACEMENT CHARACTER}"
    assert row["patient_id"].endswith(patient.lstrip("\t\r"))
    assert row["patient_id"].lstrip("'").startswith(patient[0]) or sign[0] in "\t\r"
