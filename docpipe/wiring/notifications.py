"""The notifier that the configuration asks for."""

from docpipe.checkpoints import Checkpoints
from docpipe.config.config import Config
from docpipe.http import Http
from docpipe.model import Clock
from docpipe.notify import Delivery, Notifier, Signer
from docpipe.storage import hashed_names
from docpipe.wiring.gates import Gates


def make_delivery(config: Config, http: Http, gates: Gates, clock: Clock) -> Delivery | None:
    """What sends notifications; None where no receiver is configured."""
    notify, key = config.notify, config.storage.prefix_key
    if gates.notify is None or notify.secret is None:
        return None
    hashed = hashed_names(key.reveal()) if notify.patient == "hash" and key is not None else None
    return Delivery(http, gates.notify, notify.url, Signer(notify.secret, clock), hashed)


def make_notifier(
    config: Config, checkpoints: Checkpoints, http: Http, gates: Gates, clock: Clock
) -> Notifier | None:
    """The notifier, not yet entered, and the outbox switched on; None where no receiver is configured."""
    delivery = make_delivery(config, http, gates, clock)
    if delivery is None:
        return None
    checkpoints.outbox.enabled = True
    return Notifier(checkpoints.outbox, delivery, clock)
