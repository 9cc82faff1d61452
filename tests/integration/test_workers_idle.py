"""Places that nobody needs are lent to documents that can use them, and are there at once for who comes."""

import asyncio

from docpipe.gates.line import Slots
from docpipe.model import Ticket
from docpipe.workers.idle import IdlePlaces
from tests.worker_support import until, workers


def conversion(folder, name, *numbers, **more):
    """A job that ends once it was granted these numbers of places."""
    document, out = folder / name, folder / f"{name}-out"
    document.write_bytes(b"document")
    out.mkdir()
    job = {"do": "use_places", "path": str(document), "folder": str(out), "numbers": numbers}
    return {**job, "note": str(folder / name), **more}


async def test_a_document_has_idle_places_until_another_comes(tmp_path):
    """The only document may use all places; the next one has its own at once, and gets what is left later."""
    async with workers(size=3) as pool:
        first = asyncio.create_task(pool.run(conversion(tmp_path, "first", 3, 2), Ticket("a")))
        await until((tmp_path / "first-3").exists)
        second = asyncio.create_task(pool.run(conversion(tmp_path, "second", 3), Ticket("b")))
        await first
        await second
        assert pool.snapshot().busy == 0


async def test_a_document_that_failed_is_tried_with_one_place(tmp_path):
    """What broke one worker, such as too much memory, is less likely with one page at a time."""
    async with workers(size=3, tries=2) as pool:
        dies = {"dies": str(tmp_path / "died")}
        again = asyncio.create_task(pool.run(conversion(tmp_path, "again", 9, **dies), Ticket("a")))
        await until((tmp_path / "died").exists)
        await until(lambda: any(worker.jobs for worker in pool._forkserver._living.values()))
        await pool.run(conversion(tmp_path, "other", 2), Ticket("b"))
        assert not again.done()
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)


async def test_jobs_without_files_borrow_nothing():
    """They have no room to be granted anything in."""
    async with workers(size=2) as pool:
        assert await pool.run({"do": "nap", "seconds": 0.2, "value": 1}, Ticket()) == 1
        assert not pool._idle_places._loans


async def test_free_places_are_shared():
    """The oldest jobs have what cannot be divided; who was never renewed has no share, and leaves none."""
    slots = Slots(8, lambda: 0.0)
    places = IdlePlaces(slots)
    for _ in range(3):
        await slots.acquire(Ticket())
    with places.loan() as old, places.loan() as young, places.loan():
        assert places.renew(old)
        assert old.places == 6
        assert places.renew(young)
        assert places.renew(old)
        assert (old.places, young.places) == (4, 3)
        assert not places.renew(old)
        for _ in range(5):
            await slots.acquire(Ticket())
        assert places.renew(old)
        assert places.renew(young)
        assert (old.places, young.places) == (1, 1)
    with places.loan() as late:
        slots.release()
        places.renew(late)
        assert late.places == 2
