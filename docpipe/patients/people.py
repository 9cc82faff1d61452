"""From what a database gives to a patient: values as text, checked, and told by their column when bad."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any, Final

from docpipe.errors import PatientError
from docpipe.model import Patient

COLUMNS: Final = tuple(field.name for field in fields(Patient))
OPTIONAL: Final = ("sex", "postal_code")
"""Columns that a table need not have, and whose values may be NULL."""
SEXES: Final = ("female", "male", "other", "unknown")


def checked(row: Mapping[str, str]) -> Patient:
    """A patient from texts.

    Raises:
        ValueError: naming the column and what would be right, not the value.
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
        values["birth_date"] = date.fromisoformat(values["birth_date"][:10]).isoformat()
    except ValueError:
        raise ValueError("birth_date has to be a date such as 1957-03-31") from None
    return Patient(**values)


def text_of(name: str, value: Any) -> str:
    """A value as a database gives it, as text; NULL is the empty one.

    Raises:
        ValueError: naming the column, not the value.
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
    if (
        isinstance(value, float | Decimal) and value % 1 == 0
    ):  # 12345.0, as tables made by other programs have it
        return str(int(value))
    return str(value)


def same_id(found: str, asked: str) -> bool:
    """Whether a row is that of the id asked for, to the letter.

    Databases may compare regardless of case, of accents, of spaces at the end, or as numbers.
    """
    return unicodedata.normalize("NFC", found.strip()) == unicodedata.normalize("NFC", asked)


def impossible(patient_id: str) -> bool:
    """Whether no row can have this id: it is no text, or has control characters."""
    return not patient_id.strip() or any(unicodedata.category(char) in ("Cc", "Cs") for char in patient_id)


def nobody(patient_id: str) -> PatientError:
    """There is no such patient."""
    shown = patient_id if patient_id.isprintable() else ascii(patient_id)
    return PatientError(
        f"There is no patient {shown} in the patients database: "
        "`docpipe patients list` shows who is there, `docpipe patients import FILE.csv` adds more."
    )


def one(patient_id: str, rows: Sequence[Mapping[str, Any]]) -> Patient:
    """The patient whose rows were found.

    Args:
        patient_id: who was asked for.
        rows: by docpipe's column names; without `id` where a query of the user's does not give it.

    Raises:
        PatientError: if there is not exactly one row, or it cannot be used; naming the column, not the value.
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
