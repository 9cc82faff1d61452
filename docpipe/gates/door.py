"""Between a quota and the service behind it: who stands in line does not know why the door is shut."""

from typing import Protocol

from docpipe.model import Wait


class Outlet(Protocol):
    """A line before a door, as the door sees it."""

    def rank(self, now: float) -> float:
        """How often whoever would go next has failed, infinite when nobody can go."""

    def stir(self) -> None:
        """The door has changed: look again, and show those in line what they wait for."""

    def poke(self) -> None:
        """Somebody at the door left: look again whether it is another's turn."""


class Door(Protocol):
    """What stands behind a line."""

    def obstacle(self, outlet: Outlet, now: float) -> float:
        """For how many seconds nobody may pass, infinite until something changes."""

    def passing(self) -> None:
        """Somebody was let go."""

    def withdrawn(self) -> None:
        """Somebody who was let go, or stood in line, does not go after all."""

    def wait(self) -> Wait | None:
        """What those in line wait for, None while the door is open."""


class OpenDoor:
    """A door that is never shut."""

    def obstacle(self, outlet: Outlet, now: float) -> float:  # noqa: ARG002 -- the protocol's
        """Nothing is in the way."""
        return 0.0

    def passing(self) -> None:
        """Anybody may."""

    def withdrawn(self) -> None:
        """Nobody minds."""

    def wait(self) -> Wait | None:
        """Nobody waits here."""
        return None
