"""The token of the service: the configured one, or one of its own in the state folder."""

import secrets
from pathlib import Path
from typing import Final

from docpipe.config.config import Service
from docpipe.config.parsing import Secret
from docpipe.errors import StateError
from docpipe.util.fsync import replace_file

FILE: Final = "service-token"
"""In the state folder, for its owner only."""
OPEN: Final = "none"
"""As `service.token` it opens the service to everybody who reaches it."""


def token_of(service: Service, state: Path) -> Secret | None:
    """The token that requests have to present, None if the service is open; makes one where none is set.

    Raises:
        StateError: if the file of a token that docpipe makes cannot be used.
    """
    if service.token is not None:
        return None if is_open(service) else service.token
    return known_token(state) or _make(state / FILE)


def is_open(service: Service) -> bool:
    """Whether the configuration opens the service by intent."""
    return service.token is not None and service.token.reveal() == OPEN


def known_token(state: Path) -> Secret | None:
    """The token that docpipe made for a state folder, None if there is none, or it cannot be read."""
    try:
        text = (state / FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Secret(text) if text else None


def _make(path: Path) -> Secret:
    token = secrets.token_urlsafe(32)
    try:
        replace_file(path, f"{token}\n".encode())
    except OSError as error:
        raise StateError(
            f"{path} cannot be written ({error.strerror}): set service.token, or correct its permissions."
        ) from error
    return Secret(token)
