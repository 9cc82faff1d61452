"""Suggests the known word closest to a mistyped one."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """Return the known word most similar to another, ignoring case; None if none is similar.

    Args:
        word: the word that was given.
        known: the words to choose from.
        alike: the least similarity, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 -- only mistakes need it

    by_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_case, n=1, cutoff=alike)
    return by_case[near[0]] if near else None
