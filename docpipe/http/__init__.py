"""HTTP: one client for all services, every attempt through a gate, and its retries.

Imports `gates`, `config` and below.
"""

from docpipe.gates.retry_after import retry_after
from docpipe.http.answers import Answer, Check, MemberError, Own, about, is_problem, texts_in
from docpipe.http.client import Http, Signed
from docpipe.http.credentials import NONE, BearerToken, Credentials, bearer
from docpipe.http.download import Ask, Download, DownloadError, Fetch
from docpipe.http.grants import ClientSecret, Proof, SignedAssertion, loaded
from docpipe.http.har import Har
from docpipe.http.oauth2 import Grant, OAuth2
from docpipe.http.reach import Reach
from docpipe.http.redirects import joined, origin_of
from docpipe.http.transport import TlsFiles, TransportMap, TransportSettings, tls

__all__ = [
    "NONE",
    "Answer",
    "Ask",
    "BearerToken",
    "Check",
    "ClientSecret",
    "Credentials",
    "Download",
    "DownloadError",
    "Fetch",
    "Grant",
    "Har",
    "Http",
    "MemberError",
    "OAuth2",
    "Own",
    "Proof",
    "Reach",
    "Signed",
    "SignedAssertion",
    "TlsFiles",
    "TransportMap",
    "TransportSettings",
    "about",
    "bearer",
    "is_problem",
    "joined",
    "loaded",
    "origin_of",
    "retry_after",
    "texts_in",
    "tls",
]
