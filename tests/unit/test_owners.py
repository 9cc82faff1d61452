"""Whose a search is: one id is never taken for two patients, and not remembered for ever."""

from docpipe.sources.docex.owners import KEPT_S, Owners


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_search_belongs_to_the_patient_who_had_it_first() -> None:
    """Runs of the same patient may have it again; once another one was given it, nobody has it."""
    owners = Owners(Clock())
    assert owners.claim("s1", "P1")
    assert owners.claim("s1", "P1")
    assert owners.claim("s2", "P2")
    assert not owners.claim("s1", "P2")
    assert not owners.claim("s1", "P1")
    assert owners.disputed("s1")
    assert owners.claim("s2", "P2")


def test_ids_may_come_again_after_a_while() -> None:
    """An exchange that counts anew is no mix-up; a search that is polled is remembered all the time."""
    clock = Clock()
    owners = Owners(clock)
    owners.claim("s1", "P1")
    owners.claim("s2", "P2")
    clock.now += KEPT_S - 1
    assert owners.claim("s2", "P2")
    clock.now += 2
    assert owners.claim("s1", "P3")
    assert not owners.claim("s2", "P3")
