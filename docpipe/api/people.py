"""Identities of patients, as the API sends them."""

from docpipe.api.shapes import Identity, Shape


class People(Shape, frozen=True, kw_only=True):
    """The demographics of some patients, each once, in the order in which they were asked for."""

    people: list[Identity]
