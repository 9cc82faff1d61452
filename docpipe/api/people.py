"""Identities of patients, as the API sends them."""

from docpipe.api.shapes import Identity, Shape


class People(Shape, frozen=True, kw_only=True):
    """The demographics of some patients, each once.

    By ids they are in the order in which they were asked for, by name in the order of family names.
    """

    people: list[Identity]
    more: bool = False
    """Whether further people have such a name."""
    problem: str | None = None
    """Why names cannot be searched now, or not at all."""
