"""Checks before a machine joins a fleet: each refusal names its cause and its cure.

Two machines that do not share what they should would each do a part of a run and lose the rest. So the first
machine writes a token into the storage, encrypted, and its hash into Redis: a machine that finds another
one there or cannot decrypt it, has another storage or another key.
"""

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from docpipe.checkpoints import read_runs
from docpipe.config.config import Config
from docpipe.errors import ConfigError, StateError, UnreachableError
from docpipe.fleet.connection import NOT_ALLOWED
from docpipe.fleet.flow import CARD, NAME
from docpipe.fleet.messages import Card
from docpipe.fleet.opening import Fleet
from docpipe.fleet.queues import PIPELINE, run_queue
from docpipe.fleet.requests import pollers_of

if TYPE_CHECKING:  # of the extra docpipe[fleet]
    from docpipe.gates.shared import QuotaStore

log = structlog.get_logger(__name__)

_TOKEN: Final = "token"  # noqa: S105 -- the name of a file
_ABOUT: Final = b"docpipe fleet token"
_NAMED: Final = 3
_RELEASES: Final = 8
"""This many releases of the pipeline after this one are asked for, beside all before it."""


async def refuse_unfit(config: Config, fleet: Fleet, store: "QuotaStore | None" = None) -> None:
    """Refuse what would make this machine a part of no fleet, or of the wrong one.

    Args:
        config: the configuration; `fleet.temporal` is set.
        fleet: as it was opened.
        store: the Redis of the fleet, where it is at hand.

    Raises:
        ConfigError: if the namespace, the key or the storage is not that of the fleet.
        StateError: if the state folder has unfinished runs of its own.
        UnreachableError: if Temporal is away.
    """
    refuse_local_runs(config)
    await refuse_namespace(config, fleet.client)
    await refuse_other_key(config, fleet.client)
    await refuse_other_storage(config, fleet, store)
    await warn_of_other_releases(config, fleet.client)


def refuse_local_runs(config: Config) -> None:
    """Runs that the state folder has of its own would be begun again by the fleet.

    Raises:
        StateError: if there are any.
    """
    unfinished = [run for run in read_runs(config.state_dir) if not run.state.finished]
    if not unfinished:
        return
    some = ", ".join(run.patient_id for run in unfinished[:_NAMED])
    more = f" and {len(unfinished) - _NAMED} more" if len(unfinished) > _NAMED else ""
    raise StateError(
        f"{config.state_dir} has unfinished runs of its own (patients {some}{more}), and the fleet would "
        "begin them again. Take fleet.temporal away, finish them with `docpipe resume` or end them with "
        "`docpipe cancel`, and set it again; or give this machine another state.dir."
    )


async def refuse_namespace(config: Config, client: Client) -> None:
    """The namespace has to be there; docpipe makes none, since its retention is somebody's decision.

    Raises:
        ConfigError: if it is not.
        UnreachableError: if Temporal is away.
    """
    fleet = config.fleet
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=fleet.namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConfigError(
                f"fleet.namespace: Temporal at {fleet.temporal} has no namespace {fleet.namespace!r}: "
                f"correct it, or make it with `temporal operator namespace create -n {fleet.namespace} "
                "--retention 30d`."
            ) from error
        if error.status not in NOT_ALLOWED:  # who may not ask may work all the same
            raise UnreachableError(
                f"Temporal at {fleet.temporal} does not answer: {error.message}."
            ) from error


async def refuse_other_key(config: Config, client: Client) -> None:
    """Runs that are under way have to be readable: else the key is another's, or the prefix is.

    Raises:
        ConfigError: if they are not.
    """
    prefix = config.fleet.prefix
    running = client.list_workflows(
        f"WorkflowType = '{NAME}' AND ExecutionStatus = 'Running' AND TaskQueue = '{run_queue(prefix)}'",
        limit=1,
    )
    try:
        async for run in running:
            await run.memo_value(CARD, type_hint=Card)
    except ConfigError as error:
        raise ConfigError(
            f"{error} If the runs in namespace {config.fleet.namespace!r} are another fleet's, give this one "
            f"a fleet.prefix of its own: both have {prefix!r}."
        ) from error
    except RPCError as error:
        if error.status not in NOT_ALLOWED:
            raise UnreachableError(
                f"Temporal at {config.fleet.temporal} does not answer: {error.message}."
            ) from error


async def refuse_other_storage(config: Config, fleet: Fleet, store: "QuotaStore | None") -> None:
    """The storage has to be that of the other machines, and the key, too.

    Raises:
        ConfigError: if it is not.
    """
    try:
        token = await shared_token(config, fleet)
    except OSError as error:  # it may be back soon, and is waited for then
        log.warning("shared_storage_not_checked", reason=error.strerror)
        return
    if store is None:
        return
    name = hashlib.sha256(token.encode()).hexdigest()[:16]
    try:
        holder = await store.agree("storage", name)
    except UnreachableError as error:
        log.warning("shared_storage_not_checked", reason=str(error))
        return
    if holder != name:
        raise ConfigError(
            f"storage.url: {fleet.blobs.where} is not what the other machines of this fleet have as storage. "
            "Mount the same folder on all of them, or use a bucket. If the storage of all has moved, stop "
            f"every worker and delete the key {store.key('storage')} in Redis."
        )


async def shared_token(config: Config, fleet: Fleet) -> str:
    """What the first machine of a fleet has left in the storage.

    Raises:
        ConfigError: if it was encrypted with a key that is missing here.
    """
    name, about = f"{_TOKEN}/{config.fleet.prefix}", [_ABOUT, config.fleet.prefix.encode()]
    kept = await fleet.blobs.get(name)
    if kept is None:
        await fleet.blobs.put(name, fleet.keys.seal(secrets.token_hex(16).encode(), about))
        kept = await fleet.blobs.get(name) or b""  # another machine may have begun at the same time
    token = fleet.keys.unseal(kept, about)
    anew = fleet.keys.seal(token, about)
    if anew != kept:  # the key was rotated: the old one may be taken away later
        await fleet.blobs.put(name, anew)
    return token.decode()


async def warn_of_other_releases(config: Config, client: Client) -> None:
    """Runs stay with the release that began them; without a worker of that release they do not continue."""
    for pipeline in range(1, PIPELINE + _RELEASES):
        if pipeline == PIPELINE:
            continue
        queue = run_queue(config.fleet.prefix, pipeline)
        try:
            query = f"WorkflowType = '{NAME}' AND ExecutionStatus = 'Running' AND TaskQueue = '{queue}'"
            left = (await client.count_workflows(query)).count
            if left and not await pollers_of(client, queue):
                log.warning(
                    "runs_of_another_release",
                    runs=left,
                    pipeline=pipeline,
                    cure="start workers of the docpipe that began them, until they have ended",
                )
        except RPCError as error:
            log.warning("other_releases_not_checked", reason=error.message)
            return
