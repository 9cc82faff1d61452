"""Keys of a fleet: what one encrypts, all that have it decrypt; a wrong one is named, never its bytes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.config.parsing import Secret, parse_keys
from docpipe.errors import ConfigError
from docpipe.fleet.keys import Keyring

ONE, TWO, THREE = "0a" * 64, "1b" * 64, "2c" * 64
ABOUT = [b"a", b"b"]


def ring(*keys: str) -> Keyring:
    return Keyring(Secret("\n".join(keys)))


@given(st.binary(max_size=300))
def test_what_is_sealed_is_unsealed(data: bytes) -> None:
    """Nothing of it shows, and the same about the same thing is the same."""
    sealed = ring(ONE).seal(data, ABOUT)
    assert ring(ONE).unseal(sealed, ABOUT) == data
    assert sealed == ring(ONE, TWO).seal(data, ABOUT)
    assert len(data) < 4 or data not in sealed


def test_a_new_key_reads_what_the_old_one_wrote() -> None:
    """The first encrypts, all decrypt; once the old one is gone, its id is named."""
    sealed = ring(ONE).seal(b"x", ABOUT)
    assert ring(TWO, ONE).unseal(sealed, ABOUT) == b"x"
    assert ring(TWO, ONE).seal(b"x", ABOUT) == ring(TWO).seal(b"x", ABOUT)
    with pytest.raises(ConfigError, match=rf"id {ring(ONE).ids[0]}\).*not among.*{ring(TWO).ids[0]}") as lost:
        ring(TWO).unseal(sealed, ABOUT)
    assert "0a0a" not in str(lost.value)


def test_what_was_changed_or_moved_is_refused() -> None:
    """A byte, another place, another beginning, an end that is missing."""
    sealed = ring(ONE).seal(b"letter", ABOUT)
    for wrong in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:-3], sealed[:12]):
        with pytest.raises(ConfigError, match="has been changed since"):
            ring(ONE).unseal(wrong, ABOUT)
    with pytest.raises(ConfigError, match="another's place"):
        ring(ONE).unseal(sealed, [b"a", b"c"])
    with pytest.raises(ConfigError, match=r"none of docpipe's"):
        ring(ONE).unseal(b"letter", ABOUT)


def test_a_key_that_is_added_needs_no_restart(tmp_path: Path) -> None:
    """An unknown key causes the file to be read again; a file that is spoiled meanwhile changes nothing."""
    file = tmp_path / "keys"
    file.write_text(ONE)
    keys = Keyring(Secret(ONE, file, parse_keys))
    sealed = ring(TWO).seal(b"x", ABOUT)
    file.write_text("spoiled")
    with pytest.raises(ConfigError, match="not among those"):
        keys.unseal(sealed, ABOUT)
    file.write_text(f"{TWO}\n{ONE}")
    assert keys.unseal(sealed, ABOUT) == b"x"
    assert keys.ids == ring(TWO, ONE).ids


def test_hashes_find_a_patient_under_every_key() -> None:
    """The newest first; another id, or another key, has another."""
    assert ring(TWO, ONE).hashed("P1") == [*ring(TWO).hashed("P1"), *ring(ONE).hashed("P1")]
    assert len({*ring(ONE, TWO, THREE).hashed("P1"), *ring(ONE).hashed("P2")}) == 4


def test_a_fleet_without_a_key_is_refused() -> None:
    """With what to set."""
    with pytest.raises(ConfigError, match=r"fleet\.key is missing"):
        Keyring.of(None)
