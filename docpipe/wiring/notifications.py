"""The notifier that the configuration describes."""

from typing import TYPE_CHECKING

from docpipe.checkpoints import Checkpoints
from docpipe.config.config import Config
from docpipe.http import Http
from docpipe.model import Clock
from docpipe.storage import hashed_names
from docpipe.wiring.gates import Gates

if TYPE_CHECKING:
    from docpipe.notify import Delivery, Notifier


def make_delivery(config: Config, http: Http, gates: Gates, clock: Clock) -> "Delivery | None":
    """What sends notifications; None where no receiver is configured."""
    notify, key = config.notify, config.storage.prefix_key
    if gates.notify is None or notify.secret is None:
        return None
    from docpipe.notify import Delivery, Signer  # noqa: PLC0415 -- few want to be notified

    hashed = hashed_names(key.reveal()) if notify.patient == "hash" and key is not None else None
    return Delivery(http, gates.notify, notify.url, Signer(notify.secret, clock), hashed)


def make_notifier(
    config: Config, checkpoints: Checkpoints, http: Http, gates: Gates, clock: Clock
) -> "Notifier | None":
    """The notifier, not yet entered, and the outbox switched on; None where no receiver is configured."""
    delivery = make_delivery(config, http, gates, clock)
    if delivery is None:
        return None
    from docpipe.notify import Notifier  # noqa: PLC0415 -- as above

    checkpoints.outbox.enabled = True
    return Notifier(checkpoints.outbox, delivery, clock)
