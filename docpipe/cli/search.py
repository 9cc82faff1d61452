"""`docpipe search`: finds words in the text of stored documents, and rebuilds the index."""

import argparse
import json
import os
import sys
from collections.abc import Iterator

import msgspec

from docpipe.cli.phrases import print_line, warn
from docpipe.cli.signals import run_stoppable
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import UsageError
from docpipe.model import count_of
from docpipe.report.labels import TYPES, one_line
from docpipe.runtime.state_folder import in_use
from docpipe.search import Hit, Hits, Line, SearchIndex, open_index
from docpipe.storage import Storage
from docpipe.wiring.backends import index_path, open_storage

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_EVERY = 100
"""Documents of a rebuild between two lines of progress."""
_STOPPED = "\ndocpipe: stopped before all is indexed; `docpipe search --rebuild` begins again.\n"


def search(args: argparse.Namespace) -> int:
    """Search, or rebuild the index; returns the exit status."""
    config = load(args.config, services=False, state=True)
    if not config.search.index:
        raise UsageError("The search index is switched off: set search.index = true in the configuration.")
    if args.words and args.rebuild:
        raise UsageError("Rebuild the index first, and search afterwards: --rebuild takes no words.")
    if not args.words and not args.rebuild:
        raise UsageError("Name what to search for: `docpipe search WORDS`.")
    return run_stoppable(_search(args, config), debug=args.debug, hint=_STOPPED if args.rebuild else "")


async def _search(args: argparse.Namespace, config: Config) -> int:
    storage = open_storage(config)
    async with open_index(index_path(config), storage) as index:
        if args.rebuild:
            return await _rebuild(args, config, index)
        if not index.path.exists():
            raise UsageError("There is no search index yet: `docpipe search --rebuild` makes it.")
        hits = await index.search(_query(args.words), patient_id=args.patient, limit=args.limit)
    if args.json:
        print_line(msgspec.json.encode(hits).decode())
        return 0
    for line in _lines(hits, storage):
        print_line(line)
    if not hits.complete:
        warn("docpipe: older documents may be missing; `docpipe search --rebuild` adds them.")
    return 0


async def _rebuild(args: argparse.Namespace, config: Config, index: SearchIndex) -> int:
    def show(number: int) -> None:
        if sys.stderr.isatty() and number % _EVERY == 0:
            print(f"\rindexing: {number:,} documents\x1b[K", end="", file=sys.stderr, flush=True)

    number = await index.rebuild(show, alone=not in_use(config.state_dir))
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if args.json:
        print_line(json.dumps({"documents": number}))
    else:
        print_line(f"The index has {count_of(number, 'document')}.")
    return 0


def _query(words: list[str]) -> str:
    """The words as one query; an argument with spaces, which a shell took out of quotes, is a phrase."""
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words)


def _lines(hits: Hits, storage: Storage) -> Iterator[str]:
    if not hits.hits:
        yield "No document has all of these words."
        return
    for hit in hits.hits:
        yield _head(hit)
        yield from (f"  {line.number:>5}  {_marked(line)}" for line in hit.lines)
        yield f"         {storage.location(hit.patient_id, document_id=hit.document_id)}"
    if hits.more:
        yield f"More than {hits.total:,} documents match; these are the {len(hits.hits):,} stored last."
    elif hits.total > len(hits.hits):
        yield f"{hits.total:,} documents match; `--limit {hits.total}` shows all."


def _head(hit: Hit) -> str:
    kind = TYPES.get(hit.media_type or "", "")
    title = one_line(hit.title) or one_line(hit.name)
    about = ", ".join(filter(None, (kind, one_line(hit.author, 60))))
    return f"{one_line(hit.patient_id)}  {one_line((hit.date or '-')[:10]):10}  {title}" + (
        f" ({about})" if about else ""
    )


def _marked(line: Line) -> str:
    """The line with its matches in bold on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return line.text
    parts, last = [], 0
    for begin, end in line.marks:
        parts += [line.text[last:begin], _BOLD, line.text[begin:end], _PLAIN]
        last = end
    return "".join([*parts, line.text[last:]])
