"""Notifications of ended runs on a fleet: one workflow each, sent by an activity of any worker."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ParentClosePolicy

from docpipe.checkpoints import RunEnd
from docpipe.errors import PoisonedError, ServiceError
from docpipe.fleet.messages import Card, Notice

if TYPE_CHECKING:  # only workers send
    from docpipe.notify import Delivery

log = structlog.get_logger(__name__)

NOTIFY: Final = "NotifyEnd"
SEND: Final = "send_notice"
_HEARTBEAT: Final = timedelta(seconds=20)
_LONGEST: Final = timedelta(days=30)
_RETRY: Final = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=10))
_BEAT_S: Final = 5.0


def notice_name(prefix: str, run_id: str, retries: int) -> str:
    """The id of the workflow that notifies of the end of a run."""
    return f"{prefix}:notice:{run_id}:{retries}"


async def notify_end(card: Card, prefix: str, queue: str) -> None:
    """Begin it, from the run's workflow: an outage of the receiver does not keep the run unfinished.

    Args:
        card: of the run, which has ended.
        prefix: of the fleet.
        queue: of the workers that send it.
    """
    end = RunEnd(
        id=f"msg_{card.run_id}_{card.retries}",
        run_id=card.run_id,
        patient_id=card.patient_id,
        state=card.state,
        counts=card.counts,
        retries=card.retries,
        created_at=card.created_at,
        started_at=card.started_at,
        finished_at=card.finished_at or 0.0,
    )
    with contextlib.suppress(asyncio.CancelledError):  # it has ended already
        await workflow.start_child_workflow(
            NOTIFY,
            Notice(end=end, queue=queue),
            id=notice_name(prefix, card.run_id, card.retries),
            parent_close_policy=ParentClosePolicy.ABANDON,
        )


@workflow.defn(name=NOTIFY)
class NotifyEnd:
    """Notifies the receiver of the end of one run, for a month at most."""

    @workflow.run
    async def notify(self, notice: Notice) -> None:
        """Have it sent."""
        await workflow.execute_activity(
            SEND,
            notice.end,
            task_queue=notice.queue,
            schedule_to_close_timeout=_LONGEST,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=_RETRY,
        )


def sender(delivery: "Delivery", delivered: Callable[[], None]) -> Callable[[RunEnd], Awaitable[None]]:
    """The activity that sends one; while the receiver is down it waits at its gate.

    Args:
        delivery: sends.
        delivered: called with each that the receiver has taken.
    """

    @activity.defn(name=SEND)
    async def send(end: RunEnd) -> None:
        beating = asyncio.create_task(_beat(), name="beat")
        try:
            answer = await delivery.send(end)
        except (PoisonedError, ServiceError) as error:
            log.warning("notification_not_sent", run_id=end.run_id, reason=str(error))
            raise ApplicationError(str(error), type="NotSent") from None
        except asyncio.CancelledError:
            raise ApplicationError("The worker stops.", type="Stopped") from None
        finally:
            beating.cancel()
        if answer.ok:
            delivered()
        else:
            log.warning(
                "notification_refused",
                run_id=end.run_id,
                reason="the receiver answers 410 Gone",
                cure="correct or remove notify.url",
            )

    return send


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(_BEAT_S)
