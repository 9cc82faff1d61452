"""The client over a transport of the test's: what it sends, repeats, refuses and makes of answers."""

import json
from pathlib import Path

import httpx
import msgspec
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

import docpipe.client
from docpipe.client import (
    Client,
    ConflictError,
    NoServiceError,
    NotFoundError,
    NotReachableError,
    RefusedError,
    Run,
    SignInError,
)
from docpipe.errors import UsageError

ADDRESS = "http://127.0.0.1:8080"
TOKEN = "a-token-that-stays-secret"  # noqa: S105 -- of no service
RUN = {"run_id": "R1", "patient_id": "P1", "state": "running", "priority": 0, "documents": {"converted": 2}}
AT = "2026-12-01T04:00:00Z"
ONE = RUN | {
    "activities": [
        {"activity": "DocEx_Search", "item": "", "attempts": 2, "started_at": AT, "finished_at": None}
        | {"outcome": None, "error": None, "polls": None, "asked": []}
    ],
    "waits": [
        {"activity": "DocEx_Search", "kind": "quota", "what": "docex.search", "since": AT, "until": None}
    ],
}


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def client(naps: list[float]):
    with Client(ADDRESS, TOKEN, sleep=naps.append) as client:
        yield client


def problem(status: int, type_: str = "about:blank") -> httpx.Response:
    reported = {"type": type_, "title": "t", "status": status, "detail": "A sentence.", "instance": "/api"}
    return httpx.Response(status, json=reported, headers={"Content-Type": "application/problem+json"})


@respx.mock
def test_a_submission_that_was_lost_is_repeated_with_its_key(client: Client, naps: list[float]) -> None:
    """A connection that breaks and a 503 lead to the same request again, under the same key."""
    accepted = {"runs": [{**RUN, "created": True}], "refused": []}
    route = respx.post(f"{ADDRESS}/api/runs")
    route.side_effect = [httpx.ReadError("gone"), problem(503), httpx.Response(202, json=accepted)]
    (run,) = client.submit(["P1", "P1"], 3)
    assert (run.run_id, run.state) == ("R1", "running")
    keys = {call.request.headers["Idempotency-Key"] for call in route.calls}
    assert len(keys) == 1
    assert {call.request.content for call in route.calls} == {b'{"patients":["P1"],"priority":3}'}
    assert {call.request.headers["Authorization"] for call in route.calls} == {f"Bearer {TOKEN}"}
    assert naps == [0.5, 1.0]


@respx.mock
def test_many_patients_go_in_parts(client: Client) -> None:
    """More than fit into one request go in several, each with a key of its own; refusals come at the end."""
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        ids = json.loads(request.content)["patients"]
        sent.append((request.headers["Idempotency-Key"], len(ids)))
        refused = [{"line": 1, "reason": "It is empty."}] if "bad" in ids else []
        return httpx.Response(
            202, json={"runs": [{**RUN, "patient_id": id_} for id_ in ids], "refused": refused}
        )

    respx.post(f"{ADDRESS}/api/runs").mock(side_effect=answer)
    assert len(client.submit((f"P{n}" for n in range(25_000)), key="mine")) == 25_000
    assert sent == [("mine-0", 10_000), ("mine-1", 10_000), ("mine-2", 5_000)]
    with pytest.raises(UsageError, match=r"1 of 2 patient ids were refused: It is empty\."):
        client.submit(["bad", "P1"])


@respx.mock
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SignInError), (403, SignInError), (404, NotFoundError), (409, ConflictError), (422, RefusedError)],
)
def test_problems_become_errors(client: Client, status: int, error: type) -> None:
    """A problem's sentence is the error's; nothing that must not be repeated is."""
    route = respx.post(f"{ADDRESS}/api/runs/R1/cancel").mock(return_value=problem(status, "urn:x"))
    with pytest.raises(error, match="A sentence") as caught:
        client.cancel("R1")
    assert (caught.value.status, caught.value.type, route.call_count) == (status, "urn:x", 1)


@respx.mock
def test_what_is_no_docpipe(client: Client, naps: list[float]) -> None:
    """A page of a proxy, or nobody at all, is reported as what it is; reading is tried a few times."""
    respx.get(f"{ADDRESS}/api/summary").mock(return_value=httpx.Response(200, text="<html>hello</html>"))
    with pytest.raises(NoServiceError, match="no docpipe"):
        client.summary()
    respx.get(f"{ADDRESS}/api/services").mock(return_value=httpx.Response(404, text="nginx"))
    with pytest.raises(NoServiceError, match="status 404"):
        client.services()
    route = respx.get(f"{ADDRESS}/api/runs/R1").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(NotReachableError, match="docpipe serve"):
        client.run("R1")
    assert route.call_count == len(naps) + 1 == 5


@respx.mock
def test_a_run_has_its_activities_and_waits(client: Client) -> None:
    """What the service reports of one run is there, with types."""
    respx.get(f"{ADDRESS}/api/runs/R1").mock(return_value=httpx.Response(200, json=ONE))
    run = client.run("R1")
    assert isinstance(run, Run)
    assert [(step.activity, step.attempts) for step in run.activities] == [("DocEx_Search", 2)]
    assert [(wait.what, wait.until) for wait in run.waits] == [("docex.search", None)]


@respx.mock
def test_pages_are_loaded_as_they_are_taken(client: Client) -> None:
    """Every page brings the cursor of the next; filters go along."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.url.params.multi_items()))
        number = int(request.url.params.get("cursor", "0"))
        runs = [{**RUN, "run_id": f"R{number}"}]
        return httpx.Response(200, json={"runs": runs, "next": str(number + 1) if number < 2 else None})

    respx.get(f"{ADDRESS}/api/runs").mock(side_effect=answer)
    runs = client.runs(["queued"], "P&=1")
    assert next(runs).run_id == "R0"
    assert len(seen) == 1
    assert [run.run_id for run in runs] == ["R1", "R2"]
    assert {(page["state"], page["q"]) for page in seen} == {("queued", "P&=1")}


STREAM = {"Content-Type": "text/event-stream"}


@respx.mock
def test_waiting_outlives_a_lost_connection(client: Client, naps: list[float]) -> None:
    """Events are listened to anew where they break off, and what was missed is asked for."""
    done = {**RUN, "state": "completed"}
    first = (
        b"event: reset\ndata: {}\n\n: comment\n\nid: 2\nevent: run\ndata: "
        + json.dumps(RUN).encode()
        + b"\n\n"
    )
    respx.get(f"{ADDRESS}/api/events").mock(
        side_effect=[
            httpx.Response(200, content=first, headers=STREAM),
            problem(503),
            httpx.Response(200, content=b"event: reset\ndata: {}\n\n", headers=STREAM),
        ]
    )
    respx.get(f"{ADDRESS}/api/runs/R1").mock(
        side_effect=[httpx.Response(200, json=reported) for reported in ({**RUN, "state": "queued"}, done)]
    )
    reported: list[Run] = []
    (ended,) = client.wait(["R1"], each=reported.append)
    assert ended.finished
    assert [run.state for run in reported] == ["queued", "running", "completed"]
    assert naps == [0.5]


@respx.mock
def test_a_download_is_whole_or_not_there(client: Client, tmp_path) -> None:
    """A file appears under its name when all of it has come; what breaks off leaves nothing."""
    where = "/api/documents/P1/0123456789abcdef/text.md"
    respx.get(f"{ADDRESS}{where}").mock(return_value=httpx.Response(200, content=b"words"))
    assert client.download(where, tmp_path / "a.md").read_bytes() == b"words"
    assert (tmp_path / "a.md").stat().st_mode & 0o077 == 0

    def broken():
        yield b"wo"
        raise httpx.ReadError("gone")

    respx.get(f"{ADDRESS}{where}").mock(side_effect=lambda _: httpx.Response(200, content=broken()))
    with pytest.raises(NotReachableError):
        client.download(where, tmp_path / "b.md")
    respx.get(f"{ADDRESS}{where}").mock(return_value=problem(404))
    with pytest.raises(NotFoundError):
        client.download(where, tmp_path / "c.md")
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    with pytest.raises(UsageError):
        client.download("https://elsewhere.example/x", tmp_path / "d.md")


@respx.mock
def test_charts_and_zips(client: Client, tmp_path: Path) -> None:
    """Of a patient, of a run, of several runs; of nothing is refused before it is asked for."""
    routes = [
        respx.get(f"{ADDRESS}/api/patients/P%2F1/chart.pdf"),
        respx.get(f"{ADDRESS}/api/runs/R1/chart.pdf"),
        respx.get(f"{ADDRESS}/api/patients/P%2F1/documents.zip"),
        respx.get(f"{ADDRESS}/api/runs/R1/documents.zip"),
        respx.get(f"{ADDRESS}/api/documents.zip?run=R1&run=R2"),
    ]
    for route in routes:
        route.return_value = httpx.Response(200, content=b"file")
    target = tmp_path / "file"
    assert client.chart(target, patient="P/1").read_bytes() == b"file"
    client.chart(target, run="R1")
    client.package(target, patient="P/1")
    client.package(target, runs=["R1"])
    client.package(target, runs=["R1", "R2"])
    assert [route.call_count for route in routes] == [1] * 5
    for wrong in ({}, {"patient": "P1", "run": "R1"}):
        with pytest.raises(UsageError, match="one of them"):
            client.chart(target, **wrong)
    with pytest.raises(UsageError, match="one of them"):
        client.package(target)


def test_the_token_stays_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown nowhere, and not sent unencrypted to another machine."""
    with Client(ADDRESS, TOKEN) as client:
        assert TOKEN not in repr(client)
    with pytest.raises(UsageError, match="unencrypted") as caught:
        Client("http://docpipe.example", TOKEN)
    assert TOKEN not in str(caught.value)
    Client("http://docpipe.example").close()
    Client("https://docpipe.example", TOKEN).close()
    Client("http://docpipe.example", TOKEN, insecure=True).close()
    monkeypatch.setenv("DOCPIPE_SERVICE__TOKEN", TOKEN)
    with pytest.raises(UsageError, match="unencrypted"):
        Client("http://docpipe.example")
    for bad in ("docpipe", "ftp://docpipe", "http://"):
        with pytest.raises(UsageError, match="no address"):
            Client(bad)


@respx.mock
def test_the_token_comes_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As containers give secrets; a file that cannot be used is named by its variable, and not quoted."""
    route = respx.get(f"{ADDRESS}/api/runs/R1").mock(return_value=httpx.Response(200, json=ONE))
    file = tmp_path / "token"
    monkeypatch.setenv("DOCPIPE_SERVICE__TOKEN_FILE", str(file))
    with pytest.raises(UsageError, match=r"TOKEN_FILE: .*token cannot be read: No such file"):
        Client(ADDRESS)
    for held, message in (
        (b"\xff", "not a text in UTF-8"),
        (b"", "has to hold a text"),
        (b"a b", "has to hold a"),
    ):
        file.write_bytes(held)
        with pytest.raises(UsageError, match=message) as caught:
            Client(ADDRESS)
        assert "a b" not in str(caught.value)
    file.write_text(f"{TOKEN}\n", "utf-8")
    with Client(ADDRESS) as client:
        client.run("R1")
    with Client(ADDRESS, "given") as client:
        client.run("R1")
    displayed = [call.request.headers["Authorization"] for call in route.calls]
    assert displayed == [f"Bearer {TOKEN}", "Bearer given"]
    monkeypatch.setenv("DOCPIPE_SERVICE__TOKEN", TOKEN)
    with pytest.raises(UsageError, match="say the same thing"):
        Client(ADDRESS)


@given(
    st.dictionaries(
        st.sampled_from(["started_at", "doing", "task_id", "files", "error", "new_word"]),
        st.none(),
        max_size=6,
    ),
    st.text(max_size=20),
)
def test_a_newer_service_is_understood(more: dict, state: str) -> None:
    """Members that are missing, new, or null where they may be, and new states, break no client."""
    run = msgspec.json.decode(json.dumps({**RUN, **more, "state": state}), type=Run)
    assert run.state == state
    assert run.finished is (state in ("completed", "completed_with_errors", "failed", "cancelled"))


@respx.mock
def test_a_search_names_words_and_patient(client: Client) -> None:
    """Words and ids as they are, and the hits as values."""
    hit = {"patient_id": "P&1", "document_id": "0" * 16, "name": "a.pdf", "title": "Letter"}
    hit |= {"author": None, "date": None, "media_type": None}
    hit["lines"] = [{"number": 3, "text": "die Äpfel", "marks": [[4, 9]]}]
    answer = {"total": 1, "more": False, "complete": True, "hits": [hit]}
    route = respx.get(f"{ADDRESS}/api/search").respond(json=answer)
    hits = client.search('"die Äpfel"', "P&1", limit=5)
    assert dict(route.calls.last.request.url.params) == {
        "q": '"die Äpfel"',
        "limit": "5",
        "offset": "0",
        "patient": "P&1",
    }
    assert (hits.total, hits.hits[0].lines[0].marks) == (1, [(4, 9)])


def test_the_example_is_that_of_the_documentation() -> None:
    """One that is mended in one place is mended in both."""
    module = docpipe.client.__doc__ or ""
    example = [
        line.strip() for line in module.partition("from docpipe")[2].partition("Every error")[0].splitlines()
    ]
    page = (Path(docpipe.__file__).parent / "docs" / "service.md").read_text("utf-8")
    assert [line for line in example if line not in page] == []
    assert len(example) > 5
