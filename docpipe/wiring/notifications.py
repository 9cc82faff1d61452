"""The notifier that the configuration asks for."""

from docpipe.checkpoints import Checkpoints
from docpipe.config.config import Config
from docpipe.http import Http
from docpipe.model import Clock
from docpipe.notify import Notifier, Signer
from docpipe.storage import hashed_names
from docpipe.wiring.gates import Gates


def make_notifier(
    config: Config, checkpoints: Checkpoints, http: Http, gates: Gates, clock: Clock
) -> Notifier | None:
    """The notifier, not yet entered, and the outbox switched on; None where no receiver is configured."""
    notify, key = config.notify, config.storage.prefix_key
    if gates.notify is None or notify.secret is None:
        return None
    checkpoints.outbox.enabled = True
    return Notifier(
        checkpoints.outbox,
        http,
        gates.notify,
        url=notify.url,
        signer=Signer(notify.secret, clock),
        hashed=hashed_names(key.reveal()) if notify.patient == "hash" and key is not None else None,
        clock=clock,
    )
