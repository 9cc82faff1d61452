"""Archives: downloaded to a spool file, then taken apart within limits."""

from docpipe.archive.download import Downloader
from docpipe.archive.extract import Limits, collect, extract, gather
from docpipe.archive.retrieve import ArchiveExchange

__all__ = ["ArchiveExchange", "Downloader", "Limits", "collect", "extract", "gather"]
