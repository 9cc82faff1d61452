"""Tokens of the OAuth2 server, as all servers know them."""

import secrets
from dataclasses import dataclass, field

from fakes.clock import Clock


@dataclass(slots=True)
class Tokens:
    """The tokens that are good at the moment; the other servers look here."""

    clock: Clock
    seconds: float
    _until: dict[str, float] = field(default_factory=dict)
    issued: list[str] = field(default_factory=list)
    """Every token ever given, oldest first."""

    def issue(self) -> str:
        """Give a new one."""
        token = secrets.token_urlsafe(24)
        self._until[token] = self.clock.time() + self.seconds
        self.issued.append(token)
        return token

    def good(self, token: str) -> bool:
        """Whether a token may be used."""
        return self.clock.time() < self._until.get(token, 0.0)

    def revoke(self) -> None:
        """Let no token be good any more."""
        self._until.clear()
