"""Where patients are looked up: any database that SQLAlchemy reaches, and the import that fills a file."""

from docpipe.patients.csvfiles import Refused, csv_rows, read_csv
from docpipe.patients.database import PatientDatabase
from docpipe.patients.filters import Filter
from docpipe.patients.people import COLUMNS, SEXES, checked

__all__ = ["COLUMNS", "SEXES", "Filter", "PatientDatabase", "Refused", "checked", "csv_rows", "read_csv"]
