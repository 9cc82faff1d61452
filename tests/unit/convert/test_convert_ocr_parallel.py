"""Pages that are read at the same time: as many as are granted and memory allows; the result is the same."""

import resource
import threading
from dataclasses import replace

import pytest

from docpipe.convert.core.base import Source
from docpipe.convert.ocr import pages, parallel, tesseract
from tests.unit.convert import scans
from tests.unit.convert.documents import run

MIB = 2**20


def test_results_keep_their_order():
    """Two at once, each of which waits for its partner, and the results as the items were."""
    partners = threading.Barrier(2, timeout=600)

    def work(item):
        partners.wait()
        return item * 10

    assert parallel.in_order(work, range(6), lambda: 2) == [0, 10, 20, 30, 40, 50]


def test_one_place_needs_no_thread():
    """What reads one page after the other does so where it is called."""
    assert set(parallel.in_order(lambda _: threading.get_ident(), range(3), lambda: 1)) == {
        threading.get_ident()
    }


def test_places_that_are_taken_back_are_left():
    """Once only one place is granted, no two items are worked on together any more."""
    lock, partners = threading.Lock(), threading.Barrier(3, timeout=600)
    running, most, granted = set(), [], [3]

    def work(item):
        with lock:
            running.add(item)
            most.append(len(running))
        if item < 3:
            partners.wait()
            granted[0] = 1
        with lock:
            running.discard(item)

    parallel.in_order(work, range(8), lambda: granted[0])
    assert max(most[:3]) <= 3
    assert len(most) == 8
    assert most[-4:] == [1, 1, 1, 1]


def test_an_error_ends_the_rest():
    """A machine that starts no more programs is asked no more, and its error arrives."""
    begun = []

    def work(item):
        begun.append(item)
        if item == 1:
            raise OSError(11, "no more processes")
        return item

    with pytest.raises(OSError, match="no more processes"):
        parallel.in_order(work, range(50), lambda: 1)
    assert begun == [0, 1]
    begun.clear()
    with pytest.raises(OSError, match="no more processes"):
        parallel.in_order(work, range(50), lambda: 2)
    assert len(begun) < 50


def limited(monkeypatch, limit, own, largest):
    used = {resource.RUSAGE_SELF: own, resource.RUSAGE_CHILDREN: largest}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(
        resource, "getrusage", lambda who: type("Usage", (), {"ru_maxrss": used[who] // 1024})
    )


@pytest.mark.parametrize(
    ("limit", "largest", "places"),
    [
        (920 * MIB, 20 * MIB, 3),  # nothing was read yet
        (920 * MIB, 400 * MIB, 1),  # a page needed much
        (230 * MIB, 20 * MIB, 1),
        (100 * 2**30, 20 * MIB, 8),
        (resource.RLIM_INFINITY, 20 * MIB, 8),
    ],
)
def test_memory_limits_what_is_granted(limit, largest, places, tmp_path, monkeypatch):
    """All processes of a document fit into its limit, by what a page needs and what pages needed so far."""
    limited(monkeypatch, limit, 100 * MIB, largest)
    (tmp_path / "places").write_text("8")
    assert parallel.granted(tmp_path / "places") == places


@pytest.mark.parametrize("written", ["", "x", "0", "-3", None])
def test_without_a_number_there_is_one_place(written, tmp_path):
    """While nothing is granted, or the file is being written, pages are read one by one."""
    if written is not None:
        (tmp_path / "places").write_text(written)
    assert parallel.granted(tmp_path / "places") == 1
    assert parallel.granted(None) == 1


class _Together(tesseract.Tesseract):
    """Tesseract, whose first two readings wait for each other."""

    partners = threading.Barrier(2)
    readings = 0

    def _read(self, picture, seconds, segmentation):
        type(self).readings += 1
        if type(self).readings <= 2:
            self.partners.wait(timeout=600)
        return super()._read(picture, seconds, segmentation)


def test_pages_read_together_make_the_same_bytes(tmp_path, monkeypatch):
    """Turned and blank pages, text, layer and numbers: all as read one after the other."""
    scans.choose(monkeypatch, "tesseract")
    turned = scans.page().rotate(180)
    data = scans.scan_pdf(scans.page(), turned, turned, scans.page().point(lambda _: 255), scans.page())
    alone = run(tmp_path / "alone", data)
    (tmp_path / "places").write_text("2")
    monkeypatch.setattr(tesseract, "Tesseract", _Together)
    together = run(tmp_path / "together", data, more={"places": str(tmp_path / "places")})
    assert not _Together.partners.broken
    assert _Together.readings >= 4
    assert together[1] == alone[1]
    for done in (together[0], alone[0]):
        del done["metadata"]["duration_s"]
    assert together[0] == alone[0]


def test_an_engine_within_the_process_reads_one_page_at_a_time(tmp_path, monkeypatch):
    """Its models are in memory once, and it does not know threads."""
    (tmp_path / "places").write_text("8")
    source = replace(Source(tmp_path, "application/pdf"), places=tmp_path / "places")
    limited(monkeypatch, resource.RLIM_INFINITY, 0, 0)
    for is_program, places in ((True, 8), (False, 1)):
        reader = type("Reader", (), {"is_program": is_program})()
        assert pages._Document(None, reader, source).places() == places


def test_the_page_before_says_how_a_page_lies(tmp_path, monkeypatch):
    """Of a scan that lies on its head only the first page is read as if it stood."""
    scans.choose(monkeypatch, "tesseract")
    turns, upright = [], pages._upright

    def noted(reader, picture, first, until):
        turns.append(first)
        return upright(reader, picture, first, until)

    monkeypatch.setattr(pages, "_upright", noted)
    turned = scans.page().rotate(180)
    data = scans.scan_pdf(turned, turned.point(lambda _: 255), turned, turned)
    run(tmp_path, data)
    assert turns == [0, 180, 180]
