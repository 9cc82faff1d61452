"""Failpoints: named points at which a process can be made to die, put around docpipe's real functions.

They are put there from outside: docpipe knows nothing of them. Each stands before an effect, in the middle of
one, or after it; its name is passed to a function, which may not return.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import docpipe.activities.activities
import docpipe.activities.spool
import docpipe.app
import docpipe.checkpoints.store
import docpipe.gates.gate
import docpipe.runtime.activity_log
import docpipe.sources.docex.download
import docpipe.sources.docex.partial
import docpipe.sources.fhir.files
import docpipe.sources.fhir.retrieval
import docpipe.sources.fhir.wire
import docpipe.storage.folderfiles
import docpipe.workers.unpacking
from docpipe.activities.activities import Activities
from docpipe.archive.extract import _Extraction
from docpipe.checkpoints import Checkpoints
from docpipe.checkpoints.ledger import GrantLedger
from docpipe.gates.gate import GateMiddleware
from docpipe.runtime.activity_log import ActivityLog
from docpipe.storage.names import Content, whole
from docpipe.workers.inline import InlineWorkers
from docpipe.workers.pool import Workers
from docpipe.workers.rooms import Room

Hit = Callable[[str], None]
"""Called when a point is passed: `site`, or `site: which one`."""


class _Patches:
    """Attributes that are replaced until the end."""

    def __init__(self, hit: Hit, stack: contextlib.ExitStack) -> None:
        self.hit = hit
        self._stack = stack

    def put(self, owner: Any, name: str, value: Any) -> Any:
        """Replace an attribute; returns what it was."""
        before = getattr(owner, name)
        own = name in vars(owner)
        setattr(owner, name, value)
        self._stack.callback(setattr, owner, name, before) if own else self._stack.callback(
            delattr, owner, name
        )
        return before

    def around(self, owner: Any, name: str, site: str, which: Callable[..., str] = lambda *_: "") -> None:
        """A point before and one after a plain function."""
        real = getattr(owner, name)

        def wrapper(*args: Any, **more: Any) -> Any:
            reported = which(*args)
            self.hit(f"before {site}{reported}")
            result = real(*args, **more)
            self.hit(f"after {site}{reported}")
            return result

        self.put(owner, name, wrapper)

    def around_async(
        self, owner: Any, name: str, site: str, which: Callable[..., str] = lambda *_: ""
    ) -> None:
        """A point before and one after a coroutine function."""
        real = getattr(owner, name)

        async def wrapper(*args: Any, **more: Any) -> Any:
            reported = which(*args)
            self.hit(f"before {site}{reported}")
            result = await real(*args, **more)
            self.hit(f"after {site}{reported}")
            return result

        self.put(owner, name, wrapper)


class _Database:
    """An SQLite connection with a point before and after each statement of a transaction."""

    def __init__(self, real: Any, hit: Hit) -> None:
        self.real = real
        self._hit = hit

    def execute(self, sql: str, values: Any = ()) -> Any:
        if sql == "ROLLBACK":
            return self.real.execute(sql)
        word = sql.split(maxsplit=1)[0].lower()
        if word == "commit":
            self._hit("before the commit")
        result = self.real.execute(sql, values)
        self._hit("after the commit" if word == "commit" else f"within a transaction: after {word}")
        return result

    @property
    def in_transaction(self) -> bool:
        return self.real.in_transaction

    def close(self) -> None:
        self.real.close()


@contextlib.contextmanager
def installed(hit: Hit) -> Iterator[None]:
    """Every failpoint in place, for the time of the block."""
    with contextlib.ExitStack() as stack:
        patches = _Patches(hit, stack)
        _checkpoints(patches)
        _activity_log(patches)
        _requests(patches)
        _spool(patches)
        _storage(patches)
        _start(patches)
        yield


def _checkpoints(patches: _Patches) -> None:
    def which(_self: Any, _run_id: str, activity: str, *_rest: Any) -> str:
        return f": {activity}"

    for name in ("save_step", "finish_step"):
        patches.around_async(Checkpoints, name, name, which)
    for name in ("create_runs", "finish_run"):
        patches.around_async(Checkpoints, name, name)
    patches.around_async(GrantLedger, "granted", "granted")
    real = docpipe.checkpoints.store.connect
    patches.put(docpipe.checkpoints.store, "connect", lambda path: _Database(real(path), patches.hit))


def _activity_log(patches: _Patches) -> None:
    def which(_self: Any, entry: Any, *_rest: Any) -> str:
        return f": {entry.activity}"

    patches.around(ActivityLog, "start", "log.start", which)
    patches.around(ActivityLog, "finish", "log.finish", which)
    patches.around_async(ActivityLog, "__aenter__", "log.header")

    def write(file: int, data: bytes) -> int:
        half = os.write(file, data[: len(data) // 2])
        patches.hit("within a line of the log")
        try:
            return half + os.write(file, data[half:])
        except OSError:
            return half  # as the kernel says it: so much is written

    # A namespace in place of the module `os`, as this module alone sees it.
    patches.put(docpipe.runtime.activity_log, "os", SimpleNamespace(**(vars(os) | {"write": write})))


def _requests(patches: _Patches) -> None:
    def which(passage: Any, *_rest: Any) -> str:
        return f": {passage._gate.quota.name.split(' of ')[0]}"

    patches.around_async(GateMiddleware, "_attempt", "request", which)


def _spool(patches: _Patches) -> None:
    hit, partial = patches.hit, docpipe.sources.docex.partial
    for module in (docpipe.sources.docex.download, docpipe.sources.fhir.files, docpipe.sources.fhir.wire):
        patches.around_async(module, "write", "download")

    def write_all(file: int, block: bytearray) -> None:
        half = len(block) // 2
        real(file, block[:half])
        hit("within the download")
        real(file, block[half:])

    real = patches.put(partial, "write_all", write_all)
    for name in ("extract", "collect"):
        patches.around(docpipe.workers.unpacking, name, "extract")
    for name in ("put_archive", "put_delivered", "copy_numbered", "move_numbered"):
        patches.around(Room, name, f"room.{name}")
    patches.around(docpipe.sources.fhir.retrieval.Retrieval, "_begin", "folder of FHIR")
    patches.around(_Extraction, "_unpack", "extracting a file")
    patches.around(docpipe.activities.activities, "make_empty", "folder of a conversion")
    for pool in (Workers, InlineWorkers):
        patches.around_async(pool, "execute", "conversion")
    patches.around_async(Activities, "clear_spool", "clear_spool")

    def rmtree(path: Any, **more: Any) -> None:
        for file in sorted(pathlib.Path(path).rglob("*.*"))[:1]:
            file.unlink()
            hit("within clear_spool")
        real_rmtree(path, **more)

    shutil_seen = docpipe.activities.spool.shutil
    real_rmtree = shutil_seen.rmtree
    patches.put(
        docpipe.activities.spool, "shutil", SimpleNamespace(**(vars(shutil_seen) | {"rmtree": rmtree}))
    )


def _storage(patches: _Patches) -> None:
    storage = docpipe.storage.folderfiles
    for name in ("put", "put_files"):
        patches.around(storage.FolderFiles, name, f"storage.{name}")
    patches.around(storage, "_copy", "storage.copy")
    patches.around(
        storage, "_linked", "link", lambda _source, target: f": {_kind(pathlib.Path(target).name)}"
    )
    patches.around(storage, "_remove", "storage.remove_others")
    patches.around(storage.MadeFolders, "_make", "storage.make_folder")
    patches.around(storage.MadeFolders, "_move", "storage.move_folder")
    patches.around(storage, "sync_folder", "storage.sync_folder")
    patches.around(pathlib.Path, "replace", "rename", lambda path, _to: f": {_kind(path.name)}")
    patches.around(storage, "_rename", "rename", lambda _folder, part, _name: f": {_kind(part)}")
    patches.around(docpipe.activities.activities.report, "build", "report.build")

    def write(path: str, content: Content) -> None:
        data = whole(content)
        real(path, data[: len(data) // 2])
        patches.hit("within storage.write")
        real(path, data)

    real = patches.put(storage, "_write", write)


def _kind(name: str) -> str:
    return name.removeprefix(".tmp-").split(".")[0]


def _start(patches: _Patches) -> None:
    patches.around(docpipe.app, "open_database", "open_database")
    patches.around_async(docpipe.app, "_sweep", "sweep of the spool")
