"""What the letters of states mean in HL7 v2 (chapter 2C, code tables): no reader should need the table."""

from typing import Final

_RESULTS: Final = {  # 0085 and 0123
    "A": "amended", "B": "added to", "C": "corrected, it replaces an earlier result",
    "D": "deleted", "F": "final", "I": "pending, the specimen is in the laboratory",
    "N": "not ordered, so not done", "O": "only ordered, no result", "P": "preliminary",
    "R": "not yet verified", "S": "partial", "U": "final, as sent before", "V": "verified",
    "W": "wrong, for example posted to the wrong patient",
    "X": "no result could be obtained",
}  # fmt: skip
_REQUESTS: Final = {
    "A": "some results, not all", "C": "corrected", "F": "final",
    "I": "no result yet, in the laboratory", "O": "no result yet, ordered",
    "P": "preliminary", "R": "not yet verified",
    "S": "no result yet, scheduled",
    "X": "cancelled, no result", "Y": "no order on record", "Z": "no such patient on record",
}  # fmt: skip
_ALLERGIES: Final = {
    "AA": "animal allergy", "DA": "drug allergy", "EA": "environmental allergy", "FA": "food allergy",
    "LA": "pollen allergy", "MA": "allergy", "MC": "contraindication", "PA": "plant allergy",
}  # fmt: skip
_ACTIONS: Final = {"A": "added", "D": "deleted", "U": "updated", "X": "unchanged"}
_TABLES: Final = {
    ("OBX", 11): _RESULTS,
    ("OBR", 25): _REQUESTS,
    ("ORC", 1): {
        "CA": "cancel the order", "CR": "cancelled as asked", "DC": "discontinue the order",
        "DR": "discontinued as asked", "HD": "hold the order", "NW": "new order", "OC": "order cancelled",
        "OD": "order discontinued", "OH": "order held", "OK": "accepted", "RE": "results follow",
        "RP": "replaces an order", "SC": "state changed", "UA": "cannot be accepted",
        "XO": "change the order",
        "CN": "combined result",
    },
    ("ORC", 5): {
        "A": "some results, not all", "CA": "cancelled", "CM": "completed", "DC": "discontinued",
        "ER": "in error", "HD": "on hold", "IP": "in process", "RP": "replaced", "SC": "scheduled",
    },
    ("TXA", 2): {
        "AR": "autopsy report", "CD": "cardiology report", "CN": "consultation", "DI": "imaging report",
        "DS": "discharge summary", "ED": "emergency report", "HP": "history and examination",
        "OP": "operation report", "PC": "psychiatric consultation", "PH": "psychiatric history",
        "PN": "procedure note", "PR": "progress note", "SP": "surgical pathology", "TS": "transfer summary",
    },
    ("TXA", 17): {
        "AU": "authenticated", "DI": "dictated", "DO": "documented", "IN": "incomplete", "IP": "in progress",
        "LA": "legally authenticated", "PA": "not yet authenticated",
    },
    ("TXA", 18): {"R": "restricted", "U": "usual", "V": "very restricted"},
    ("TXA", 19): {
        "AV": "available for care", "CA": "deleted", "OB": "obsolete", "UN": "not available for care",
    },
    ("RXA", 20): {
        "CP": "given", "NA": "not given", "PA": "partly given", "RE": "refused",
    },
    ("RXA", 21): _ACTIONS,
    ("AL1", 2): _ALLERGIES,
    ("IAM", 2): _ALLERGIES,
    ("AL1", 4): {"MI": "mild", "MO": "moderate", "SV": "severe", "U": "unknown"},
    ("IAM", 4): {"MI": "mild", "MO": "moderate", "SV": "severe", "U": "unknown"},
    ("IAM", 9): {
        "AD": "adverse reaction", "AL": "allergy", "CT": "contraindication", "IN": "intolerance",
        "SE": "side effect",
    },
    ("IAM", 17): {
        "C": "confirmed", "D": "in doubt", "E": "erroneous", "I": "confirmed, but inactive",
        "P": "pending", "S": "suspected", "U": "not confirmed",
    },
    ("IAM", 6): _ACTIONS,
    ("DG1", 21): _ACTIONS, ("PR1", 20): _ACTIONS, ("AIS", 2): _ACTIONS, ("AIL", 2): _ACTIONS,
    ("AIG", 2): _ACTIONS, ("AIP", 2): _ACTIONS,
    ("PRB", 1): {
        "AD": "added", "CO": "corrected", "DE": "deleted", "LI": "linked", "UC": "unchanged",
        "UN": "unlinked", "UP": "updated",
    },
    ("MSA", 1): {
        "AA": "accepted", "AE": "accepted with errors", "AR": "rejected", "CA": "received",
        "CE": "not stored, an error", "CR": "rejected",
    },
    ("DG1", 6): {"A": "admitting", "F": "final", "W": "working"},
    ("PV1", 2): {
        "B": "obstetrics", "E": "emergency", "I": "inpatient", "O": "outpatient", "P": "preadmission",
        "R": "recurring",
    },
    ("MSH", 11): {"D": "debugging, not real", "P": "production", "T": "training, not real"},
}  # fmt: skip
EVENTS: Final = {
    "A01": "the patient is admitted", "A02": "the patient is transferred",
    "A03": "the patient is discharged", "A06": "an outpatient becomes an inpatient",
    "A07": "an inpatient becomes an outpatient", "A11": "the admission is cancelled",
    "A12": "the transfer is cancelled", "A13": "the discharge is cancelled", "A23": "the visit is deleted",
    "A27": "the planned admission is cancelled", "A29": "the person is deleted",
    "A38": "the preadmission is cancelled", "A18": "patients are merged", "A30": "persons are merged",
    "A34": "patients are merged", "A39": "persons are merged", "A40": "patients are merged",
    "A41": "accounts are merged", "A42": "visits are merged", "A37": "linked patients are separated",
    "S13": "the appointment is moved", "S14": "the appointment is changed",
    "S15": "the appointment is cancelled", "S16": "the appointment is discontinued",
    "S17": "the appointment is deleted", "S26": "the patient did not come",
    "PC3": "the problem is deleted", "PC8": "the goal is deleted", "PCD": "the pathway is deleted",
}  # fmt: skip
"""The state of a patient or appointment, by the event of the message."""
WITHDRAWN: Final = frozenset({"D", "W"})
"""States of results that are none any more."""
REPLACING: Final = {
    "T09": "it replaces an earlier one", "T10": "it replaces an earlier one",
    "T05": "it adds to an earlier one",
    "T06": "it adds to an earlier one", "T07": "it edits an earlier one", "T08": "it edits an earlier one",
    "T11": "the document is cancelled",
}  # fmt: skip
"""The status of the document of an MDM message, by its event."""


def state(segment: str, number: int, code: str) -> str:
    """A state in words with its code, `deleted (D)`; unknown codes unchanged."""
    words = _TABLES.get((segment, number), {}).get(code.strip().upper())
    return f"{words} ({code.strip()})" if words else code
