"""Opens what processes of a fleet use: the connection to Temporal, keys, and the shared storage."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from docpipe.config.config import Config
from docpipe.fleet.connection import connect
from docpipe.fleet.keys import Keyring
from docpipe.fleet.payloads import data_converter
from docpipe.fleet.spool import BucketSpool
from docpipe.gates import Gate
from docpipe.storage.blobs import Blobs
from docpipe.wiring.backends import open_blobs


@dataclass(frozen=True, slots=True)
class Fleet:
    """An open fleet."""

    client: Client
    keys: Keyring
    blobs: Blobs

    async def open_spool(self, folder: Path) -> BucketSpool:
        """The spool of a worker, in a folder of its own."""
        spool = BucketSpool(folder, self.blobs, self.keys)
        await spool.clear()
        return spool


@contextlib.asynccontextmanager
async def open_fleet(config: Config, gate: Gate | None = None) -> AsyncIterator[Fleet]:
    """Open it.

    Args:
        config: the configuration; `fleet.temporal` is set.
        gate: what requests to an object store pass; without one each is tried once.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        StateError: if Temporal cannot be reached.
    """
    keys, blobs = Keyring.of(config.fleet.key), open_blobs(config, gate)
    yield Fleet(await connect(config, data_converter(keys, blobs)), keys, blobs)
