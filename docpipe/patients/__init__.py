"""The patients database: any that SQLAlchemy supports, and the import into a file.

Imports `gates` and below.
"""

from docpipe.patients.csvfiles import ListError, Refused, ids_of, read_csv, read_ids
from docpipe.patients.filters import Filter
from docpipe.patients.opened import PatientDatabase
from docpipe.patients.people import COLUMNS, SEXES, checked
from docpipe.patients.people import impossible as is_impossible_id

__all__ = [
    "COLUMNS",
    "SEXES",
    "Filter",
    "ListError",
    "PatientDatabase",
    "Refused",
    "checked",
    "ids_of",
    "is_impossible_id",
    "read_csv",
    "read_ids",
]
