"""The tiny mix: four small texts, made in well under a millisecond, for load."""

from html import escape

from fakes.documents.pack import Made, pack
from fakes.patients import Person


def make_tiny(seed: int, person: Person) -> Made:
    """Two plain texts, an HTML page and a CSV."""
    mark = f"{person.id}, seed {seed}"
    members = {
        "note.txt": f"Progress note for {mark}. Temperature 36.8 °C.\n".encode(),
        "call.txt": f"Telephone note for {mark}. Will call back.\n".encode(),
        "message.html": f"<!DOCTYPE html><title>Message</title><p>Message for {escape(mark)}.</p>\n".encode(),
        "results.csv": f"test,value\nglucose,{90 + len(mark)}\npatient,{person.id}\n".encode(),
    }
    return Made(pack(members), [{"path": name, "title": name.partition(".")[0]} for name in members])
