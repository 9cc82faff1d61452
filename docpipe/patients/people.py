"""Makes patients from the values of a database: as text, checked, with errors that name the column."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from docpipe.errors import DatabaseUnusableError, PatientError
from docpipe.model import Patient

COLUMNS: Final = tuple(field.name for field in fields(Patient))
OPTIONAL: Final = ("sex", "postal_code")
"""Columns that a table need not have, and whose values may be NULL."""
SEXES: Final = ("female", "male", "other", "unknown")


def checked(row: Mapping[str, str]) -> Patient:
    """Make a patient from texts.

    Raises:
        ValueError: names the column and a valid form, not the value.
    """
    values = {name: unicodedata.normalize("NFC", row.get(name, "").strip()) for name in COLUMNS}
    for name, value in values.items():
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            raise ValueError(f"{name} holds control characters or is not UTF-8")
        if len(value) > 200:  # noqa: PLR2004 -- generous for any name
            raise ValueError(f"{name} is longer than 200 characters")
        if not value and name not in OPTIONAL:
            raise ValueError(f"{name} is empty")
    values["sex"] = {"f": "female", "m": "male", "": "unknown"}.get(
        values["sex"].lower(), values["sex"].lower()
    )
    if values["sex"] not in SEXES:
        raise ValueError(f"sex has to be one of {', '.join(SEXES)}")
    try:
        end = (
            11 if values["birth_date"][10:11].isdigit() else 10
        )  # 1961-02-031 is a slip, and no time follows
        values["birth_date"] = date.fromisoformat(values["birth_date"][:end]).isoformat()
    except ValueError:
        raise ValueError("birth_date has to be a date such as 1957-03-31") from None
    return Patient(**values)


def text_of(name: str, value: Any) -> str:
    """Convert a value of a database to text; NULL becomes the empty text.

    Raises:
        ValueError: names the column, not the value.
    """
    if value is None:
        return ""
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{name} holds bytes that are not text") from None
    if isinstance(value, float | Decimal) and value % 1 == 0:  # 12345.0, in tables made by other programs
        return str(int(value))
    return str(value)


def same_id(stored: str, wanted: str) -> bool:
    """Whether the id of a row is exactly the id that was looked up.

    Databases may ignore case, accents or trailing spaces, or compare ids as numbers.
    """
    return unicodedata.normalize("NFC", stored.strip()) == unicodedata.normalize("NFC", wanted)


def impossible(patient_id: str) -> bool:
    """Whether no row can have this id: it is blank, or has control characters."""
    return not patient_id.strip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in patient_id)


def nobody(patient_id: str) -> PatientError:
    """Make the error for a patient that is not in the database."""
    printable = patient_id if patient_id.isprintable() else ascii(patient_id)
    return PatientError(
        f"There is no patient {printable} in the patients database: "
        "`docpipe patients list` lists all patients, `docpipe patients import FILE.csv` adds more."
    )


def missing(file: Path) -> DatabaseUnusableError:
    """Make the error for an SQLite file that does not exist."""
    return unusable(f"There is no patients database {file}: `docpipe patients import FILE.csv` creates one.")


def unusable(message: str) -> DatabaseUnusableError:
    """Make the error for a database that lacks something, from a sentence that quotes no row."""
    return DatabaseUnusableError(message, message[0].lower() + message[1:].removesuffix("."))


def one(patient_id: str, rows: Sequence[Mapping[str, Any]]) -> Patient:
    """Make the patient from the rows of a look-up.

    Args:
        patient_id: the id that was looked up.
        rows: by docpipe's column names; without `id` if the configured query does not return it.

    Raises:
        PatientError: if there is not exactly one row, or it cannot be used; names the column, not the value.
    """
    try:
        rows = [row for row in rows if same_id(text_of("id", row.get("id", patient_id)), patient_id)]
        if not rows:
            raise nobody(patient_id)
        if len(rows) > 1:
            raise PatientError(
                f"The patients database has {len(rows)} rows for patient {patient_id}; one is needed."
            )
        return checked({"id": patient_id} | {name: text_of(name, value) for name, value in rows[0].items()})
    except ValueError as error:
        raise PatientError(f"The row of patient {patient_id} cannot be used: {error}.") from error
