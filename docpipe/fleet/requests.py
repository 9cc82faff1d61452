"""Requests to Temporal: retried through a short outage, and several in parallel."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from docpipe.errors import UnreachableError
from docpipe.fleet.notices import NOTIFY

AT_ONCE: Final = 16
_AWAY: Final = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.RESOURCE_EXHAUSTED,  # more is asked of it than it allows
    RPCStatusCode.ABORTED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.UNKNOWN,
)
"""What may be otherwise in a moment."""
PATIENCE_S: Final = 60.0
"""So long a command waits for Temporal."""
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 8.0

_T = TypeVar("_T")
_P = TypeVar("_P")


async def all_of(work: Callable[[_P], Awaitable[_T]], each: Sequence[_P]) -> list[_T]:
    """Do something with each, a few at a time; the results are in the same order.

    The first error ends all that is under way, and is raised.
    """
    results: dict[int, _T] = {}
    left = iter(enumerate(each))

    async def some() -> None:
        for number, value in left:
            results[number] = await work(value)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(each))):
                group.create_task(some())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[number] for number in range(len(each))]


async def answered(ask: Callable[[], Awaitable[_T]], patience: float = PATIENCE_S) -> _T:
    """Ask Temporal, again and again while it is away.

    Args:
        ask: what is asked; may be repeated.
        patience: seconds until this is given up. One try alone may take the SDK 10 s.

    Raises:
        UnreachableError: if it is away for longer.
    """
    reason, pause = "no answer in time", _FIRST_PAUSE_S
    try:
        async with asyncio.timeout(patience):
            while True:
                try:
                    return await ask()
                except RPCError as error:
                    if error.status not in _AWAY:
                        raise
                    reason = error.message
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, 2 * pause)
    except TimeoutError as error:
        raise UnreachableError(
            f"Temporal does not answer ({reason}): start it; runs continue as soon as it is back."
        ) from error


async def notices_of(client: Client, queue: str, status: str) -> int:
    """How many notifications have this status: `Running` while not delivered, `Completed`."""
    query = f"WorkflowType = '{NOTIFY}' AND TaskQueue = '{queue}' AND ExecutionStatus = '{status}'"
    return (await client.count_workflows(query)).count


async def pollers_of(client: Client, queue: str) -> Mapping[str, float]:
    """The workers that ask for the runs of a queue, by their names, with when each last asked."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    described = await client.workflow_service.describe_task_queue(request)
    return {one.identity: one.last_access_time.ToDatetime(UTC).timestamp() for one in described.pollers}


def moment_of(when: float) -> str:
    """A time in a query."""
    return quoted(datetime.fromtimestamp(when, UTC).isoformat())


def quoted(text: str) -> str:
    """A text in a query; what names workflows here has no quotes."""
    return f"'{text}'"
