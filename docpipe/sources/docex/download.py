"""Downloads an archive to a spool file: resumed after a break, verified by length and SHA-256."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from docpipe.config.config import Docex
from docpipe.errors import ArchiveError
from docpipe.gates import Gate
from docpipe.gates.line import waiting
from docpipe.gates.local_trouble import trouble_of, wait_out
from docpipe.http import Answer, Ask, Credentials, DownloadError, Fetch, Http, Reach, joined, origin_of
from docpipe.http.verdicts import refusal
from docpipe.model import Clock, Step, Wait, WaitKind
from docpipe.results.search import ArchiveLink
from docpipe.results.states import PartialDownload
from docpipe.sources.docex.partial import Part, Verified, measured, write
from docpipe.sources.encodings import DamagedError, decoded

log = structlog.get_logger(__name__)

DAMAGED_PAUSES_S: Final = (20.0, 60.0)
"""Before each download by a fresh link, once the archive arrived damaged twice by the first one: a cache that
mixes archives up may know that link, and an archive that is being written anew takes a while."""
TRIES_LINK: Final = 5
LINK_PAUSE_S: Final = 4.0
"""Before the second fresh link, and twice as long before each further one: a proxy that answers in place of
the server, such as for the seconds of a deployment, must not use up all links."""
MOVED: Final = 2
"""After this many attempts in a row that reach no server of another origin, a fresh link is requested."""
_RANGE_REFUSED: Final = 416
_BAD_REQUEST: Final = 400
_SERVER_ERROR: Final = 500
_BODY_COMES: Final = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads archives, each to a file of its own."""

    http: Http
    config: Docex
    credentials: Credentials
    gate_of: Callable[[str], Gate]
    """The gate of an origin."""
    allowed: Callable[[str], bool]
    """Whether an archive may come from an origin."""
    clock: Clock

    async def fetch(
        self,
        step: Step,
        archive: ArchiveLink,
        path: Path,
        fresh_link: Callable[[], Awaitable[ArchiveLink | None]],
    ) -> Verified | None:
        """Download, verify, and leave the archive at `path`.

        Args:
            step: the activity's attempt.
            archive: its link, and what the exchange declares of it.
            path: the target; what an earlier attempt left there is continued.
            fresh_link: requests a new link; None when the search is gone.

        Returns:
            None when the search is gone.

        Raises:
            ArchiveError: if it stays damaged, or its links never work.
            ServiceError: if it comes from an origin that is not allowed.
        """
        left = Part.of(path, None, None).exists
        if left and (verified := await _verified(archive, path, None)) is not None and archive.sha256:
            return verified  # an earlier attempt was stopped between here and its checkpoint
        fetch = self.http.fetch(
            step.ticket,
            gate_of=self.gate_of,
            allowed=self.allowed,
            credentials=self.credentials,
            home=self.config.base_url,
            reach=Reach(self.config.base_url, self.config.archive_origins, self.config.allow_http),
        )
        damaged = links = missed = 0
        asked = 0.0
        while True:
            archive, asked = await self._moved(archive, missed, asked, fresh_link)
            status, written = await self._attempt(step, fetch, archive, path)
            missed = missed + 1 if fetch.unreached else 0
            if fetch.refused_by_stranger or (status is not None and _refuses_link(status)):
                if status is not None:  # else the gate paces the attempts, as in an outage
                    links += 1
                    await self._pause(step, links, status)
            elif status is None:
                continue
            elif (verified := await _verified(archive, path, written)) is not None:
                return verified
            else:
                damaged += 1
                await self._discard(step, path, damaged)
                if damaged == 1:  # in transit, most likely: the same link at once
                    continue
            if (fresh := await fresh_link()) is None:
                return None
            archive = fresh

    async def _discard(self, step: Step, path: Path, damaged: int) -> None:
        """Remove what arrived damaged for the nth time, and wait before the next download but the second.

        Raises:
            ArchiveError: if that is too often.
        """
        log.warning("archive_damaged", run_id=step.ticket.run_id, tries=damaged)
        await asyncio.to_thread(path.unlink, missing_ok=True)
        if damaged == 1:
            return
        if damaged - 1 > len(DAMAGED_PAUSES_S):
            raise ArchiveError(
                f"The archive arrived damaged {damaged} times: its length or its checksum is not "
                "what the exchange says."
            )
        await self._wait(step, DAMAGED_PAUSES_S[damaged - 2])

    async def _pause(self, step: Step, links: int, status: int) -> None:
        """After this many links that were refused; the first is likely to have expired.

        Raises:
            ArchiveError: if there were too many.
        """
        if links > TRIES_LINK:
            raise ArchiveError(
                f"The exchange gave {links} links to the archive, and none worked (status {status})."
            )
        if links > 1:
            await self._wait(step, LINK_PAUSE_S * 2 ** (links - 2))

    async def _wait(self, step: Step, seconds: float) -> None:
        """Wait; the run shows for what."""
        now = self.clock()
        with waiting(step.ticket, Wait(WaitKind.RETRY, "docex", now, now + seconds)):
            await asyncio.sleep(seconds)

    async def _moved(
        self,
        archive: ArchiveLink,
        missed: int,
        asked: float,
        fresh_link: Callable[[], Awaitable[ArchiveLink | None]],
    ) -> tuple[ArchiveLink, float]:
        """The link to use after `missed` attempts in a row that reached no server, and when it was requested.

        In an outage of a host that is not the exchange its archives may be elsewhere by now. Whoever only
        waited for the host, where all downloads share one try at a time, would hold up the others.
        """
        origin = origin_of(joined(self.config.base_url, archive.url))
        if origin == origin_of(self.config.base_url) or not self.allowed(origin):
            return archive, asked
        outage = self.gate_of(origin).service.view().outage
        if missed >= MOVED or (outage is not None and outage.since > asked):
            return await fresh_link() or archive, outage.since if outage else asked
        return archive, asked

    async def _attempt(
        self, step: Step, fetch: Fetch, archive: ArchiveLink, path: Path
    ) -> tuple[int | None, Verified | None]:
        """Fetch what is missing.

        Returns:
            The status, or None when it broke off and is to be continued; and the digest of the file where
            this attempt has brought all of it.
        """
        try:
            partial = step.saved(PartialDownload)
            part = Part.of(path, archive.size, partial and partial.etag)
            answer, written = await self._fetch(step, fetch, archive, part)
        except DownloadError:  # the gate has counted it, and decides when to retry
            return None, None
        except DamagedError:  # what was written of it is not what the exchange declares, or no archive
            return HTTPStatus.OK, None
        except OSError as error:
            if (trouble := trouble_of(error)) is None:
                raise ArchiveError(f"The spool cannot be written: {error.strerror}.") from error
            await wait_out(trouble, step.ticket, "spool", self.clock)
            return None, None
        if answer.status not in (*_BODY_COMES, _RANGE_REFUSED) and not _refuses_link(answer.status):
            raise refusal("The exchange", self.config, answer, "the download of the archive")
        return answer.status, written

    async def _fetch(
        self, step: Step, fetch: Fetch, archive: ArchiveLink, part: Part
    ) -> tuple[Answer, Verified | None]:
        written = None
        url = joined(self.config.base_url, archive.url)
        async with fetch.open(url, part.headers(), Ask(own=_is_own, encoded=True)) as response:
            if response.status in _BODY_COMES:
                if (start := part.start(response)) is None:
                    log.warning("range_not_as_requested", run_id=step.ticket.run_id)
                    await asyncio.to_thread(part.refuse, response)
                else:
                    if part.exists:
                        await asyncio.to_thread(part.begin, start)
                    etag = response.headers.get("ETag", part.etag if start else None)
                    encoded = "Content-Encoding" in response.headers  # then the rest cannot be requested
                    step.note(PartialDownload(etag=None if encoded else etag))
                    chunks = measured(step.ticket, start, archive.size, decoded(response))
                    written = await write(part.path, start, chunks)
            return Answer(response.status, response.headers, None), written


def _is_own(_status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a 4xx comes from the exchange or an object store: proxies send pages and texts."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return bool(body) and kind not in ("text/html", "application/xhtml+xml", "text/plain")


def _refuses_link(status: int) -> bool:
    """Whether an answer means that the link does not work, or no longer.

    Object stores also answer 400 and 401, for a signature that has expired or whose key was changed.
    """
    return _BAD_REQUEST <= status < _SERVER_ERROR and status != _RANGE_REFUSED


async def _verified(archive: ArchiveLink, path: Path, written: Verified | None) -> Verified | None:
    """Size and SHA-256 of a file, None when they are not those that the exchange declares.

    Args:
        archive: what the exchange declares.
        path: the file.
        written: its size and SHA-256 where they are known.
    """
    actual = written or await asyncio.to_thread(_digest, path)
    if actual is None or archive.size not in (None, actual.size):
        return None
    return actual if (archive.sha256 or actual.sha256).lower() == actual.sha256 else None


def _digest(path: Path) -> Verified | None:
    """Size and SHA-256 of a file on the disk; None where there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Verified(file.tell(), digest.hexdigest())
