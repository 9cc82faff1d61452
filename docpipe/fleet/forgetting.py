"""Removes what Temporal keeps of a patient's runs: histories, with what was too large for them."""

from collections.abc import Iterable
from typing import Final

from temporalio.api.common.v1 import WorkflowExecution as Named
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from docpipe.config.config import Config
from docpipe.errors import UnreachableError, UsageError
from docpipe.fleet.flow import CARD
from docpipe.fleet.messages import Card
from docpipe.fleet.notices import notice_name
from docpipe.fleet.opening import Fleet, open_fleet
from docpipe.fleet.payloads import PAYLOADS

_GONE: Final = RPCStatusCode.NOT_FOUND


async def count_histories(config: Config, patient_id: str) -> int:
    """How many histories of a patient's runs Temporal keeps.

    Raises:
        ConfigError: if a value of the configuration cannot be used.
        UsageError: if the patient has an unfinished run.
        UnreachableError: if Temporal does not answer.
    """
    async with open_fleet(config) as fleet:
        return len(await _histories(config, fleet, patient_id))


async def remove_histories(config: Config, patient_id: str) -> int:
    """Have Temporal delete them, and delete their large payloads; returns how many there were.

    Temporal lists a deleted history for up to half a minute after the end of its run.

    Raises:
        ConfigError, UsageError, UnreachableError: as `count_histories`.
        OSError: if the storage cannot be written.
    """
    async with open_fleet(config) as fleet:
        histories = await _histories(config, fleet, patient_id)
        notices = [Named(workflow_id=name) for name in await _notices(config, histories)]
        for named in [*(Named(workflow_id=one.id, run_id=one.run_id) for one in histories), *notices]:
            asked = DeleteWorkflowExecutionRequest(namespace=config.fleet.namespace, workflow_execution=named)
            try:
                await fleet.client.workflow_service.delete_workflow_execution(asked)
            except RPCError as error:
                if error.status is not _GONE:
                    raise _away(config, error) from error
        for name in _names(config, fleet, patient_id):
            await fleet.blobs.remove(f"{PAYLOADS}/{name}")
        return len(histories)


def _names(config: Config, fleet: Fleet, patient_id: str) -> list[str]:
    """The names of a patient's workflows, one of each key."""
    return [f"{config.fleet.prefix}:{hashed}" for hashed in fleet.keys.hashed(patient_id)]


async def _histories(config: Config, fleet: Fleet, patient_id: str) -> list[WorkflowExecution]:
    histories = []
    try:
        for name in _names(config, fleet, patient_id):
            async for one in fleet.client.list_workflows(f"WorkflowId = '{name}'"):
                if one.status is WorkflowExecutionStatus.RUNNING:
                    raise UsageError(
                        f"Patient {patient_id} has an unfinished run in the fleet: `docpipe cancel "
                        f"{patient_id}` ends it, then try again."
                    )
                histories.append(one)
    except RPCError as error:
        raise _away(config, error) from error
    return histories


async def _notices(config: Config, histories: Iterable[WorkflowExecution]) -> list[str]:
    """The workflows that notify of the ends of runs, which may be there."""
    prefix, names = config.fleet.prefix, set()
    for one in histories:
        card: Card = await one.memo_value(CARD, type_hint=Card)
        names |= {notice_name(prefix, card.run_id, retry) for retry in range(card.retries + 1)}
    return sorted(names)


def _away(config: Config, error: RPCError) -> UnreachableError:
    return UnreachableError(f"Temporal at {config.fleet.temporal} does not answer: {error.message}.")
