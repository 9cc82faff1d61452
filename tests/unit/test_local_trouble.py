"""Trouble of this machine that passes: it is waited out, people read what it is and what to do."""

import asyncio
import errno
import os
import sqlite3
import ssl

import pytest
from structlog.testing import capture_logs

from docpipe.cli.phrases import wait_words
from docpipe.errors import RunError
from docpipe.gates import local_trouble
from docpipe.gates.local_trouble import TROUBLES, retry_while_in_trouble, trouble_of
from docpipe.model import Ticket, WaitKind
from docpipe.storage.attempts import BucketError
from docpipe.web.views import wait_view
from tests.virtual import wall_clock

LISTED = (
    *(errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ESTALE, errno.EROFS, errno.EIO),
    *(errno.ENOTCONN, errno.ENODEV, errno.EACCES, errno.ENOSPC, errno.EDQUOT),
)


class Attempt:
    """A step, as far as a wait needs one."""

    def __init__(self):
        self.ticket = Ticket("R1")


def of_system(number):
    return OSError(number, os.strerror(number))


def of_sqlite(code):
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def failing(*errors):
    """Work that raises these one after the other, and then is done."""
    left = list(errors)

    async def work():
        if left:
            raise left.pop(0)
        return "done"

    return work


@pytest.mark.virtual
@pytest.mark.parametrize("number", LISTED, ids=lambda number: errno.errorcode[number])
async def test_it_is_waited_out(number):
    """Two failures, then success; meanwhile `status` and the page say what it is and what to do."""
    step = Attempt()
    task = asyncio.create_task(
        retry_while_in_trouble(step, "storage", wall_clock, failing(of_system(number), of_system(number)))
    )
    await asyncio.sleep(1)
    wait = step.ticket.wait
    shape = {name: getattr(wait, name) for name in ("kind", "what", "since", "until", "place")}
    trouble = TROUBLES[number]
    for sentence in (wait_words(wait, wall_clock()), wait_view(**shape).sentence):
        assert sentence.startswith(trouble.problem.format(what="storage"))
        assert trouble.cure in sentence
    assert await task == "done"
    assert step.ticket.wait is None


@pytest.mark.virtual
async def test_a_thread_that_cannot_be_started_is_waited_for():
    """Python says so by a RuntimeError; any other one is a mistake."""
    refused = RuntimeError("can't start new thread")
    assert await retry_while_in_trouble(Attempt(), "spool", wall_clock, failing(refused)) == "done"
    with pytest.raises(RuntimeError, match="another"):
        await retry_while_in_trouble(Attempt(), "spool", wall_clock, failing(RuntimeError("another")))


@pytest.mark.virtual
async def test_what_lasts_is_logged_once_a_minute():
    """However many runs wait for it: people see that docpipe waits, and the log stays short."""

    async def work():
        raise of_system(errno.EACCES)

    with capture_logs() as logs:
        waiting = [
            asyncio.create_task(retry_while_in_trouble(Attempt(), "storage", wall_clock, work))
            for _ in range(20)
        ]
        await asyncio.sleep(3 * local_trouble.LOG_EVERY_S + 1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert [line["event"] for line in logs] == ["local_trouble"] * 4
    assert "right" in logs[0]["cure"]


@pytest.mark.virtual
@pytest.mark.parametrize(
    "error",
    [
        of_system(errno.ENOENT),
        of_system(errno.EINVAL),
        BucketError(errno.EACCES, "the store refuses docpipe"),
        BucketError(errno.EIO, "the store refuses the request"),
        ssl.SSLError(1, "handshake"),
        ssl.SSLError(5, "EOF"),
    ],
    ids=repr,
)
async def test_what_does_not_pass_ends_the_work(error):
    """What a store has answered, and what is wrong for good, is reported at once."""
    assert trouble_of(error) is None
    with pytest.raises(RunError, match="storage cannot be read"):
        await retry_while_in_trouble(Attempt(), "storage", wall_clock, failing(error), "read")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (sqlite3.SQLITE_BUSY, "another program holds"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program holds"),
        (sqlite3.SQLITE_LOCKED, "another program holds"),
        (sqlite3.SQLITE_FULL, "full"),
        (sqlite3.SQLITE_IOERR_WRITE, "full"),
        (sqlite3.SQLITE_IOERR_SHMSIZE, "full"),
        (sqlite3.SQLITE_IOERR_FSYNC, "the disk fails"),
        (sqlite3.SQLITE_IOERR_NOMEM, "out of memory"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_READONLY, "cannot be written"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "moved"),
        (sqlite3.SQLITE_NOMEM, "out of memory"),
        (sqlite3.SQLITE_PROTOCOL, "another program holds"),
    ],
)
def test_trouble_of_sqlite(code, problem):
    """By its code: locks, disks and memory pass."""
    assert problem in trouble_of(of_sqlite(code)).problem


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR])
def test_faults_of_sqlite_do_not_pass(code):
    """A damaged file and a wrong statement are no trouble of the machine."""
    assert trouble_of(of_sqlite(code)) is None


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=lambda trouble: trouble.problem)
def test_every_trouble_has_a_cure(trouble):
    """Cause and cure, and no error number."""
    assert trouble.cure
    assert "errno" not in trouble.sentence("storage").lower()
    assert trouble.kind in (WaitKind.DISK, WaitKind.LOCAL)
