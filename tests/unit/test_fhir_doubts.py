"""When a FHIR server's refusal without an OperationOutcome is believed."""

import asyncio
from typing import Any

import pytest

from docpipe.sources.fhir.doubts import OTHERS, STRANGERS_S, Experience, Refusal, lacks

PAGE = Refusal.of(403, {"Content-Type": "text/html; charset=utf-8"}, b"<html>")
BARE = Refusal.of(404, {"Content-Type": "text/plain"}, b"no")


@pytest.mark.virtual
async def test_a_bare_refusal_is_believed_after_a_quarter_of_an_hour() -> None:
    """Not before; and the same one the second time from then on, but no other."""
    known = Experience()
    doubt = known.doubt("GET 3")
    pauses = []
    while not doubt.believes(BARE):
        pauses.append(doubt.pause())
        await asyncio.sleep(pauses[-1])
    assert pauses[:5] == [5.0, 10.0, 20.0, 40.0, 60.0]
    assert STRANGERS_S <= sum(pauses) < STRANGERS_S + 60.0
    again = known.doubt("GET 3")
    assert not again.believes(BARE)
    again.pause()
    assert again.believes(BARE)
    assert not again.believes(Refusal.of(404, {"Content-Type": "text/plain"}, b"other"))


@pytest.mark.virtual
async def test_a_page_is_believed_only_where_others_are_answered() -> None:
    """However long it comes: a firewall may block the path."""
    known = Experience()
    doubt = known.doubt("GET 3")
    doubt.pause()
    await asyncio.sleep(100 * STRANGERS_S)
    known.answers["GET 4"] += 100
    known.answers["GET 3"] += OTHERS - 1
    assert not doubt.believes(PAGE)
    known.answers["GET 3"] += 1
    assert doubt.believes(PAGE)
    assert Experience().doubt("x").believes(PAGE, others=True) is False, "never at once"


def statement(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [*resources], **more}],
    }


@pytest.mark.parametrize(
    ("output", "lacking"),
    [
        (statement({"type": "Patient", "operation": [{"name": "export"}]}), {"documents", "everything"}),
        (statement({"type": "DocumentReference"}), {"export", "export-patient", "everything"}),
        (
            statement(
                {"type": "DocumentReference"}, operation=[{"name": "x", "definition": "…/Patient-export"}]
            ),
            {"everything"},
        ),
        *((one, set()) for one in (None, [], "x", {}, {"rest": 1}, {"rest": [1]}, statement())),
    ],
)
def test_what_a_server_does_not_offer(output: object, lacking: set[str]) -> None:
    """By its CapabilityStatement, where that lists resources; else nobody knows."""
    assert {
        one for one in ("documents", "export", "export-patient", "everything") if lacks(output, one)
    } == lacking
