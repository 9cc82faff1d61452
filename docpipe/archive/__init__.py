"""Archives: downloaded to a spool file, then taken apart within limits."""

from docpipe.archive.download import Downloader
from docpipe.archive.extract import Limits, extract, gather

__all__ = ["Downloader", "Limits", "extract", "gather"]
