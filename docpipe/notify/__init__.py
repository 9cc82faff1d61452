"""Webhooks: a signed request to a receiver for each run that has ended.

Imports `checkpoints`, `http` and below.
"""

from docpipe.notify.delivery import Delivery
from docpipe.notify.events import Signer, event_of, trial_event
from docpipe.notify.notifier import Notifier, NotifierView

__all__ = ["Delivery", "Notifier", "NotifierView", "Signer", "event_of", "trial_event"]
