"""What stands on each page around the text: headers, footers, watermarks. Once in the text, and named."""

from collections.abc import Iterable

from docpipe.convert.core.blocks import Block, Paragraph


def named(what: str, blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The blocks behind a name such as "Page header", each block once; nothing for none."""
    listed = tuple(dict.fromkeys(blocks))
    if not listed:
        return ()
    texts = [block.text for block in listed if isinstance(block, Paragraph)]
    if len(texts) == len(listed):
        return (Paragraph(f"{what}: " + "\n".join(texts)),)
    return (Paragraph(f"{what}:"), *listed)
