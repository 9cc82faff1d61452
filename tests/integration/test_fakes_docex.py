"""The fake DocumentExchange against its contract, over the wire."""

import asyncio
import hashlib
import io

import pytest

from fakes.quota import Rate
from tests.fakes_support import PATIENT, talking

TOKEN, OTHER = "sesame", "wrong"


async def test_a_search_from_beginning_to_end():
    """Accepted, queued, running with progress and hints, ready with an archive and its documents."""
    async with talking(search_seconds=(100.0, 100.0)) as talk:
        begun = await talk.search()
        assert begun.status == 202
        assert begun.headers["Location"] == f"/v1/searches/{begun.json['id']}"
        assert int(begun.headers["Retry-After"]) >= 1
        assert begun.json["state"] == "queued"
        talk.running.skip(57.5)
        running = await talk.status(begun.json["id"])
        assert (running.json["state"], running.json["progress"]) == ("running", 0.5)
        assert running.headers["Retry-After"] == "6"
        assert running.headers["X-Progress"] == "50% (4 of 8 networks)"
        talk.running.skip(50)
        ready = await talk.status(begun.json["id"])
        assert ready.json["state"] == "ready"
        assert ready.json["archive"].keys() == {"url", "size", "sha256", "expires_at"}
        assert ready.json["documents"][0] == {"path": "note.txt", "title": "note"}


async def test_how_searches_end():
    """Patients without documents, patients whose searches fail, and patients whose first search expires."""
    async with talking(expiring=frozenset({"P1"})) as talk:
        assert (await talk.ready(PATIENT | {"id": "P198"}, "a")).keys() == {"id", "state"}
        failed = await talk.ready(PATIENT | {"id": "P199"}, "b")
        assert (failed["state"], failed["error"]) == ("failed", "No network answered in time.")
        assert (await talk.ready(PATIENT | {"id": "P1"}, "c"))["state"] == "expired"
        assert (await talk.ready(PATIENT | {"id": "P1"}, "d"))["state"] == "ready"


async def test_durations_are_seeded_and_can_be_set():
    """The same seed gives each patient the same durations; one patient's can be set."""
    events = []
    for seed in (1, 1, 2):
        async with talking(seed=seed, search_seconds=(1, 9), patient_seconds={"P5": 77.0}) as talk:
            for i in range(3):
                await talk.search(f"k{i}", PATIENT | {"id": f"P{i // 2}"})
            await talk.search("k5", PATIENT | {"id": "P5"})
            *drawn, fixed = [search.seconds for search in talk.running.docex.searches.values()]
            assert fixed == 77.0
            assert all(1 <= seconds <= 9 for seconds in drawn)
            events.append(drawn)
    assert events[0] == events[1] != events[2]


async def test_idempotency_key():
    """Required; the same body finds the same search again, another body is refused."""
    async with talking() as talk:
        assert (await talk.search(None)).status == 400
        assert (await talk.search("k" * 256)).status == 400
        first, again = await talk.search("k" * 255), await talk.search("k" * 255)
        assert first.json["id"] == again.json["id"]
        assert again.headers["Location"] == first.headers["Location"]
        assert (await talk.search("k" * 255, PATIENT | {"given": "Ann"})).status == 422
        assert (await talk.search("other")).json["id"] != first.json["id"]
        talk.running.docex.forget_keys()
        assert (await talk.search("k" * 255)).json["id"] != first.json["id"]


async def test_keys_are_the_callers_own():
    """The same key of another token is another key."""
    async with talking() as talk:
        mine = await talk.search(token=f"Bearer {TOKEN}")
        theirs = await talk.search(token=f"Bearer {OTHER}", patient=PATIENT | {"given": "Ann"})
        assert (mine.status, theirs.status) == (202, 202)
        assert mine.json["id"] != theirs.json["id"]


async def test_keys_that_are_forgotten_after_a_time():
    """After `key_seconds` a key is new."""
    async with talking(key_seconds=60.0) as talk:
        first = (await talk.search()).json["id"]
        talk.running.skip(59)
        assert (await talk.search()).json["id"] == first
        talk.running.skip(2)
        assert (await talk.search()).json["id"] != first


async def test_409_while_the_first_request_is_handled():
    """A second request with the key of one that is still being handled gets a 409."""
    async with talking() as talk:
        talk.running.add_fault("docex.search delay seconds=3600 times=1")
        first = asyncio.create_task(talk.search())
        while not talk.running.docex.requests:
            await asyncio.sleep(0)
        assert (await talk.search()).status == 409
        assert (await talk.search("another")).status == 202
        talk.running.world.closing.set()  # ends the delay
        assert (await first).status == 202
        assert (await talk.search()).json["id"] == (await first).json["id"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"json": {"patient": {"id": "P1"}}}, 400),
        ({"json": {}}, 400),
        ({"json": []}, 400),
        ({"json": None, "data": b"{", "ct": "application/json"}, 400),
        ({"json": None, "data": "x" * (9 * 2**20), "ct": "application/json"}, 413),
        ({"json": None, "data": b"{}", "ct": "text/plain"}, 415),
    ],
)
async def test_bad_searches(words, status):
    """What cannot be understood is refused as a problem."""
    async with talking() as talk:
        headers = {"Idempotency-Key": "k"}
        if "ct" in words:
            headers["Content-Type"] = words.pop("ct")
        if isinstance(words.get("data"), str):
            words["data"] = io.BytesIO(words["data"].encode())
        url = f"{talk.running.docex_url}/v1/searches"
        assert (await talk.ask("POST", url, headers=headers, **words)).status == status
        assert not talk.running.docex.searches


async def test_expired_purged_deleted():
    """410, then 404, by age and by hand; a deleted search is gone, and can be deleted once."""
    async with talking(search_lifetime=1000.0) as talk:
        old = (await talk.ready())["id"]
        talk.running.skip(1000)
        assert (await talk.status(old)).status == 410
        talk.running.skip(1000)
        assert (await talk.status(old)).status == 404
        ids = [(await talk.search(f"n{n}")).json["id"] for n in range(3)]
        talk.running.docex.expire_search(ids[0])
        talk.running.docex.purge_search(ids[1])
        url = f"{talk.running.docex_url}/v1/searches/{ids[2]}"
        assert [(await talk.ask("DELETE", url)).status for _ in range(2)] == [202, 404]
        assert [(await talk.status(id_)).status for id_ in ids] == [410, 404, 404]
        assert (await talk.status("s-none")).status == 404


async def test_quota_counts_every_request():
    """Refused requests count, endpoints are counted apart, and Retry-After says until when."""
    async with talking(search_rate=Rate(2, 3600.0), status_rate=Rate(3, 3600.0)) as talk:
        result = await talk.search("a")
        await talk.search("a", {})
        over = await talk.search("c")
        assert over.status == 429
        assert 3590 <= int(over.headers["Retry-After"]) <= 3600
        assert [(await talk.status(result.json["id"])).status for _ in range(4)] == [200, 200, 200, 429]
        docex = talk.running.docex
        assert (docex.worst_window("docex.search"), docex.worst_window("docex.status")) == (3, 4)
        assert docex.worst_window("docex.*", 3600.0) == 7
        assert talk.running.count_429() == docex.count_429() == 2
        assert docex.count_429("docex.search") == 1
        assert [seen.status for seen in docex.requests] == [202, 400, 429, 200, 200, 200, 429]
        assert [seen.key for seen in docex.requests][:4] == ["a", "a", "c", None]
        times = [seen.at for seen in docex.requests]
        assert times == sorted(times)
        assert times[-1] <= asyncio.get_running_loop().time()


async def test_quota_is_per_token():
    """Another token has a quota of its own; a wrong token is counted, too."""
    async with talking(search_rate=Rate(1, 3600.0)) as talk:
        assert (await talk.search("a", token=f"Bearer {TOKEN}")).status == 202
        assert (await talk.search("b", token=f"Bearer {OTHER}")).status == 202
        assert (await talk.search("c", token=f"Bearer {TOKEN}")).status == 429
        assert talk.running.docex.worst_window("docex.search") == 2


async def test_tokens():
    """401 without a token, 403 with another; the token is in no log or representation."""
    async with talking(docex_token=TOKEN) as talk:
        missing = await talk.search()
        assert (missing.status, missing.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await talk.search(token=f"Basic {TOKEN}")).status == 401
        assert (await talk.search(token=f"Bearer {OTHER}")).status == 403
        assert (await talk.search(token=f"Bearer {TOKEN}")).status == 202
        assert TOKEN not in repr(talk.running.world.options)
        assert TOKEN not in repr(talk.running.docex.requests)


async def test_paths_that_are_none():
    """404 for an unknown path, 405 with Allow for an unknown method, both as problems."""
    async with talking() as talk:
        assert (await talk.ask("GET", f"{talk.running.docex_url}/v2/searches")).status == 404
        wrong = await talk.ask("PUT", f"{talk.running.docex_url}/v1/searches/x")
        assert (wrong.status, set(wrong.headers["Allow"].split(", "))) == (405, {"GET", "DELETE"})


async def test_shapes_that_the_contract_allows():
    """Absolute addresses, an unknown state, and answers with nothing but what is required."""
    async with talking(absolute_urls=True, unknown_state="merging", search_seconds=(100, 100)) as talk:
        begun = await talk.search()
        assert begun.headers["Location"] == f"{talk.running.docex_url}/v1/searches/{begun.json['id']}"
        talk.running.skip(95)
        assert (await talk.status(begun.json["id"])).json["state"] == "merging"
    async with talking(sparse=True) as talk:
        begun = await talk.search()
        assert begun.json.keys() == {"id", "state"}
        assert "Retry-After" not in begun.headers
        ready = await talk.ready()
        assert ready.keys() == {"id", "state", "archive"}
        assert ready["archive"].keys() == {"url"}


async def test_one_archive_for_many_who_ask_at_once():
    """Searches that end together get their archives, each patient's its own."""
    async with talking(mix="full") as talk:
        people = [PATIENT | {"id": f"P{n}"} for n in (1, 2)]
        result = [(await talk.search(f"{n}", people[n % 2])).json["id"] for n in range(6)]
        talk.running.skip(10)
        answers = await asyncio.gather(*(talk.status(id_) for id_ in result))
        digests = [answer.json["archive"]["sha256"] for answer in answers]
        assert len(set(digests)) == 2
        assert digests[0] == digests[2] == digests[4]
        url = answers[0].json["archive"]["url"]
        link = (await talk.ask("GET", url)).headers["Location"]
        assert hashlib.sha256((await talk.ask("GET", link)).body).hexdigest() == digests[0]
