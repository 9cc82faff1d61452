"""The DocumentExchange's client against scripted answers: disputed and lost searches, and where polls go."""

import itertools

import pytest

from docpipe.config.config import Docex
from docpipe.errors import ServiceError
from docpipe.http.pending import Repeats
from docpipe.model import Patient, Ticket
from docpipe.results.search import ArchiveLink, Search
from docpipe.sources.docex.exchange import AGAIN_S, DocumentExchange
from docpipe.sources.docex.owners import Owners
from tests import virtual
from tests.steps import MemoryStep, ScriptedHttp

pytestmark = pytest.mark.virtual
NOW = 100.0
ANN = Patient("P1", "Ann", "Lee", "1957-03-31")
ARCHIVE = {"url": "/a.zip", "size": 3}


def exchange_of(http, **owners):
    """The client; `owners` are patients of known searches."""
    known = Owners(lambda: NOW)
    for search_id, patient_id in owners.items():
        known.claim(search_id, patient_id)
    config = Docex(base_url="https://docex.example/api")
    return DocumentExchange(http, config, None, None, lambda: NOW, None, known)


def accepted(id_="s1", **headers):
    return ("POST", 202, headers, {"id": id_, "state": "queued"})


def polled(state, **more):
    return ("GET", 200, {}, {"id": "s1", "state": state, **more})


GONE = ("GET", 404, {}, {})


async def test_a_search_of_another_patient_is_requested_again():
    """First with the same key, since the answer may be mixed up; then with further keys, which are kept."""
    http = ScriptedHttp(*[accepted("s1")] * 3, accepted("s2"), accepted("s2"), accepted("s3"))
    step = MemoryStep(key="k")
    search = await exchange_of(http, s1="P2", s2="P3").search(step, ANN)
    assert search.search_id == "s3"
    keys = [options["headers"]["Idempotency-Key"] for options in http.sent("POST")]
    assert keys == ["k", "k", "k:other2", "k:other3", "k:other3", "k:other4"]
    assert step.states[0] == {"sent": NOW}
    assert [state.get("key") for state in step.states[1:]] == ["k:other2", "k:other3", "k:other4"]


async def test_a_request_that_stays_in_progress_has_failed():
    """Each 409 costs a search of the quota: after twenty of them, a quarter of an hour, the patient fails."""
    http = ScriptedHttp(*[("POST", 409, {}, {})] * 20)
    with pytest.raises(ServiceError, match=r"status 409: .*still in progress"):
        await exchange_of(http).search(MemoryStep(), ANN)
    http = ScriptedHttp(*[("POST", 409, {}, {})] * 19, accepted())
    assert (await exchange_of(http).search(MemoryStep(), ANN)).search_id == "s1"


async def test_a_resumed_search_has_the_key_that_was_kept():
    """The first key stands for the search of another patient."""
    http = ScriptedHttp(accepted())
    step = MemoryStep({"sent": 3.0, "key": "k:other2"}, key="k")
    await exchange_of(http).search(step, ANN)
    assert http.sent("POST")[0]["headers"] == {"Idempotency-Key": "k:other2"}
    assert step.states == []


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("", "/v1/searches/s1"),
        ("https://docex.example/api/v1/jobs/7?x=1", "/v1/jobs/7?x=1"),
        ("https://elsewhere.example/api/v1/jobs/7", "/v1/searches/s1"),
        ("http://docex.example/api/v1/jobs/7", "/v1/searches/s1"),
        ("/other/jobs/7", "/v1/searches/s1"),
        ("/api/v1/searches/", "/v1/searches/s1"),
    ],
)
async def test_polls_stay_below_the_base_url(location, path):
    """Another origin, or another path of it, is not believed."""
    headers = {"Location": location} if location else {}
    http = ScriptedHttp(("POST", 202, {**headers, "Retry-After": "7"}, {"id": "s1", "state": "queued"}))
    search = await exchange_of(http).search(MemoryStep(), ANN)
    assert (search.path, search.ask_after, search.at) == (path, 7.0, NOW)


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ([GONE, polled("ready", archive=ARCHIVE)], "ready"),
        ([GONE, GONE], "expired"),
        ([GONE, polled("running"), GONE, polled("ready", archive=ARCHIVE)], "ready"),
        ([polled("expired")], "expired"),
    ],
)
async def test_a_search_is_gone_after_two_such_answers_in_a_row(answers, state):
    """A proxy may answer 404 for a moment; the second poll follows soon, and is counted."""
    http, step = ScriptedHttp(*answers), MemoryStep()
    ready = await exchange_of(http).wait_until_ready(step, Search(search_id="s1", at=NOW - 50), ANN)
    assert (ready.state, ready.polls) == (state, len(answers))
    assert http.script == []
    if answers[0] is GONE:
        assert step.waits[0][0] == NOW + AGAIN_S


async def test_the_result_of_a_disputed_search_is_not_taken():
    """Two patients got the same search: neither takes its archive."""
    http = ScriptedHttp(polled("ready", archive=ARCHIVE))
    exchange = exchange_of(http, s1="P2")
    ready = await exchange.wait_until_ready(MemoryStep(), Search(search_id="s1"), ANN)
    assert (ready.expired, ready.archive) == (True, None)


async def test_a_fresh_link_is_requested_at_once():
    """The archive is ready, so that nothing is waited for; a search that failed or is gone has none."""
    step = MemoryStep()
    search = Search(search_id="s1", path="/v1/searches/s1", at=3.0, ask_after=60.0)
    exchange = exchange_of(ScriptedHttp(polled("ready", archive=ARCHIVE)))
    assert await exchange.fresh_archive(step, search) == ArchiveLink(url="/a.zip", size=3)
    assert step.waits == []
    for gone in ([GONE, GONE], [polled("expired")], [polled("failed", error="x")]):
        assert await exchange_of(ScriptedHttp(*gone)).fresh_archive(step, search) is None


@pytest.mark.parametrize(("most", "sent"), [(3, 3), (6, 6), (None, 9)])
async def test_a_pending_post_is_repeated_with_doubled_pauses(most, sent):
    """Up to the longest pause and the number of requests, each pause in the ticket."""
    ticket, waits, requests = Ticket("R1"), [], []

    async def send():
        requests.append(virtual.wall_clock())
        return len(requests)

    async def pending(answer):
        return answer < 9

    async def recover():
        waits.append(ticket.wait)

    repeats = Repeats("docex.search", virtual.wall_clock, 5.0, most)
    assert await repeats.until_settled(ticket, send, pending, recover) == sent
    pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(requests)]
    assert pauses == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0, 5.0][: sent - 1]
    assert waits == [None] * (sent if most else sent - 1), "a pause that is over is no wait"


async def test_an_effect_that_is_found_ends_the_repeats():
    """The answer to an earlier request was lost, and its effect shows after a pause."""
    ticket, waits = Ticket("R1"), []

    async def send():
        waits.append(ticket.wait)
        return "pending"

    async def pending(_answer):
        return True

    async def recover():
        return "there"

    repeats = Repeats("tasktracker", virtual.wall_clock, 60.0, 20)
    assert await repeats.until_settled(ticket, send, pending, recover) == "there"
    assert waits == [None]
