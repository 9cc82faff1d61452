"""HTTP: one client for all services, every attempt through a gate."""

from docpipe.gates import retry_after
from docpipe.http.answers import Answer, Check
from docpipe.http.client import Http
from docpipe.http.credentials import NONE, BearerToken, Credentials, bearer
from docpipe.http.download import Ask, Download, DownloadError, Fetch
from docpipe.http.grants import ClientSecret, Proof, SignedAssertion, loaded
from docpipe.http.har import Har
from docpipe.http.oauth2 import Grant, OAuth2
from docpipe.http.redirects import origin_of
from docpipe.http.transport import TransportMap, TransportSettings, tls

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
    "OAuth2",
    "Proof",
    "SignedAssertion",
    "TransportMap",
    "TransportSettings",
    "bearer",
    "loaded",
    "origin_of",
    "retry_after",
    "tls",
]
