"""Full-text search over stored documents: an SQLite index beside the storage; imports storage and below."""

from docpipe.search.index import SearchIndexError
from docpipe.search.query import QueryError
from docpipe.search.service import SearchIndex, open_index, text_of
from docpipe.search.shapes import Hit, Hits, Line, Text

__all__ = [
    "Hit",
    "Hits",
    "Line",
    "QueryError",
    "SearchIndex",
    "SearchIndexError",
    "Text",
    "open_index",
    "text_of",
]
