"""Removes demographics and signed links from the checkpoints of finished runs.

A retry looks the patient up again, and polls the search again for a fresh link.
"""

from typing import Final

from docpipe.model import Activity

REMOVED: Final = "removed!"
"""The key of a checkpoint whose personal data were removed; what is left shows only that it was made."""
_PATIENT: Final = f"""
    UPDATE steps SET result = json_object('{REMOVED}', json('true'))
    WHERE activity = '{Activity.GET_PATIENT}' AND json_extract(result, '$.birth_date') IS NOT NULL
"""  # noqa: S608 -- constants
_LINK: Final = f"""
    UPDATE steps SET result =
        json_set(json_remove(result, '$.archive', '$.documents'), '$."{REMOVED}"', json('true'))
    WHERE activity = '{Activity.CHECK_STATUS}' AND json_type(result, '$.archive') = 'object'
"""  # noqa: S608 -- likewise
REDACT: Final = (f"{_PATIENT} AND run_id = ?", f"{_LINK} AND run_id = ?")
"""Statements for one run that has ended."""
_FINISHED: Final = "run_id IN (SELECT run_id FROM runs WHERE finished_at IS NOT NULL)"
REDACT_FINISHED: Final = f"{_PATIENT} AND {_FINISHED}; {_LINK} AND {_FINISHED};"
"""A script for all runs that have ended."""


def is_redacted(result: object) -> bool:
    """Whether data were removed from a checkpoint."""
    return isinstance(result, dict) and REMOVED in result
