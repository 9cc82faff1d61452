"""Looks for stored documents, all that are asked for at the same time in one trip through a thread.

A trip costs several times what one look costs, and a run asks for all its documents at once.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

_Metadata = dict[str, Any] | None
_Waiting = list[tuple[Path, "asyncio.Future[_Metadata]"]]


class Lookups:
    """Reads metadata of documents. Used inside one event loop at a time.

    Args:
        executor: whose threads read; None for those of the loop.
        read: reads the metadata in a document's folder.
    """

    def __init__(self, executor: Executor | None, read: Callable[[Path], _Metadata]) -> None:
        self._executor = executor
        self._read_one = read
        self._waiting: _Waiting = []
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that takes what waits in its next turn."""

    async def metadata(self, folder: Path) -> _Metadata:
        """The metadata of a document that is stored completely, else None.

        Raises:
            OSError: if its files cannot be read.
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # nothing waits yet, or its loop was closed
            self._waiting, self._loop = [], loop
            loop.call_soon(self._start)
        done: asyncio.Future[_Metadata] = loop.create_future()
        self._waiting.append((folder, done))
        return await done

    def _start(self) -> None:
        """Read all that waits, in a thread."""
        waiting, loop = self._waiting, self._loop
        self._waiting, self._loop = [], None
        if loop is None:
            return
        try:
            reading = loop.run_in_executor(self._executor, self._read, [folder for folder, _ in waiting])
        except RuntimeError as error:  # no thread could be started
            _resolve(waiting, [error] * len(waiting))
            return
        reading.add_done_callback(lambda read: _deliver(waiting, read))

    def _read(self, folders: Iterable[Path]) -> list[_Metadata | Exception]:
        return [self._result_of(folder) for folder in folders]

    def _result_of(self, folder: Path) -> _Metadata | Exception:
        try:
            return self._read_one(folder)
        except Exception as error:  # noqa: BLE001 -- raised where it is awaited; the others have their own
            return error


def _deliver(waiting: _Waiting, read: "asyncio.Future[list[_Metadata | Exception]]") -> None:
    if read.cancelled():  # the executor was shut down
        for _, done in waiting:
            done.cancel()
    elif (error := read.exception()) is not None:
        _resolve(waiting, [error] * len(waiting))
    else:
        _resolve(waiting, read.result())


def _resolve(waiting: _Waiting, results: Sequence[_Metadata | BaseException]) -> None:
    for (_, done), result in zip(waiting, results, strict=True):
        if done.done():  # its caller was cancelled
            continue
        if isinstance(result, BaseException):
            done.set_exception(result)
        else:
            done.set_result(result)
