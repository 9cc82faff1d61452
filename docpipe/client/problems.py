"""Errors of the client."""

import json

import httpx

from docpipe.errors import DocpipeError


class ClientError(DocpipeError):
    """The service was not reached, or refused the request."""


class NotReachableError(ClientError):
    """The service cannot be reached."""


class NoServiceError(ClientError):
    """What answers is no docpipe."""


class RefusedError(ClientError):
    """The service has answered with a problem (RFC 9457).

    Attributes:
        status: of the answer.
        type: which problem it is, such as `urn:docpipe:problem:finished`.
        detail: a sentence for people.
    """

    def __init__(self, status: int, type_: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type_
        self.detail = detail


class SignInError(RefusedError):
    """The token is missing, wrong, or was tried too often."""


class NotFoundError(RefusedError):
    """There is no such run, document or service."""


class ConflictError(RefusedError):
    """The run is in a state in which that cannot be."""


_BY_STATUS = {401: SignInError, 403: SignInError, 404: NotFoundError, 409: ConflictError}


def refusal(response: httpx.Response) -> ClientError:
    """What an answer of 400 or more, that has been read, means."""
    try:
        problem = json.loads(response.content)
        detail, type_ = str(problem["detail"]), str(problem["type"])
    except (ValueError, KeyError, TypeError):
        return NoServiceError(
            f"The answer (status {response.status_code}) is not docpipe's: is the address right, and does "
            "something stand between?"
        )
    if response.status_code == httpx.codes.UNAUTHORIZED:
        detail += " Give the token with DOCPIPE_SERVICE__TOKEN, or its file with DOCPIPE_SERVICE__TOKEN_FILE."
    return _BY_STATUS.get(response.status_code, RefusedError)(response.status_code, type_, detail)
