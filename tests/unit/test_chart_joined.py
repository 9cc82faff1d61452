"""PDFs put together as they are written: what a page has comes along, and one document is open at a time."""

import io
import json
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from docpipe.convert.writers import chart
from docpipe.convert.writers.joined import Joined
from tests.unit.test_chart import pdf


def joined(*sources: bytes, pages: int) -> pikepdf.Pdf:
    out = io.BytesIO()
    whole = Joined(out, pages)
    for source in sources:
        with pikepdf.open(io.BytesIO(source)) as opened:
            whole.add(opened)
    whole.finish("Zoë", [("first", 1)])
    made = pikepdf.open(io.BytesIO(out.getvalue()))
    assert made.check_pdf_syntax() == []
    assert not made.get_warnings()
    return made


def saved(made: pikepdf.Pdf, **more: Any) -> bytes:
    out = io.BytesIO()
    made.save(out, **more)
    return out.getvalue()


def test_pages_keep_what_they_have() -> None:
    """Values of every kind, shared objects, links; text stays text."""
    with pikepdf.new() as source:
        shared = source.make_indirect(pikepdf.Dictionary(Kind=pikepdf.Name("/5 7")))
        for _ in range(2):
            page = source.add_blank_page()
            page.obj.Mine = pikepdf.Array([5, 7, shared, pikepdf.String("(5 0 R) \\ 6 0 R"), 2.5, True, None])
            page.obj.Bytes = pikepdf.String(b"\xff\x00)")
            page.Contents = source.make_stream(b"0 0 m", {"/Other": shared})
        for page, other in zip(source.pages, reversed(source.pages), strict=True):
            page.obj.Other = other.obj
        data = saved(source)
    whole = joined(data, data, pages=4)
    assert len(whole.pages) == 4
    for page in whole.pages:
        five, seven, thing, text, half, yes, nothing = page.obj.Mine
        assert (five, seven, str(text), float(half), yes, nothing) == (
            5,
            7,
            "(5 0 R) \\ 6 0 R",
            2.5,
            True,
            None,
        )
        assert thing.Kind == pikepdf.Name("/5 7")
        assert bytes(page.obj.Bytes) == b"\xff\x00)"
        assert page.Contents.read_bytes() == b"0 0 m"
        assert page.Contents.stream_dict["/Other"].objgen == thing.objgen
    assert whole.pages[0].obj.Other.objgen == whole.pages[1].obj.objgen
    assert whole.pages[2].obj.Other.objgen == whole.pages[3].obj.objgen
    assert whole.docinfo["/Title"] == "Zoë"


def test_what_pages_inherit_comes_along() -> None:
    """From any level of the tree above them."""
    with pikepdf.new() as source:
        page = source.add_blank_page()
        tree = source.Root.Pages
        tree.MediaBox, tree.Rotate = pikepdf.Array([0, 0, 100, 200]), 90
        tree.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary())
        del page.obj["/MediaBox"], page.obj["/Resources"]
        data = saved(source)
    whole = joined(data, pages=1)
    page = whole.pages[0]
    assert [float(value) for value in page.mediabox] == [0, 0, 100, 200]
    assert page.obj.Rotate == 90
    assert "/Font" in page.obj.Resources


def test_what_is_locked_without_a_password_is_unlocked() -> None:
    """As readers show it."""
    with pikepdf.open(io.BytesIO(pdf(1))) as source:
        data = saved(source, encryption=pikepdf.Encryption(owner="secret", user=""))
    whole = joined(data, pages=1)
    page = whole.pages[0]
    assert b"100 100 l" in page.Contents.read_bytes()


def test_a_page_that_refers_to_the_document_does_not_bring_all_of_it() -> None:
    """Its catalog and its tree of pages are those of the whole."""
    with pikepdf.open(io.BytesIO(pdf(1))) as source:
        source.Root.Large = source.make_stream(b"x" * 10_000)
        source.pages[0].obj.Up = pikepdf.Array([source.Root, source.Root.Pages])
        data = saved(source)
    whole = joined(data, pages=1)
    up = whole.pages[0].obj.Up
    assert up[0] is None
    assert up[1].Type == pikepdf.Name.Pages
    assert len(saved(whole)) < 5_000


def test_one_document_is_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that memory does not grow with their number or size."""
    most: list[int] = []
    opened: list[pikepdf.Pdf] = []
    real = chart._open

    def counting(file: int, part: Any) -> pikepdf.Pdf:
        made = real(file, part)
        opened.append(made)
        most.append(sum(not _is_closed(one) for one in opened))
        return made

    monkeypatch.setattr(chart, "_open", counting)
    documents = [{"title": f"{number}", "date": "", "size": len(pdf(1))} for number in range(9)]
    (tmp_path / "documents").write_bytes(pdf(1) * 9)
    plan = {"heading": "x", "facts": [], "missing": [], "documents": documents}
    (tmp_path / "plan").write_text(json.dumps(plan))
    job = {"path": str(tmp_path / "documents"), "siblings": str(tmp_path / "plan"), "folder": str(tmp_path)}
    assert chart.assemble(job)["metadata"]["pages"] == 11
    assert max(most) == 1
    assert len(most) == 18


def _is_closed(made: pikepdf.Pdf) -> bool:
    try:
        made.pages[0].Contents.read_raw_bytes()
    except Exception:  # noqa: BLE001 -- of any kind, once its file is gone
        return True
    return False
