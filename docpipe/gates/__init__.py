"""Gates: what each HTTP attempt passes to reach a service, its quota and whether the service is up."""

from docpipe.gates.barrier import Barrier, WaitingLine
from docpipe.gates.failures import TROUBLE, WANTS_CERTIFICATE, failure_of
from docpipe.gates.gate import STREAMED, Attempt, Final5xx, Gate, GateMiddleware, Judge, Observer
from docpipe.gates.health import Health, Turn
from docpipe.gates.ledger import ALIVE_EVERY_S, Ledger, Past, PastGrant
from docpipe.gates.quota import Place, Quota, QuotaView
from docpipe.gates.retry_after import retry_after
from docpipe.gates.service import Call, Failure, Outage, Service, ServiceView

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
    "retry_after",
]
