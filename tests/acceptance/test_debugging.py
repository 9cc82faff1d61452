"""What helps to find out what happened: --until, timelines, logs, the report, HAR files, completion."""

import asyncio
import json
import re
import shlex
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

import fakes
from tests.acceptance.conftest import Box

TOKEN = "canary-4711"  # noqa: S105 -- looked for where it must not be


@pytest.mark.parametrize(
    ("until", "there", "missing"),
    [
        ("TaskTracker_Create", "TaskTracker_Create", "DocEx_Search"),
        ("DocEx_DownloadAndExtract", "DocEx_DownloadAndExtract", "ConvertFile"),
        ("ConvertFile", "ConvertFile", "PutToStorage"),
        ("PutToStorage", "PutToStorage", "TaskTracker_UpdateStatus"),
    ],
)
async def test_until(box: Box, until: str, there: str, missing: str) -> None:
    """The run stops after the activity, with nothing under way cut off, and continues later."""
    ended = await box.run("run", "--patient", "P123", "--until", until)
    assert ended.status == 0
    assert "`docpipe resume` continues" in ended.err
    rows = (box.state / "activity_log.csv").read_text()
    assert f",{there},finish," in rows
    assert f",{missing}," not in rows
    assert "stopped" not in rows
    if until == "ConvertFile":  # all of them, also those that were not begun yet
        members = rows.count(",ConvertFile,start,")
        assert members == rows.count(",ConvertFile,finish,") > 10
    resumed = await box.run("resume", "--json")
    assert resumed.json["runs"][0]["state"] == "completed_with_errors"
    finished = re.findall(rf",{there},finish,\d+,(.*?),[\d.]+,", (box.state / "activity_log.csv").read_text())
    assert len(finished) == len(set(finished)), "an activity ran again"


async def test_the_timeline(box: Box) -> None:
    """Each activity with its tries and what came of it, also of a run that is not over."""
    await box.run("run", "--patient", "P123", "--until", "DocEx_CheckStatus")
    output = (await box.run("status", "P123", "--activities")).out
    assert re.search(r"DocEx_Search +1 +search s-", output)
    assert re.search(r"DocEx_CheckStatus +1 +ready after \d+ question", output)
    await box.run("resume")
    output = (await box.run("status", "P123", "--activities")).out
    assert re.search(r"ConvertFile +Labs/Damaged\.pdf +1 +could not be read: The PDF is cut short", output)
    assert re.search(r"DocEx_DownloadAndExtract +1 +[\d.]+ [kM]B, \d+ files", output)
    refused = await box.run("status", "--activities")
    assert (refused.status, "Name a run" in refused.err) == (2, True)


async def test_logs(box: Box) -> None:
    """Those of one run, also from logs that were put aside."""
    (run,) = (await box.run("run", "--patient", "P123", "--json", "--until", "DocEx_Search")).json["runs"]
    (box.state / "activity_log.csv").rename(box.state / "activity_log-20260101T000000Z.csv")
    await box.run("resume")
    await box.run("run", "--patient", "P124")
    output = (await box.run("logs", run["run_id"])).out
    assert re.search(r"DocEx_Search +ok", output)
    assert re.search(r"TaskTracker_AppendReport +ok", output)
    assert re.search(r"ConvertFile +could not be read +\d+\.\d+ s +Labs/Damaged\.pdf +\{", output)
    assert re.search(r"PutToStorage +ok +\d+\.\d+ s +Labs/Damaged\.pdf +\{", output)
    assert "Damaged" not in (box.state / "activity_log.csv").read_text()
    lines = (await box.run("logs", "P123", "--json")).json["lines"]
    assert {line["patient_id"] for line in lines} == {"P123"}
    assert [line["event"] for line in lines[:2]] == ["start", "finish"]
    assert (await box.run("logs", "P999")).status == 2


async def test_the_report(box: Box) -> None:
    """The last one of a patient as text, with where it lies."""
    none = await box.run("report", "P123")
    assert (none.status, "There is no run P123" in none.err) == (2, True)
    await box.run("run", "--patient", "P123")
    output = (await box.run("report", "P123")).out
    assert re.match(
        r"Patient P123: Completed, .*\n  run +[0-9A-Z]{26}\n  retrieved +\d{4}-\d\d-\d\d ", output
    )
    assert "\nProblems\n" in output
    assert "\\" not in output
    where = Path(output.rpartition("report: ")[2].strip())
    assert where.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("services", [{"docex_token": TOKEN}], indirect=True)
async def test_every_exchange_in_a_file(box: Box, services: fakes.Running) -> None:
    """As HAR, for its owner alone, with bodies and times, and without the token."""
    box.env["DOCPIPE_DOCEX__TOKEN"] = TOKEN
    ended = await box.run("run", "--patient", "P123", "--trace-http", "trace.har")
    assert ended.status == 0
    path = box.folder / "trace.har"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert TOKEN not in text
    log = json.loads(text)["log"]
    assert log["version"] == "1.2"
    seen = {(entry["request"]["method"], entry["response"]["status"]) for entry in log["entries"]}
    assert {("POST", 201), ("POST", 202), ("GET", 200), ("PATCH", 200)} <= seen
    asked = sum(len(server.requests) for server in (services.docex, services.tracker, services.archive))
    assert len(log["entries"]) == asked
    search = next(entry for entry in log["entries"] if entry["response"]["status"] == 202)
    assert json.loads(search["request"]["postData"]["text"])["patient"]["id"] == "P123"
    assert json.loads(search["response"]["content"]["text"])["state"] == "queued"
    named = {header["name"]: header["value"] for header in search["request"]["headers"]}
    assert named["Authorization"] == "***"
    assert named["Idempotency-Key"].endswith(":DocEx_Search")
    for entry in log["entries"]:
        parts = [span for span in entry["timings"].values() if span >= 0]
        assert entry["time"] == pytest.approx(sum(parts), abs=0.1)
    _is_har(json.loads(text))


NAMED = [{"name": str, "value": str}]
NUMBER = (int, float)
HAR = {  # what version 1.2 requires: http://www.softwareishard.com/blog/har-12-spec/
    "log": {
        "version": str,
        "creator": {"name": str, "version": str},
        "entries": [
            {
                "startedDateTime": str,
                "time": NUMBER,
                "request": {
                    "method": str,
                    "url": str,
                    "httpVersion": str,
                    "cookies": NAMED,
                    "headers": NAMED,
                    "queryString": NAMED,
                    "headersSize": int,
                    "bodySize": int,
                },
                "response": {
                    "status": int,
                    "statusText": str,
                    "httpVersion": str,
                    "cookies": NAMED,
                    "headers": NAMED,
                    "content": {"size": int, "mimeType": str},
                    "redirectURL": str,
                    "headersSize": int,
                    "bodySize": int,
                },
                "cache": {},
                "timings": {"send": NUMBER, "wait": NUMBER, "receive": NUMBER},
            }
        ],
    }
}


def _is_har(value: Any, wanted: Any = HAR, path: str = "har") -> None:
    """Every field that is required is there, and of its type."""
    if isinstance(wanted, dict):
        for name, inner in wanted.items():
            assert name in value, f"{path}.{name}"
            _is_har(value[name], inner, f"{path}.{name}")
    elif isinstance(wanted, list):
        for number, item in enumerate(value):
            _is_har(item, wanted[0], f"{path}[{number}]")
    else:
        assert isinstance(value, wanted), path


async def test_a_har_file_that_cannot_be_written(box: Box) -> None:
    """A sentence, before anything begins."""
    ended = await box.run("run", "--patient", "P123", "--trace-http", "nowhere/trace.har")
    assert (ended.status, "nowhere/trace.har cannot be written" in ended.err) == (2, True)
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
async def test_completion(box: Box, shell: str) -> None:
    """The script names commands and options, and the shell can read it where there is one."""
    ended = await box.run("completion", shell)
    assert ended.status == 0
    assert "retry" in ended.out
    assert "until" in ended.out
    assert "65535" not in ended.out, "no shell reads a list of all ports at its start"
    assert len(ended.out) < 60_000
    if program := shutil.which(shell):
        (box.folder / "script").write_text(ended.out)
        assert await (await asyncio.create_subprocess_exec(program, "-n", box.folder / "script")).wait() == 0


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("docpipe re", ["report", "resume", "retry"]),
        ("docpipe status --act", ["--activities"]),
        ("docpipe run --trace", ["--trace-http"]),
        ("docpipe retry P123 --from TaskTracker_A", ["TaskTracker_AppendReport"]),
        ("docpipe completion z", ["zsh"]),
    ],
)
async def test_the_tab_key_in_bash(box: Box, typed: str, completed: list[str]) -> None:
    """What bash itself makes of the script: commands, options and the names of activities."""
    program = shutil.which("bash")
    if program is None:
        pytest.skip("SKIPPED LOUDLY: there is no bash")
    (box.folder / "script").write_text((await box.run("completion", "bash")).out)
    words = " ".join(shlex.quote(word) for word in typed.split())
    asked = (
        f"source ./script; COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ));"
        f"COMP_LINE={shlex.quote(typed)}; COMP_POINT=${{#COMP_LINE}};"
        "$(complete -p docpipe | sed 's/.*-F \\([^ ]*\\).*/\\1/') docpipe; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    bash = await asyncio.create_subprocess_exec(
        program, "--norc", "-c", asked, cwd=box.folder, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await bash.communicate()
    assert sorted(output.decode().split()) == completed
