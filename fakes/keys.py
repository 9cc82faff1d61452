"""Idempotency-Keys: what each one made, and with which body."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from fakes.calls import Call, Refusal
from fakes.clock import Clock
from fakes.journal import Journal


@dataclass(frozen=True, slots=True)
class _Made:
    body: str
    """A digest of the body that came with the key."""
    id: str
    """What was made."""
    at: float
    """When, in seconds since 1970."""


class Keys:
    """Keys count per caller and path, as the address is what they make a request to safe to repeat."""

    def __init__(self, kind: str, journal: Journal, clock: Clock, lifetime: float | None) -> None:
        self._kind, self._journal, self._clock, self._lifetime = kind, journal, clock, lifetime
        self._made = {scope: _Made(*values) for scope, values in journal.load(kind).items()}
        self._working: dict[str, Call] = {}

    @contextlib.contextmanager
    def working(self, call: Call) -> Iterator[None]:
        """Say that the first request with the key is being handled, for the time of the block."""
        scope = _scope(call)
        mine = self._working.setdefault(scope, call) is call
        try:
            yield
        finally:
            if mine:
                del self._working[scope]

    def made(self, call: Call) -> str | None:
        """The id of what this key made, None where it is new.

        409 while the first request with it is being handled, 422 where that one had another body.
        """
        scope = _scope(call)
        made = self._made.get(scope)
        if (
            made is not None
            and self._lifetime is not None
            and made.at + self._lifetime <= self._clock.epoch()
        ):
            made = None
        if made is None:
            if self._working.get(scope, call) is not call:
                raise Refusal(409, "The first request with this Idempotency-Key is still being handled.")
            return None
        if made.body != _fingerprint(call):
            raise Refusal(422, "This Idempotency-Key was used with another body.")
        return made.id

    def remember(self, call: Call, id_: str) -> None:
        """The key of this call made something."""
        scope, made = _scope(call), _Made(_fingerprint(call), id_, self._clock.epoch())
        self._made[scope] = made
        self._journal.put(self._kind, scope, [made.body, made.id, made.at])

    def forget(self) -> None:
        """Forget every key."""
        self._made.clear()
        self._journal.forget(self._kind)


def _scope(call: Call) -> str:
    return f"{call.seen.caller} {call.seen.path} {call.seen.key}"


def _fingerprint(call: Call) -> str:
    canonical = json.dumps(call.json(), sort_keys=True)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
