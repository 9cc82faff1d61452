"""`docpipe search`: what a run stores is found at once, alone and without an index that was there before."""

from tests.acceptance.conftest import Box


async def test_what_a_run_stores_is_found(box: Box) -> None:
    """The first run indexes its documents; a rebuild finds the same; without an index the cure is named."""
    missing = await box.run("search", "pressure")
    assert (missing.status, "docpipe search --rebuild" in missing.err) == (2, True)
    assert (await box.run("run", "--patient", "P123", "--quiet")).status == 0
    hits = (await box.run("search", "blood pressure", "--json")).json
    assert hits["total"] == len(hits["hits"]) > 0
    assert hits["complete"]
    line = hits["hits"][0]["lines"][0]
    assert [line["text"][begin:end].lower() for begin, end in line["marks"]] == ["blood pressure"]
    assert (await box.run("search", "blood pressure", "--json", "--patient", "P100")).json["hits"] == []
    index = box.storage / ".search.db"
    assert index.stat().st_mode & 0o077 == 0
    stored = len(list(box.patient("P123").glob("*/metadata.json")))
    index.write_bytes(b"damaged")
    damaged = await box.run("search", "pressure")
    assert (damaged.status, "docpipe search --rebuild" in damaged.err) == (2, True)
    assert (await box.run("search", "--rebuild")).out == f"The index has {stored} documents.\n"
    assert (await box.run("search", "blood pressure", "--json")).json["total"] == hits["total"]
    text = await box.run("search", "blood pressure")
    assert "P123" in text.out
    assert str(box.patient("P123")) in text.out
    assert (await box.run("check")).status == 0


async def test_an_index_that_is_switched_off(box: Box) -> None:
    """Nothing is indexed, and a search says how to switch it on."""
    box.env["DOCPIPE_SEARCH__INDEX"] = "false"
    assert (await box.run("run", "--patient", "P123", "--quiet")).status == 0
    assert not (box.storage / ".search.db").exists()
    refused = await box.run("search", "pressure")
    assert (refused.status, "search.index = true" in refused.err) == (2, True)
