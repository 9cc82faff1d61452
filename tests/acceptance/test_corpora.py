"""Corpora through the real workers: nothing escapes, nothing hangs, every file is accounted for."""

import argparse
from pathlib import Path

from tests.corpus.__main__ import run
from tests.corpus.convert import files_of


def options(samples: Path, **changes: object) -> argparse.Namespace:
    given = {"folder": samples, "mutants": None, "seed": 0, "workers": 2, "timeout": 120, "ocr": True}
    return argparse.Namespace(**(given | changes))


async def test_every_sample_is_accounted_for(samples: Path, tmp_path: Path) -> None:
    """Each file has one result, and no document gets the better of its converter."""
    args = options(samples)
    corpus = await run(args, tmp_path)
    paths = [result.path for result in corpus.results]
    assert set(files_of(args.folder)) <= set(paths)
    assert not [result for result in corpus.results if result.escaped]


async def test_no_damaged_document_escapes(samples: Path, tmp_path: Path) -> None:
    """Samples with flipped, missing, repeated and foreign bytes end with an outcome, never a dead worker."""
    corpus = await run(options(samples, mutants=300, seed=5, ocr=False), tmp_path)
    assert len(corpus.results) >= 300
    assert not [result for result in corpus.results if result.escaped]
