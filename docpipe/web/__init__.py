"""The service's HTTP API and page. Only `docpipe serve` imports this."""

from docpipe.web.server import Listening, bound, listening

__all__ = ["Listening", "bound", "listening"]
