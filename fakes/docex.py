"""The DocumentExchange: searches, and the way to their archives."""

import hmac
import math
import random
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Final

from yarl import URL

from fakes.calls import Call, Refusal, Reply
from fakes.clock import iso_date
from fakes.documents.shelf import Shelf
from fakes.front import Front, Route, World, digest
from fakes.patients import Person
from fakes.quota import whole_seconds

_QUEUED: Final = 0.15
"""The part of its time that a search spends in the queue."""
_ODD: Final = 0.9
"""From here on it shows the state that nobody knows, if there is to be one."""
_NETWORKS: Final = 8
_LONGEST_HINT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Search:
    """A search; its state follows from the time that has passed. Times are seconds since 1970."""

    id: str
    person: Person
    began: float
    seconds: float
    end: str
    """How it ends: ready, empty (ready without an archive), failed or expired."""
    gone: str | None = None
    """`expired` (answers 410) or `purged` (404) before its time."""

    @property
    def done(self) -> float:
        """When it ends."""
        return self.began + self.seconds


class DocExchange(Front):
    """The server, and what tests ask of it."""

    name: ClassVar[str] = "docex"

    def __init__(self, world: World, shelf: Shelf) -> None:
        options = world.options
        rates = {"docex.search": options.search_rate, "docex.status": options.status_rate}
        super().__init__(world, rates, options.docex_token)
        self.searches: dict[str, Search] = {}
        """Every search ever begun, oldest first."""
        self.archive_port = 0
        self._shelf = shelf
        self._secret = f"links of {options.seed}".encode()
        self._begun: dict[str, int] = {}
        for id_, fields in world.journal.load("search").items():
            self._count(Search(**{**fields, "id": id_, "person": Person(*fields["person"])}))

    def routes(self) -> list[Route]:
        """Every operation of the contract."""
        return [
            ("POST", "/v1/searches", "docex.search", self._search),
            ("GET", "/v1/searches/{id}", "docex.status", self._status),
            ("DELETE", "/v1/searches/{id}", "docex.delete", self._delete),
            ("GET", "/v1/archives/{name}", "docex.link", self._link),
        ]

    def subjects(self, call: Call) -> Collection[str]:
        """The id of the patient."""
        info = call.request.match_info
        if "id" in info or "name" in info:
            search = self.searches.get(info.get("id") or info["name"].removesuffix(".zip"))
            return (search.person.id,) if search else ()
        return (Person.of(call.json().get("patient")).id,)

    def searches_of(self, patient: str) -> list[Search]:
        """The searches for a patient, oldest first."""
        return [search for search in self.searches.values() if search.person.id == patient]

    def expire_search(self, id_: str) -> None:
        """Let a search answer 410 from now on; KeyError where there is none."""
        self._keep(replace(self.searches[id_], gone="expired"))

    def purge_search(self, id_: str) -> None:
        """Let a search answer 404 from now on; KeyError where there is none."""
        self._keep(replace(self.searches[id_], gone="purged"))

    def remake(self, call: Call, seconds: float) -> None:
        """Let the search run once more."""
        search = self.searches.get(call.part("name").removesuffix(".zip"))
        if search is not None:
            self._keep(replace(search, began=self.world.clock.epoch(), seconds=seconds))

    def live(self, id_: str) -> Search:
        """A search that is still there; 404 or 410 otherwise."""
        search = self.searches.get(id_)
        late = self.world.clock.epoch() - search.done if search else 0.0
        lifetime = self.world.options.search_lifetime
        if search is None or search.gone == "purged" or late >= 2 * lifetime:
            raise Refusal(404, "There is no such search.")
        if search.gone == "expired" or late >= lifetime:
            raise Refusal(410, "The search has expired.")
        return search

    def link(self, call: Call, search: Search, *, direct: bool, expires: int) -> str:
        """An address of the archive, good until `expires` (seconds since 1970)."""
        name = f"{search.id}.zip"
        query = {"expires": str(expires), "signature": self._signature(name, str(expires))}
        if not direct:
            request = call.request
            return f"{request.scheme}://{request.host}{URL.build(path=f'/v1/archives/{name}', query=query)}"
        host = call.request.url.host or self.world.options.host
        path = f"/archives/{name}"
        return str(URL.build(scheme="http", host=host, port=self.archive_port, path=path, query=query))

    def open_link(self, call: Call) -> tuple[Search, int]:
        """The search and the expiry of a link; 403 or 410 where it is none, or no longer good."""
        name, query = call.part("name"), call.request.query
        expires = query.get("expires", "")
        given = query.get("signature", "").encode("utf-8", "replace")
        if not expires.isdecimal() or not hmac.compare_digest(given, self._signature(name, expires).encode()):
            raise Refusal(403, "The link is not signed.")
        if self.world.clock.epoch() >= int(expires):
            raise Refusal(self.world.options.expired_link, "The link has expired.")
        try:
            search = self.live(name.removesuffix(".zip"))
        except Refusal as refusal:
            raise Refusal(410, "The archive is gone.") from refusal
        if search.end != "ready" or self.world.clock.epoch() < search.done:
            raise Refusal(403, "There is no archive yet.")
        return search, int(expires)

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._secret, f"{name} {expires}".encode(), "sha256").hexdigest()[:32]

    def _count(self, search: Search) -> None:
        self.searches[search.id] = search
        self._begun[search.person.id] = self._begun.get(search.person.id, 0) + 1

    def _keep(self, search: Search) -> None:
        self.searches[search.id] = search
        if self.world.journal:
            self.world.journal.put("search", search.id, asdict(search))

    def _begin(self, person: Person) -> Search:
        options, nth = self.world.options, self._begun.get(person.id, 0)
        seconds = options.patient_seconds.get(person.id)
        if seconds is None:
            seconds = random.Random(f"{options.seed}:{person.id}:{nth}").uniform(*options.search_seconds)
        end = "ready"
        if person.id in options.failing:
            end = "failed"
        elif person.id in options.empty:
            end = "empty"
        elif person.id in options.expiring and nth == 0:
            end = "expired"
        id_ = f"s-{digest(options.seed, 'search', len(self.searches))}"
        search = Search(id_, person, self.world.clock.epoch(), seconds, end)
        self._count(search)
        self._keep(search)
        return search

    async def _search(self, call: Call) -> Reply:
        call.key()
        person = Person.of(call.json().get("patient"))
        made = self.keys.made(call)
        if made is None:
            with self.world.journal.together():
                search = self._begin(person)
                self.keys.remember(call, search.id)
        else:
            search = self.searches[made]
        location = f"/v1/searches/{search.id}"
        if self.world.options.absolute_urls:
            location = f"{call.request.scheme}://{call.request.host}{location}"
        view, hints = await self._view(call, search)
        return Reply.of(202, view, {**hints, "Location": location})

    async def _status(self, call: Call) -> Reply:
        view, hints = await self._view(call, self.live(call.part("id")))
        return Reply.of(200, view, hints)

    async def _delete(self, call: Call) -> Reply:
        try:
            search = self.live(call.part("id"))
        except Refusal as refusal:
            raise Refusal(404, "The search is already gone.") from refusal
        self._keep(replace(search, gone="purged"))
        return Reply(202)

    async def _link(self, call: Call) -> Reply:
        search, expires = self.open_link(call)
        location = self.link(call, search, direct=True, expires=expires)
        return Reply(self.world.options.redirect or 307, b"", {"Location": location})

    async def _view(self, call: Call, search: Search) -> tuple[dict[str, Any], dict[str, str]]:
        """The search as it stands, and the headers that hint at when to ask again."""
        options, now = self.world.options, self.world.clock.epoch()
        view: dict[str, Any] = {"id": search.id}
        if search.gone is not None:
            return {**view, "state": "expired"}, {}
        if now < search.done:
            return self._unfinished(view, search, now)
        if search.end != "ready":
            view["state"] = "ready" if search.end == "empty" else search.end
            if search.end == "failed":
                view["error"] = "No network answered in time."
            return view, {}
        expires = math.ceil(now + options.link_seconds)
        url = self.link(call, search, direct=options.redirect is None, expires=expires)
        view |= {"state": "ready", "archive": {"url": url}}
        if not options.sparse:
            facts = await self._shelf.facts(search.person)
            view["progress"] = 1.0
            view["archive"] |= {
                "size": facts.size,
                "sha256": facts.sha256,
                "expires_at": iso_date(expires),
            }
            view["documents"] = facts.documents
        return view, {}

    def _unfinished(
        self, view: dict[str, Any], search: Search, now: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        options, waited = self.world.options, now - search.began
        part = waited / search.seconds
        view["state"] = "queued" if part < _QUEUED else "running"
        if options.unknown_state is not None and part >= _ODD:
            view["state"] = options.unknown_state
        if options.sparse:
            return view, {}
        hints = {"Retry-After": whole_seconds(min(waited / 10, _LONGEST_HINT_S))}
        if part >= _QUEUED:
            progress = (part - _QUEUED) / (1 - _QUEUED)
            view["progress"] = round(progress, 2)
            hints["X-Progress"] = (
                f"{progress:.0%} ({math.floor(progress * _NETWORKS)} of {_NETWORKS} networks)"
            )
        return view, hints
