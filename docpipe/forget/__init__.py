"""Removes all data of one patient that docpipe keeps. Imports `wiring` and below."""

from docpipe.forget.patient import Kept, find, remove
from docpipe.forget.running import AtWork, remove_at_work

__all__ = ["AtWork", "Kept", "find", "remove", "remove_at_work"]
