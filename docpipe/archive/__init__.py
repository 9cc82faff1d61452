"""Archives: downloaded to a spool file, then taken apart within limits."""

from docpipe.archive.extract import Limits, collect, extract, gather
from docpipe.sources.docex.download import Downloader
from docpipe.sources.docex.retrieve import ArchiveExchange

__all__ = ["ArchiveExchange", "Downloader", "Limits", "collect", "extract", "gather"]
