"""Tokens, sessions, and the limit on guessing, with a clock that the test turns."""

import hmac
from types import SimpleNamespace

import pytest

from docpipe.config.parsing import Secret
from docpipe.web import tokens
from docpipe.web.tokens import GUESSES, SESSION_S, WITHIN_S, Guesses, Sessions, Token


class Clock:
    """Seconds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By compare_digest, over digests of one length, whatever is shown."""
    seen = []

    def compared(one: bytes, other: bytes) -> bool:
        seen.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(tokens, "hmac", SimpleNamespace(compare_digest=compared))
    token = Token(Secret("right"))
    displayed = ("right", "wrong", "", "righ", "right ", "x" * 100_000, "\udcff", "é")
    assert [token.same(text) for text in displayed] == [True] + [False] * 7
    assert seen == [(32, 32)] * 8


def test_a_session_ends(clock: Clock) -> None:
    """After its time, or when it is revoked; others continue."""
    sessions = Sessions(clock)
    first, second = sessions.begin(), sessions.begin()
    assert first != second
    assert sessions.good(first)
    assert not sessions.good("")
    sessions.end(first)
    sessions.end("unknown")
    assert (sessions.good(first), sessions.good(second)) == (False, True)
    clock.now += SESSION_S
    assert not sessions.good(second)


def test_sessions_are_bounded(clock: Clock) -> None:
    """The oldest goes; what has ended is forgotten first; cookies themselves are not kept."""
    sessions = Sessions(clock)
    cookies = [sessions.begin() for _ in range(1001)]
    assert [sessions.good(cookie) for cookie in (cookies[0], cookies[1], cookies[-1])] == [False, True, True]
    clock.now += SESSION_S
    sessions.begin()
    assert len(sessions._ends) == 1
    assert not set(cookies) & {str(key) for key in sessions._ends}


def test_guesses_are_limited(clock: Clock) -> None:
    """Ten bad tokens within a minute from one address, and it waits until the first is a minute old."""
    guesses = Guesses(clock)
    for _ in range(GUESSES):
        assert guesses.pause("10.0.0.1") == 0
        guesses.bad("10.0.0.1")
        clock.now += 1
    assert guesses.pause("10.0.0.1") == WITHIN_S - GUESSES
    assert guesses.pause("10.0.0.2") == 0
    clock.now += WITHIN_S - GUESSES
    assert guesses.pause("10.0.0.1") == 0
    guesses.bad("10.0.0.1")
    assert guesses.pause("10.0.0.1") == 1


def test_an_address_of_ipv6_is_its_network(clock: Clock) -> None:
    """An IPv6 network of 2^64 addresses counts as one client; so does what is no address at all."""
    guesses = Guesses(clock)
    for number in range(GUESSES):
        guesses.bad(f"2001:db8::{number:x}")
        guesses.bad(None)
    assert guesses.pause("2001:db8::ffff") > 0
    assert guesses.pause("2001:db8:0:1::1") == 0
    assert guesses.pause("") > 0


def test_guesses_take_bounded_memory(clock: Clock) -> None:
    """However many addresses they come from."""
    guesses = Guesses(clock)
    for number in range(5000):
        guesses.bad(f"10.0.{number // 256}.{number % 256}")
    assert len(guesses._bad) == 4096
    clock.now += WITHIN_S
    guesses.bad("10.9.9.9")
    assert len(guesses._bad) == 1
