"""A step whose state is kept in memory, and an HTTP client whose answers are scripted."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from docpipe.http import Answer
from docpipe.model import Ticket, Wait


@dataclass
class MemoryStep:
    """See model.Step. `state` is the latest, as JSON; `states` are all of them."""

    state: Any = None
    key: str = "R1:TaskTracker_UpdateStatus"
    ticket: Ticket = field(default_factory=lambda: Ticket("R1"))
    states: list[Any] = field(default_factory=list)
    durable: list[Any] = field(default_factory=list)
    """Those that were on the disk before the step went on."""
    waits: list[tuple[float, Wait]] = field(default_factory=list)
    """What it would have waited for, and until when."""

    def saved(self, kind):
        return None if self.state is None else msgspec.convert(self.state, kind)

    async def save(self, state):
        self.note(state)
        self.durable.append(self.state)

    def note(self, state):
        self.state = msgspec.to_builtins(state)
        self.states.append(self.state)

    async def until(self, when, wait):
        self.waits.append((when, wait))


class ScriptedHttp:
    """Answers calls in order, and keeps them; each answer is (method, status, headers, body)."""

    def __init__(self, *script):
        self.script = list(script)
        self.calls = []

    async def call(self, method, url, **options):
        self.calls.append((method, {"url": url, **options}))
        expected, status, headers, body = self.script.pop(0)
        assert method == expected, f"{method} instead of {expected}"
        return Answer(status, headers, body)

    def sent(self, method):
        """The options of the calls of a method."""
        return [options for called, options in self.calls if called == method]
