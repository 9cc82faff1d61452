"""Webhooks: a signed request to a receiver for each run that has ended."""

from docpipe.notify.events import Signer, event_of, trial_event
from docpipe.notify.notifier import Notifier, NotifierView

__all__ = ["Notifier", "NotifierView", "Signer", "event_of", "trial_event"]
