"""Readiness: whether everything that the service needs works."""

import asyncio
from typing import Final

from docpipe.errors import DocpipeError
from docpipe.web.source import Source

FRESH_S: Final = 5.0
"""How long a verdict is reused: requests need no token, and each try writes to the disk."""
_PATIENCE_S: Final = 2.0


class Readiness:
    """Whether what the service needs works, tried at most every few seconds."""

    def __init__(self, source: Source) -> None:
        self.started = False
        """Whether unfinished runs have been taken up."""
        self._source = source
        self._trials = source.trials
        self._under_way: dict[str, asyncio.Task[str]] = {}
        self._verdicts: dict[str, tuple[float, str]] = {}

    async def reasons(self) -> list[str]:
        """Why not, a sentence each; none when it is ready."""
        reasons = []
        if not self.started:
            reasons.append("docpipe has not yet started.")
        if self._source.stopping:
            reasons.append("docpipe is stopping.")
            return reasons
        verdicts = await asyncio.gather(*map(self._verdict, self._trials))
        return reasons + [verdict for verdict in verdicts if verdict]

    async def _verdict(self, name: str) -> str:
        now = asyncio.get_running_loop().time
        when, verdict = self._verdicts.get(name, (float("-inf"), ""))
        if when + FRESH_S > now():
            return verdict
        task = self._under_way.get(name)
        if task is None:  # one at a time: a disk that hangs must not gather them
            task = self._under_way[name] = asyncio.create_task(self._try(name))
        await asyncio.wait({task}, timeout=_PATIENCE_S)
        if not task.done():
            return self._trials[name].slow
        self._under_way.pop(name, None)
        self._verdicts[name] = now(), task.result()
        return self._verdicts[name][1]

    async def _try(self, name: str) -> str:
        try:
            await self._trials[name].work()
        except asyncio.CancelledError:  # the write was cancelled because docpipe stops
            return f"The {name} cannot be written: docpipe stops."
        except DocpipeError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the reason
            return f"The {name} cannot be written ({type(error).__name__})."
        return ""
