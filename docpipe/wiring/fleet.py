"""The parts that several processes share, as the configuration names them."""

import contextlib
import hashlib
from typing import TYPE_CHECKING

import structlog

from docpipe.config.config import Config
from docpipe.errors import ConfigError, UnreachableError

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore

log = structlog.get_logger(__name__)


async def open_store(config: Config, stack: contextlib.AsyncExitStack) -> "QuotaStore | None":
    """What counts the quotas of all processes; None where this process counts alone.

    Requests under a quota wait while Redis cannot be reached.

    Raises:
        ConfigError: if it cannot be used, or the prefix is another fleet's.
    """
    if not config.fleet.redis:
        return None
    store = await stack.enter_async_context(make_store(config))
    try:
        await store.check()
        await store.claim(identity(config))
    except UnreachableError as error:
        log.warning(
            "quota_store_not_reached",
            reason=str(error),
            cure="start it, or correct fleet.redis; docpipe waits",
        )
    return store


def make_store(config: Config) -> "QuotaStore":
    """The same, not yet connected.

    Raises:
        ConfigError: if the extra is missing, or the address cannot be used.
    """
    try:
        from docpipe.gates.shared import QuotaStore  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise ConfigError("fleet.redis needs a package: pip install 'docpipe[fleet]'.") from error
    try:
        return QuotaStore(config.fleet.redis, config.fleet.prefix)
    except ValueError as error:
        raise ConfigError(f"fleet.redis: {error}.") from error


def identity(config: Config) -> str:
    """The identity of a fleet: the services whose quotas are counted."""
    addresses = f"{config.docex.base_url} {config.tasktracker.base_url}"
    return hashlib.sha256(addresses.encode()).hexdigest()[:16]
