"""HTTP: one client for all services, every attempt through a gate."""

from docpipe.gates import retry_after
from docpipe.http.answers import Answer, Check
from docpipe.http.client import Http
from docpipe.http.credentials import NONE, BearerToken, Credentials, bearer
from docpipe.http.download import Ask, Download, DownloadError, Fetch
from docpipe.http.har import Har
from docpipe.http.redirects import origin_of

__all__ = [
    "NONE",
    "Answer",
    "Ask",
    "BearerToken",
    "Check",
    "Credentials",
    "Download",
    "DownloadError",
    "Fetch",
    "Har",
    "Http",
    "bearer",
    "origin_of",
    "retry_after",
]
