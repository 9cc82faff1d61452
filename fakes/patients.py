"""Patients that do not exist."""

import csv
import datetime as dt
import random
from pathlib import Path
from typing import Any, Final, NamedTuple

from fakes.calls import Refusal

COLUMNS: Final = ("id", "given", "family", "birth_date", "sex", "postal_code")
SEXES: Final = ("female", "male", "other", "unknown")
_GIVEN: Final = {
    "female": "Alma Brigid Chloé Dolores Esra Freja Grace Hanna Ines Jana Karin Lucía Małgorzata Noor Zoë",
    "male": "Anders Björn Carlos David Emil François Gábor Hugo Iván Jörg Kofi Łukasz Mateo Nils Ömer Piotr",
}
_FAMILY: Final = (
    "Abara Bergström Castaño Dvořák Eriksen Fournier García Hölzl Ivanov Jäger Kovács Lindqvist Müller "
    "Nguyễn O'Malley Peña Quist Ruiz Šimek Thornbury Underhill Vásquez Wójcik Yücel Zimmer Søndergaard"
)
_FIRST_ID: Final = 100
_OLDEST: Final = dt.date(1931, 1, 1).toordinal()
_YOUNGEST: Final = dt.date(2019, 12, 31).toordinal()


class Person(NamedTuple):
    """The patient of a search."""

    id: str
    given: str
    family: str
    birth_date: str
    sex: str = "unknown"
    postal_code: str = ""

    @classmethod
    def of(cls, value: Any) -> "Person":
        """Read the `patient` of a search; 400 where it is malformed or incomplete."""
        if not isinstance(value, dict):
            raise Refusal(400, "patient must be an object.")
        for name in COLUMNS:
            text = value.get(name, "" if name in ("sex", "postal_code") else None)
            if not isinstance(text, str):
                raise Refusal(400, f"patient.{name} must be a text.")
            if not text.strip() and name not in ("sex", "postal_code"):
                raise Refusal(400, f"patient.{name} must not be empty.")
        person = cls(**{name: value[name] for name in COLUMNS if name in value})
        if person.sex not in SEXES:
            raise Refusal(400, f"patient.sex must be one of {', '.join(SEXES)}.")
        try:
            day = dt.date.fromisoformat(person.birth_date)
        except ValueError:
            day = None
        if day is None or day.isoformat() != person.birth_date:
            raise Refusal(400, "patient.birth_date must be a day as YYYY-MM-DD.")
        return person


def sample(seed: int = 0, count: int = 100) -> list[dict[str, str]]:
    """Invent patients P100, P101, ...: dictionaries with the columns that docpipe imports.

    The same seed gives the same patients, whatever the count.
    """
    rng = random.Random(f"patients:{seed}")
    families = _FAMILY.split()
    people = []
    for number in range(_FIRST_ID, _FIRST_ID + count):
        sex = rng.choice(("female", "male"))
        day = dt.date.fromordinal(rng.randint(_OLDEST, _YOUNGEST))
        given, family = rng.choice(_GIVEN[sex].split()), rng.choice(families)
        code = f"{rng.randrange(100_000):05}"
        people.append(Person(f"P{number}", given, family, day.isoformat(), sex, code)._asdict())
    return people


def export(path: Path, seed: int = 0, count: int = 100) -> None:
    """Write the sample as CSV. OSError where the file cannot be written."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(sample(seed, count))
