"""JSON of a FHIR server is read by the main process, resource by resource: its memory is bounded."""

import contextlib
import json
import tracemalloc
from pathlib import Path

import pytest

from docpipe.sources.fhir.intake import Intake
from docpipe.sources.fhir.listing import Listing
from docpipe.sources.fhir.vocabulary import MOST_VALUES, parsed

MIB = 2**20
MOST_MIB = 64
"""With what the main process holds anyway, below 150 MiB."""
ENTRY = '{"resource":{"resourceType":"Binary","id":"b","contentType":"text/plain","data":%s}}'
BUNDLE = '{"resourceType":"Bundle","type":"searchset","entry":[%s]}'
REFERENCE = '{"resource":{"resourceType":"DocumentReference","id":"d","x":[%s]}}'
HOSTILE = {
    "many resources": BUNDLE % ",".join([REFERENCE % ",".join(['{"a":0}'] * 500)] * 60),
    "one resource at the bound": BUNDLE % (REFERENCE % ",".join(['{"a":0}'] * 74_000)),
    "wide": BUNDLE % ",".join(["{}"] * 110_000),
    "lists": BUNDLE % ("[" + "[]," * 100_000 + "[]]"),
    "members": '{"resourceType":"Bundle","x":[' + ",".join(['{"a":{"b":0}}'] * 51_000) + "]}",
    "deep": BUNDLE % ("[" * 20_000 + "]" * 20_000),
    "deep members": '{"a":' * 20_000 + "0" + "}" * 20_000,
    "unfinished": BUNDLE[:40] + "[" * 100_000,
    "deep in an extension": BUNDLE % (ENTRY % ('{"extension":[' * 900 + "]}" * 900)),
    "long number": BUNDLE % (ENTRY % ("9" * 1_000_000)),
    "long fraction": BUNDLE % (ENTRY % ("0." + "9" * 1_000_000)),
    "beyond numbers": BUNDLE % (ENTRY % "1e999"),
    "no number": BUNDLE % (ENTRY % "NaN"),
    "many members of one name": "{" + ",".join(['"resourceType":"Bundle"'] * 150_000) + "}",
    "half a character": BUNDLE % (ENTRY % '"\\ud800"'),
    "a null": BUNDLE % "null,null",
    "wrong types": '{"resourceType":"Bundle","type":1,"entry":{"resource":[]},"link":[7,{"url":{}}]}',
}


def peak(work):
    """The most MiB that a function held, beyond what was there."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_is_bounded(tmp_path, name):
    """Read as a page, or as a line of NDJSON: no exception, and little memory."""
    page, lines = tmp_path / "page.json", tmp_path / "x.ndjson"
    page.write_text(HOSTILE[name])
    lines.write_text(HOSTILE[name] + "\n")

    def read():
        with contextlib.suppress(ValueError, RecursionError):
            Intake(tmp_path, "p", 100).bundle(Listing.of(page).resources, Path(tmp_path, "others"), "page")
        Intake(tmp_path, "p", 100).lines(lines, "x", token=False)

    assert peak(read) < MOST_MIB, name


def test_texts_do_not_count_unless_they_are_large():
    """A document of many commas within a resource is read as before."""
    text = ",[{" * (MOST_VALUES // 4)
    assert parsed(json.dumps({"resourceType": "Binary", "data": text}).encode())["data"] == text


def test_a_usual_page_is_far_from_the_bound():
    """A thousand resources of a hundred values each."""
    entry = {"resource": {"resourceType": "DocumentReference", "x": list(range(100))}}
    raw = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [entry] * 1000}).encode()
    assert len(parsed(raw)["entry"]) == 1000
