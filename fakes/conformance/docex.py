"""Checks of a DocumentExchange."""

import asyncio
import hashlib
import io
import zipfile
from typing import Any, Final
from urllib.parse import urljoin

from fakes.conformance.kit import (
    Answer,
    BrokenError,
    Check,
    NotedError,
    Session,
    SkippedError,
    shaped,
    unknown_id,
    without_token,
)

_STATES: Final = ("queued", "running", "ready", "failed", "expired")
_OVER: Final = ("ready", "failed", "expired")
_MIXED_UP: Final = "see caches and balancers before the service"
_REMEMBER: Final = "remember keys for a day, and their answers"
_QUOTA: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5
_DELETION_PAUSES_S: Final = (1.0, 4.0)
_PATH: Final = "v1/searches"


def _search(answer: Answer) -> dict[str, Any]:
    value = answer.value()
    with shaped("a search"):
        if not isinstance(value["id"], str) or not isinstance(value["state"], str):
            raise BrokenError("a search whose id or state is no text", "send both as texts")
    return value  # type: ignore[no-any-return]  # it is a mapping, or `shaped` has spoken


async def unknown_search(session: Session) -> None:
    """A 404 of the service itself, distinguished from that of a proxy by its form."""
    (await session.ask("GET", f"{_PATH}/{unknown_id()}")).problem(404, 410)


async def malformed(session: Session) -> None:
    """400 for a search without demographics; nothing is begun."""
    headers = {"Idempotency-Key": unknown_id()}
    (await session.ask("POST", _PATH, {"patient": {"id": ""}}, headers)).problem(400, 422)


async def begin(session: Session) -> None:
    """202 with the search and where to ask for it."""
    key = unknown_id()
    body = {"patient": dict(session.target.patient)}
    answer = (await session.ask("POST", _PATH, body, {"Idempotency-Key": key})).expect(202)
    search = _search(answer)
    session.known |= {"key": key, "body": body, "id": search["id"]}
    session.known["status"] = urljoin(
        str(answer.url), answer.headers.get("Location", f"{_PATH}/{search['id']}")
    )
    if "Location" not in answer.headers:
        raise NotedError("202 without a Location; docpipe asks at /v1/searches/{id}")


async def begin_again(session: Session) -> None:
    """The same key and body are the same search."""
    headers = {"Idempotency-Key": session.need("key")}
    answer = (await session.ask("POST", _PATH, session.need("body"), headers)).expect(202)
    if _search(answer)["id"] != session.need("id"):
        raise BrokenError("another search for the same Idempotency-Key", _REMEMBER)


async def begin_other(session: Session) -> None:
    """The same key with another body is refused."""
    body = {"patient": {**session.need("body")["patient"], "given": "Another"}}
    (await session.ask("POST", _PATH, body, {"Idempotency-Key": session.need("key")})).problem(422)


async def beside(session: Session) -> None:
    """Of two searches each is read as itself: no cache, balancer or connection mixes them up.

    The other is for a patient whom nobody has.
    """
    nobody = {"id": unknown_id(), "given": "Conformance", "family": "Nobody", "birth_date": "1900-01-01"}
    headers = {"Idempotency-Key": unknown_id()}
    answer = (await session.ask("POST", _PATH, {"patient": nobody}, headers)).expect(202)
    other = _search(answer)["id"]
    if other == session.need("id"):
        raise BrokenError("the search of another patient", _MIXED_UP)
    place = urljoin(str(answer.url), answer.headers.get("Location", f"{_PATH}/{other}"))
    session.known["other"] = place
    for id_, status in ((other, place), (session.need("id"), session.need("status")), (other, place)):
        if _search((await session.ask("GET", status)).expect(200))["id"] != id_:
            raise BrokenError("the status of another search", _MIXED_UP)


async def archives_beside(session: Session) -> None:
    """The archive of another search is another one, and the first is still itself."""
    other = await _over(session, session.need("other"))
    if other["state"] != "ready" or not other.get("archive"):
        raise SkippedError("the other search has no archive")
    mine, theirs = session.need("ready")["archive"], other["archive"]
    for link in (theirs, mine, theirs):
        answer = await _fetched(session, link["url"])
        if link.get("sha256") not in (None, hashlib.sha256(answer.body).hexdigest()):
            raise BrokenError("the archive of another search", _MIXED_UP)


async def begin_later(session: Session) -> None:
    """The key of the first search is still known, after other requests and a deletion."""
    await _forgotten(session, session.need("other"))
    headers = {"Idempotency-Key": session.need("key")}
    answer = (await session.ask("POST", _PATH, session.need("body"), headers)).expect(202)
    if (id_ := _search(answer)["id"]) != session.need("id"):
        place = answer.headers.get("Location", f"{_PATH}/{id_}")
        await session.ask("DELETE", urljoin(str(answer.url), place))
        raise BrokenError("another search for the same Idempotency-Key, some requests later", _REMEMBER)


async def _over(session: Session, status: str) -> dict[str, Any]:
    """The search once it is over; SkippedError if it takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + session.target.seconds
    while True:
        search = _search((await session.ask("GET", status)).expect(200))
        if search["state"] in _OVER:
            return search
        if loop.time() > end:
            raise SkippedError(f"not over within {session.target.seconds:g} s; see --seconds")
        await asyncio.sleep(1)


async def follow(session: Session) -> None:
    """Each status is of the search that was asked for, until it is over."""
    loop = asyncio.get_running_loop()
    end = loop.time() + session.target.seconds
    odd = set()
    while True:
        search = _search((await session.ask("GET", session.need("status"))).expect(200))
        if search["id"] != session.need("id"):
            raise BrokenError("the status of another search", _MIXED_UP)
        if search["state"] in _OVER:
            break
        if search["state"] not in _STATES:
            odd.add(search["state"][:30])
        if loop.time() > end:
            raise SkippedError(f"not over within {session.target.seconds:g} s; see --seconds")
        await asyncio.sleep(1)
    if search["state"] != "ready":
        raise SkippedError(f"the search ended as {search['state']}")
    session.known["ready"] = search
    if odd:
        raise NotedError(f"states that the contract does not know: {', '.join(sorted(odd))}")


async def archive(session: Session) -> None:
    """The archive arrives whole, with the size and checksum that were promised."""
    ready = session.need("ready")
    if "archive" not in ready:
        if ready.get("documents"):
            raise BrokenError("documents are listed, and there is no archive", "send archive.url with them")
        raise SkippedError("the patient has no documents; choose one that has")
    with shaped("archive"):
        address = ready["archive"]["url"]
    answer = await _fetched(session, address)
    session.known |= {"link": str(answer.url), "archive": answer}
    size, sha256 = ready["archive"].get("size"), ready["archive"].get("sha256")
    if size is not None and size != len(answer.body):
        raise BrokenError(
            f"{len(answer.body)} bytes where {size} are promised", "send size as a number of bytes"
        )
    if sha256 is not None and sha256 != hashlib.sha256(answer.body).hexdigest():
        raise BrokenError("another SHA-256 than is promised", "send it in lower-case hexadecimal digits")
    if "Content-Encoding" in answer.headers:
        raise NotedError("the archive is sent encoded; docpipe decodes it")
    if size is None or sha256 is None:
        raise NotedError("no size or sha256: a damaged download is noticed by the ZIP alone")


async def _fetched(session: Session, address: str, headers: dict[str, str] | None = None) -> Answer:
    """Follow redirects; the token goes to the service's own origin alone."""
    for _ in range(_MOST_REDIRECTS):
        answer = await session.ask("GET", address, headers=headers)
        if answer.status not in _REDIRECTS:
            return answer.expect(200, 206)
        if "Location" not in answer.headers:
            raise BrokenError(f"{answer.status} without a Location", "say where the archive is")
        address = urljoin(str(answer.url), answer.headers["Location"])
    raise BrokenError("redirects without end", "redirect at most five times")


async def members(session: Session) -> None:
    """The archive is a ZIP that holds what the status lists."""
    answer: Answer = session.need("archive")
    try:
        with zipfile.ZipFile(io.BytesIO(answer.body)) as file:
            bad, names = file.testzip(), set(file.namelist())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise BrokenError(
            f"the archive is no ZIP that can be read ({type(error).__name__})", "send a ZIP"
        ) from error
    if bad is not None:
        raise BrokenError("a member of the archive is damaged", "write the archive anew")
    with shaped("documents"):
        listed = {document["path"] for document in session.need("ready").get("documents", [])}
    if missing := listed - names:
        raise BrokenError(
            f"{len(missing)} of {len(listed)} listed documents are not in the archive", "list what is sent"
        )


async def ranges(session: Session) -> None:
    """A range is what was asked for, or the whole comes."""
    whole: Answer = session.need("archive")
    middle = len(whole.body) // 2
    answer = await _fetched(session, session.need("link"), {"Range": f"bytes={middle}-"})
    if answer.status == 200:  # noqa: PLR2004 -- OK
        raise NotedError("ranges are ignored: a download that breaks off begins anew")
    if answer.headers.get("Content-Range") != f"bytes {middle}-{len(whole.body) - 1}/{len(whole.body)}":
        raise BrokenError("206 with another Content-Range than was asked for", "follow RFC 9110, 14.4")
    if answer.body != whole.body[middle:]:
        raise BrokenError("206 with other bytes than the whole has there", "serve the same archive each time")


async def stale_range(session: Session) -> None:
    """With If-Range of another version the whole comes."""
    whole: Answer = session.need("archive")
    answer = await _fetched(
        session, session.need("link"), {"Range": "bytes=1-", "If-Range": '"of-another-version"'}
    )
    if answer.status != 200 or answer.body != whole.body:  # noqa: PLR2004 -- OK
        raise BrokenError("a part of the archive in spite of If-Range", "answer 200 with all of it")


async def forget(session: Session) -> None:
    """A search can be forgotten; afterwards it is gone."""
    await _forgotten(session, session.need("status"))


async def _forgotten(session: Session, status: str) -> None:
    """Delete a search that is there; it may go some seconds later, as 202 says."""
    answer = (await session.ask("DELETE", status)).expect(202, 204, 404)
    if answer.status == 404:  # noqa: PLR2004 -- Not Found
        answer.problem(404)
        raise BrokenError("404 to the deletion of a search that is there", "forget it, and answer with 202")
    for pause in (*_DELETION_PAUSES_S, None):
        gone = await session.ask("GET", status)
        if gone.status != 200 or pause is None:  # noqa: PLR2004 -- OK
            break
        await asyncio.sleep(pause)
    if gone.status == 200:  # noqa: PLR2004 -- OK
        raise NotedError("the search is still there")
    gone.problem(404, 410)


async def over_quota(session: Session) -> None:
    """More than the quota is refused with 429, in the form of the contract."""
    path = f"{_PATH}/{unknown_id()}"
    answers = await asyncio.gather(*(session.send("GET", path) for _ in range(3 * _QUOTA)))
    refused = [answer for answer in answers if answer.status == 429]  # noqa: PLR2004 -- Too Many Requests
    for answer in answers:
        answer.problem(404, 410, 429)
    if not refused:
        raise NotedError(f"{3 * _QUOTA} requests at once, and none was over the quota")
    await asyncio.sleep(1.2)


CHECKS: Final = (
    Check("a search that does not exist: 404 as problem+json", unknown_search),
    without_token(_PATH),
    Check("a search without demographics: 400 as problem+json", malformed),
    Check("a status quota that answers 429", over_quota, floods=True),
    Check("POST /v1/searches: 202, id, state, Location", begin, writes=True),
    Check("the same Idempotency-Key: the same search", begin_again, writes=True),
    Check("the same Idempotency-Key with another body: 422", begin_other, writes=True),
    Check("two searches beside each other are not mixed up", beside, writes=True),
    Check("the status is that of the search", follow, writes=True),
    Check("the archive has its size and SHA-256", archive, writes=True),
    Check("the archive holds the documents that are listed", members, writes=True),
    Check("two archives beside each other are not mixed up", archives_beside, writes=True),
    Check("Range: 206 with the rest, or 200 with all", ranges, writes=True),
    Check("If-Range of another version: 200 with all", stale_range, writes=True),
    Check("DELETE of another search; the key of the first is still known", begin_later, writes=True),
    Check("DELETE: the search is gone", forget, writes=True),
)
