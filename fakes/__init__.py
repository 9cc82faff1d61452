"""Servers of both contracts, DocumentExchange and TaskTracker, to try docpipe on and to test it with.

In a test: `async with fakes.serve(fakes.FakeOptions(seed=1)) as running:`. By hand: `python -m fakes --help`.
"""

from fakes.faults import Fault
from fakes.fhiroptions import FhirOptions
from fakes.oauth2 import OAuth2Server
from fakes.options import FakeOptions, parse_span
from fakes.patients import sample
from fakes.quota import Rate, parse_rate, worst_window
from fakes.server import Running, serve

__all__ = [
    "FakeOptions",
    "Fault",
    "FhirOptions",
    "OAuth2Server",
    "Rate",
    "Running",
    "parse_rate",
    "parse_span",
    "sample",
    "serve",
    "worst_window",
]
