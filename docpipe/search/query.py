"""What a person types, as an expression of FTS5 and as patterns that find the same in a line.

Words are separated by spaces and all have to occur; "several words" in quotes are a phrase; a word that ends
with * stands for all that begin with it. Case and accents do not matter.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from docpipe.errors import UsageError

_PARTS: Final = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
_WORD: Final = re.compile(r"[^\W_]+")
_SHORTEST_PREFIX: Final = 2
_MOST_TERMS: Final = 32


class QueryError(UsageError):
    """The query has no words, or too many, or too short a prefix."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word, a phrase, or the beginning of one."""

    words: tuple[str, ...]
    """Folded."""
    prefix: bool

    @property
    def expression(self) -> str:
        """The term in FTS5."""
        return f'"{" ".join(self.words)}"' + ("*" if self.prefix else "")

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the term in folded text."""
        words = r"[\W_]+".join(map(re.escape, self.words))
        return re.compile(rf"(?<![^\W_]){words}" + (r"[^\W_]*" if self.prefix else r"(?![^\W_])"))


def terms_of(query: str) -> list[Term]:
    """The terms of a query.

    Raises:
        QueryError: if it cannot be searched for.
    """
    terms = []
    for phrase, star, word in _PARTS.findall(query):
        words = tuple(_WORD.findall(fold(phrase or word)))
        prefix = bool(star) or word.endswith("*")
        if not words:
            continue
        if prefix and len(words[-1]) < _SHORTEST_PREFIX:
            raise QueryError(f"{words[-1]}* is too short: give at least two letters before the asterisk.")
        terms.append(Term(words, prefix))
    if not terms:
        raise QueryError("There is no word to search for: give at least one.")
    if len(terms) > _MOST_TERMS:
        raise QueryError(f"These are {len(terms)} words; at most {_MOST_TERMS} can be searched for at once.")
    return terms


def expression(terms: list[Term], patient_id: str | None) -> str:
    """All terms, in one patient's documents or in everyone's, as an FTS5 expression."""
    words = " AND ".join(term.expression for term in terms)
    within = f"{{title text}} : ({words})"
    return within if patient_id is None else f"owner : {owner_token(patient_id)} AND {within}"


def owner_token(patient_id: str) -> str:
    """A patient as one word, which the tokenizer does not take apart."""
    return "p" + hashlib.sha256(patient_id.encode(errors="surrogatepass")).hexdigest()[:24]


def fold(text: str) -> str:
    """Text in lower case without accents, as the tokenizer of the index folds it."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))
