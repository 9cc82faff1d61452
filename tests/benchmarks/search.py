"""Full-text search: 100,000 documents indexed and searched, against FTS5 alone with the same texts."""

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from docpipe.search import Text
from docpipe.search.index import Index
from docpipe.search.query import terms_of
from tests.benchmarks.figures import Figure

DOCUMENTS = 100_000
PATIENTS = 1_000
WORDS = 150
QUERIES = ("word1", "word7 word12 word40", '"word3 word5"', "wo*", "word19*", "word4999", "word2 word4998")


def _texts() -> Iterator[str]:
    """Texts with words as frequent as in a language: the n-th of 5,000 a n-th as often as the first."""
    rng = random.Random(1)
    vocabulary = [f"word{number}" for number in range(1, 5001)]
    weights = [1 / number for number in range(1, 5001)]
    for _ in range(DOCUMENTS):
        words = rng.choices(vocabulary, weights, k=WORDS)
        yield "\n".join(" ".join(words[start : start + 10]) for start in range(0, WORDS, 10))


def _bare(path: Path) -> float:
    """Milliseconds a text that FTS5 alone takes, in one transaction."""
    db = sqlite3.connect(path)
    db.execute("CREATE VIRTUAL TABLE texts USING fts5 (text)")
    spent = 0.0
    for text in _texts():
        began = time.perf_counter()
        db.execute("INSERT INTO texts VALUES (?)", (text,))
        spent += time.perf_counter() - began
    db.commit()
    db.close()
    return spent / DOCUMENTS * 1000


def search() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder) / "bare.db")
        index, spent, batch = Index(Path(folder) / "index.db"), 0.0, list[Text]()
        for number, text in enumerate(_texts(), 1):
            batch.append(Text(document_id=f"{number:016x}", name=f"{number}.txt", text=text))
            if len(batch) == DOCUMENTS // PATIENTS:  # those of a run, at its end
                began = time.perf_counter()
                patient_id = f"P{number // len(batch) - 1}"
                index.put_all(((patient_id, document) for document in batch), durably=True)
                spent += time.perf_counter() - began
                batch.clear()
        took = []
        for query in QUERIES:
            for patient_id in (None, "P7"):
                began = time.perf_counter()
                index.search(terms_of(query), patient_id, limit=20, offset=0)
                took.append((time.perf_counter() - began) * 1000)
        index.close()
    indexed = spent / DOCUMENTS * 1000
    return [
        Figure("index a document", indexed, "ms", "FTS5 alone", bare, goal="<= 2"),
        Figure("slowest search", max(took), "ms", "median", sorted(took)[len(took) // 2], goal="<= 100"),
    ]
