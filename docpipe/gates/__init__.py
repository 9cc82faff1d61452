"""Gates: what each HTTP attempt passes to reach a service, its quota and whether the service is up.

Imports `model` and `errors`.

Names are imported when they are used: checkpoints need a part that waits out local trouble, and no HTTP.
None is that of a module here: once that is imported, its name stands for the module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from docpipe.gates.barrier import Barrier, WaitingLine
    from docpipe.gates.failures import TROUBLE, WANTS_CERTIFICATE, failure_of
    from docpipe.gates.gate import STREAMED, Attempt, Final5xx, Gate, GateMiddleware, Judge, Observer
    from docpipe.gates.health import Health, Turn
    from docpipe.gates.ledger import ALIVE_EVERY_S, Ledger, Past, PastGrant
    from docpipe.gates.place import Place, QuotaView
    from docpipe.gates.quota import Quota
    from docpipe.gates.service import Call, Failure, Outage, Service, ServiceView

_MODULES: Final = {
    "Barrier": "docpipe.gates.barrier",
    "WaitingLine": "docpipe.gates.barrier",
    "TROUBLE": "docpipe.gates.failures",
    "WANTS_CERTIFICATE": "docpipe.gates.failures",
    "failure_of": "docpipe.gates.failures",
    "STREAMED": "docpipe.gates.gate",
    "Attempt": "docpipe.gates.gate",
    "Final5xx": "docpipe.gates.gate",
    "Gate": "docpipe.gates.gate",
    "GateMiddleware": "docpipe.gates.gate",
    "Judge": "docpipe.gates.gate",
    "Observer": "docpipe.gates.gate",
    "Health": "docpipe.gates.health",
    "Turn": "docpipe.gates.health",
    "ALIVE_EVERY_S": "docpipe.gates.ledger",
    "Ledger": "docpipe.gates.ledger",
    "Past": "docpipe.gates.ledger",
    "PastGrant": "docpipe.gates.ledger",
    "Place": "docpipe.gates.place",
    "QuotaView": "docpipe.gates.place",
    "Quota": "docpipe.gates.quota",
    "Call": "docpipe.gates.service",
    "Failure": "docpipe.gates.service",
    "Outage": "docpipe.gates.service",
    "Service": "docpipe.gates.service",
    "ServiceView": "docpipe.gates.service",
}


def __getattr__(name: str) -> Any:
    """A name of the package, from its module."""
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(_MODULES[name]), name)


__all__ = [
    "ALIVE_EVERY_S",
    "STREAMED",
    "TROUBLE",
    "WANTS_CERTIFICATE",
    "Attempt",
    "Barrier",
    "Call",
    "Failure",
    "Final5xx",
    "Gate",
    "GateMiddleware",
    "Health",
    "Judge",
    "Ledger",
    "Observer",
    "Outage",
    "Past",
    "PastGrant",
    "Place",
    "Quota",
    "QuotaView",
    "Service",
    "ServiceView",
    "Turn",
    "WaitingLine",
    "failure_of",
]
