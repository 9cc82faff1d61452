"""The client reads events as the standard defines them, whatever server wrote them."""

import contextlib

import httpx
import pytest

from docpipe.client import Client, Event
from docpipe.client.problems import NoServiceError


def events_of(body: bytes, media_type: str = "text/event-stream") -> list[Event]:
    """The events of one connection; at the next one it ends."""
    answers = [httpx.Response(200, content=body, headers={"content-type": media_type})]
    events: list[Event] = []
    with (
        Client(transport=httpx.MockTransport(lambda _: answers.pop())) as client,
        contextlib.closing(client.events()) as listening,
        contextlib.suppress(IndexError),  # there is no second connection
    ):
        events.extend(event for event in listening if event.name != "reset")
    return events


@pytest.mark.parametrize(
    "body",
    [
        b'event: service\ndata: {"a": 1}\n\n',
        b'event:service\ndata:{"a": 1}\n\n',
        b': silence\n\nevent: service\r\ndata: {"a":\r\ndata: 1}\r\n\r\n',
        b'id: 7\nretry: 1000\nevent: service\ndata: {"a": 1}\n\nevent: service\ndata: {"a": 2',
    ],
    ids=["plain", "without blanks", "in two lines", "cut off"],
)
def test_events_of_any_form_are_read(body: bytes) -> None:
    """Blanks after colons are optional, comments and other fields are skipped, a part of one is none."""
    event = events_of(body)[0]
    assert (event.name, event.data) == ("service", {"a": 1})


def test_a_line_separator_within_a_text_ends_no_line() -> None:
    """Only CR and LF end lines; a name may hold U+2028."""
    assert events_of('event: service\ndata: {"a": "x\u2028y\x85z"}\n\n'.encode())[0].data == {
        "a": "x\u2028y\x85z"
    }


@pytest.mark.parametrize(
    ("body", "media_type"), [(b"<html>", "text/html"), (b"event: run\ndata: {\n\n", "text/event-stream")]
)
def test_what_is_no_docpipe_is_named(body: bytes, media_type: str) -> None:
    """A proxy's page, or data that is no JSON, is an error with the address."""
    with pytest.raises(NoServiceError, match=r"127\.0\.0\.1:8080"):
        events_of(body, media_type)
