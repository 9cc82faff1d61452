"""Short Western texts in the code pages of DOS, the Macintosh and mainframes, which statistics mistake.

A few accented letters in an English, French or German text are too little for a guesser: it takes them for
Chinese or Central European. Here a code page is accepted only if every character beyond ASCII is in a place
where Western text has it: letters within words, a micro sign before a unit, a degree sign behind a number.
"""

import re
from typing import Final

_PAGES: Final = ("cp850", "mac_roman", "cp437")
_RUNS: Final = re.compile(rb"[\x80-\xff]+")
_LONGEST_RUN: Final = 3
_MOST: Final = 0.2
"""The share of characters beyond ASCII that a Western text may have."""
_EXPECTED: Final = re.compile(
    r"(?<![0-9])[àâäáãåçéèêëíìîïñóòôöõøúùûüÿœæß](?![0-9])"
    r"|(?<![a-zß-ÿ])[ÀÂÄÁÃÅÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØÚÙÛÜŒÆ]"
    r"|(?<![^\W\d])[µμ](?=[glLmkMUs])|(?<=[0-9 ])°(?![^\W\dCFc])|[½¼¾](?![A-Za-z])"
    r"|(?<=[\s0-9(])[±≤≥×÷](?=[\s0-9])|[«»“”„’‘](?=[\s\w.,;)]|$)"  # noqa: RUF001 - signs
    r"|(?<=[\s\w])[–—…•](?=[\s\w]|$)",  # noqa: RUF001 - likewise
    re.MULTILINE,
)
_STRONG: Final = re.compile(r"[µμ](?=[glLmkMUs])|[½¼¾]")
"""Signs that settle the question between pages that share their letters."""
_EBCDIC_BLANKS: Final = (0.02, 0.6)
_LEAST: Final = 12


def western(data: bytes, guess: str) -> str | None:
    """The code page of DOS or the Macintosh that fits where the guess does not, None to keep the guess."""
    high = sum(map(len, _RUNS.findall(data)))
    longest = max(map(len, _RUNS.findall(data)), default=0)
    if longest > _LONGEST_RUN or high > _MOST * len(data):
        return None
    for page in _PAGES:
        text = data.decode(page)
        if _EXPECTED.sub("", text).isascii() and (_STRONG.search(text) or not _is_plausible(data, guess)):
            return page
    return None


def _is_plausible(data: bytes, encoding: str) -> bool:
    """Whether a guess leaves Latin words whole: no ideograph, sign or other script touches them."""
    text = data.decode(encoding, "replace")
    return not re.search(
        r"[A-Za-z](?![A-Za-z])[\u0370-\ud7ff\uf900-\uffef]|[\u0370-\ud7ff\uf900-\uffef][a-z]", text
    )


def is_ebcdic(data: bytes) -> bool:
    """Whether bytes are text of a mainframe: blanks are 40, letters and digits are beyond ASCII."""
    blanks = data.count(b"@") / max(len(data), 1)
    if len(data) < _LEAST or not _EBCDIC_BLANKS[0] <= blanks <= _EBCDIC_BLANKS[1]:
        return False
    text = data.decode("cp037")
    letters = sum(character.isascii() and character.isalnum() for character in text)
    odd = sum(
        not (character.isascii() and (character.isprintable() or character in "\n\x85\r\t"))
        for character in text
    )
    odd -= text.count("\x85")
    return letters >= len(text) / 3 and odd <= len(text) / 50
