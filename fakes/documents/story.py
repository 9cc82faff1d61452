"""What happened to a patient: the clinical facts that all documents of an archive tell."""

import datetime as dt
import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from fakes.patients import Person


class Coded(NamedTuple):
    """A thing with its code: SNOMED CT, RxNorm, LOINC or CVX."""

    code: str
    name: str


class Result(NamedTuple):
    """A laboratory result or a vital sign."""

    what: Coded
    value: float
    unit: str
    reference: str
    day: dt.date

    @property
    def flag(self) -> str:
        """H or L outside of the reference range, else nothing."""
        low, _, high = self.reference.partition("-")
        return "L" if self.value < float(low) else "H" if self.value > float(high) else ""


PROBLEMS: Final = (
    Coded("44054006", "Type 2 diabetes mellitus"),
    Coded("38341003", "Hypertensive disorder"),
    Coded("195967001", "Asthma"),
    Coded("55822004", "Hyperlipidemia"),
    Coded("13645005", "Chronic obstructive lung disease"),
    Coded("49436004", "Atrial fibrillation"),
    Coded("396275006", "Osteoarthritis"),
    Coded("40930008", "Hypothyroidism"),
)
_MEDICATIONS: Final = (
    (Coded("860975", "metformin hydrochloride 500 MG extended release tablet"), "1 tablet twice a day"),
    (Coded("314076", "lisinopril 10 MG oral tablet"), "1 tablet in the morning"),
    (Coded("617311", "atorvastatin 40 MG oral tablet"), "1 tablet at night"),
    (Coded("197361", "amlodipine 5 MG oral tablet"), "1 tablet once a day"),
    (Coded("313782", "acetaminophen 325 MG oral tablet"), "2 tablets as needed, at most 8 a day"),
    (Coded("855332", "warfarin sodium 5 MG oral tablet"), "as the INR asks, ½ to 1 tablet"),
)
_ALLERGIES: Final = (
    (Coded("7980", "penicillin G"), "Hives", "moderate"),
    (Coded("2670", "codeine"), "Nausea", "mild"),
    (Coded("1191", "aspirin"), "Wheezing", "severe"),
)
_TESTS: Final = (
    (Coded("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"), 7.0, 1.5, "%", "4.0-5.6"),
    (Coded("2345-7", "Glucose in Serum or Plasma"), 120, 35, "mg/dL", "70-99"),
    (Coded("2160-0", "Creatinine in Serum or Plasma"), 1.0, 0.3, "mg/dL", "0.6-1.2"),
    (Coded("2951-2", "Sodium in Serum or Plasma"), 139, 4, "mmol/L", "136-145"),
    (Coded("2823-3", "Potassium in Serum or Plasma"), 4.3, 0.5, "mmol/L", "3.5-5.1"),
    (Coded("718-7", "Hemoglobin in Blood"), 13.2, 1.6, "g/dL", "12.0-16.0"),
    (Coded("13457-7", "LDL cholesterol, calculated"), 118, 30, "mg/dL", "0-100"),
)
_VITALS: Final = (
    (Coded("8480-6", "Systolic blood pressure"), 134, 14, "mm[Hg]", "90-130"),
    (Coded("8462-4", "Diastolic blood pressure"), 82, 9, "mm[Hg]", "60-80"),
    (Coded("8867-4", "Heart rate"), 74, 10, "/min", "60-100"),
    (Coded("29463-7", "Body weight"), 78, 14, "kg", "40-120"),
)
_VACCINES: Final = (
    Coded("140", "Influenza, seasonal, injectable, preservative free"),
    Coded("33", "Pneumococcal polysaccharide, 23 valent"),
    Coded("115", "Tdap"),
)
_AUTHORS: Final = ("Dr. Ingrid Sørli", "Dr. Paul Achebe", "Dr. María Ibáñez", "Dr. Wen Li", "Dr. Tomáš Novák")
_PLACES: Final = (
    "Lakeside Family Practice",
    "St. Brendan's Hospital",
    "Åkersund Clinic",
    "Northgate Medical Centre",
)
_NOW: Final = dt.date(2024, 5, 14)


@dataclass(frozen=True, slots=True)
class Story:
    """The facts. The same seed and patient id give the same ones, whatever the patient is called."""

    person: Person
    day: dt.date
    author: str
    place: str
    problems: tuple[tuple[Coded, dt.date], ...]
    medications: tuple[tuple[Coded, str], ...]
    allergies: tuple[tuple[Coded, str, str], ...]
    results: tuple[Result, ...]
    vitals: tuple[Result, ...]
    vaccines: tuple[tuple[Coded, dt.date], ...]
    number: int
    """A number for accession and document ids."""

    @property
    def name(self) -> str:
        """Given and family name."""
        return f"{self.person.given} {self.person.family}"

    @property
    def header(self) -> str:
        """The line by which every page says whose it is."""
        return f"{self.name}, born {self.person.birth_date}, id {self.person.id}"

    def paragraphs(self) -> tuple[str, ...]:
        """The course as a doctor would write it."""
        problems = ", ".join(problem.name.lower() for problem, _ in self.problems)
        drugs = "; ".join(f"{drug.name}, {how}" for drug, how in self.medications)
        abnormal = [result for result in self.results if result.flag]
        text = "; ".join(f"{r.what.name} {r.value:g} {r.unit}" for r in abnormal) or "nothing out of range"
        return (
            f"{self.name} was seen on {self.day.isoformat()} at {self.place} for a review of {problems}.",
            (
                f"Laboratory work of {self.results[0].day.isoformat()} showed: {text}. "
                "The results were explained, and questions about diet and exercise were answered."
            ),
            (
                f"Current medication: {drugs}. No side effects were reported; the café-au-lait spot on the "
                "left forearm is unchanged. Temperature 36.8 °C."
            ),
            (
                "Plan: repeat the laboratory work in three months, ophthalmology referral, influenza vaccine "
                f"in autumn. Signed: {self.author}."
            ),
        )


def tell(seed: int, person: Person) -> Story:
    """Invent what happened to a patient."""
    rng = random.Random(f"story:{seed}:{person.id}")
    day = _NOW - dt.timedelta(days=rng.randrange(30, 900))

    def before(most: int) -> dt.date:
        return day - dt.timedelta(days=rng.randrange(1, most))

    def measured(rows: tuple[tuple[Coded, float, float, str, str], ...], n: int) -> tuple[Result, ...]:
        on = before(20)
        return tuple(
            Result(what, round(rng.gauss(mean, spread), 1), unit, reference, on)
            for what, mean, spread, unit, reference in rng.sample(rows, n)
        )

    return Story(
        person=person,
        day=day,
        author=rng.choice(_AUTHORS),
        place=rng.choice(_PLACES),
        problems=tuple((problem, before(6000)) for problem in rng.sample(PROBLEMS, rng.randint(2, 4))),
        medications=tuple(rng.sample(_MEDICATIONS, rng.randint(2, 4))),
        allergies=tuple(rng.sample(_ALLERGIES, rng.randint(1, 2))),
        results=measured(_TESTS, rng.randint(4, 7)),
        vitals=measured(_VITALS, 4),
        vaccines=tuple((vaccine, before(1500)) for vaccine in rng.sample(_VACCINES, 2)),
        number=rng.randrange(10**8, 10**9),
    )
