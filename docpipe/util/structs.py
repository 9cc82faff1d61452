"""What msgspec knows of Structs, made before threads decode them."""

import contextlib
from collections.abc import Iterator

import msgspec


def prepare_structs() -> None:
    """Let msgspec inspect every Struct that is loaded; call it before threads decode any.

    msgspec (0.22) looks at a Struct when it is first decoded. A second thread that decodes it meanwhile reads
    what is half made, and the process dies.
    """
    for struct in _below(msgspec.Struct):
        with contextlib.suppress(TypeError):  # it is only encoded
            msgspec.json.Decoder(struct)


def _below(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for kind in struct.__subclasses__():
        yield kind
        yield from _below(kind)
