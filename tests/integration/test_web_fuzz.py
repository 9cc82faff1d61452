"""A fuzzer (schemathesis) finds the API's description true, with and without a token."""

import asyncio
import shutil
import sys
import time
from pathlib import Path

import pytest

from docpipe.web import tokens
from tests.web_support import TOKEN, serving

NEVER_ENDS = "/api/events"
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 416, 422, 429, "5xx"]

[[operations]]
include-path = "/api/runs/{{run_id}}/files/{{name}}"
parameters = {{ "path.run_id" = "{run}" }}

[[operations]]
include-path = "/api/documents/{{patient_id}}/{{document_id}}/{{name}}"
parameters = {{ "path.patient_id" = "S0", "path.document_id" = "{document}" }}

[[operations]]
include-path-regex = "/api/runs/[^/]+/(chart.pdf|documents.zip)"
parameters = {{ "path.run_id" = "{run}" }}

[[operations]]
include-path-regex = "/api/patients/.*"
parameters = {{ "path.patient_id" = "S0" }}

[[operations]]
include-path = "/api/submissions/check"
checks.negative_data_rejection.expected-statuses = ["2xx", "4xx"]
"""
"""A list that cannot be used is what the check answers with 200. No description tells which keys came with
another request (422), and which ranges there are (416)."""


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_the_description_is_true(
    tmp_path: Path, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is sent, what is answered is as described, and nothing breaks."""
    monkeypatch.setattr(tokens, "GUESSES", 10**6)  # bad tokens are among what is sent
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, "schemathesis is missing"
    async with serving(tmp_path, time.time, token=token) as served:
        (run,) = await served.finished("S0")
        documents = (await served.get(f"/api/runs/{run}/documents")).json["documents"]
        document = next(result["document_id"] for result in documents if result["files"])
        reported = CONFIG.format(run=run, document=document)
        (tmp_path / "schemathesis.toml").write_text(reported, "utf-8")
        header = ("--header", f"Authorization: Bearer {token}") if token else ()
        process = await asyncio.create_subprocess_exec(
            program,
            *("--config-file", str(tmp_path / "schemathesis.toml")),
            *(
                "run",
                f"{served.address}/api/openapi.json",
                "--checks",
                "all",
                "--seed",
                "1",
                "--max-examples",
                "30",
            ),
            *("--exclude-path", NEVER_ENDS, "--phases", "examples,coverage,fuzzing", "--no-color", *header),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()

    assert process.returncode == 0, out.decode()[-6000:]
