"""Checks of schedules and of the receiver of notifications."""

import asyncio
import random
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from docpipe.check.finding import Bench, Finding, Fit
from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError, DatabaseDownError, DocpipeError, ServiceError
from docpipe.gates import Failure, Gate, Quota, Service
from docpipe.http import Answer, Http, Reach, Signed, origin_of
from docpipe.model import Clock, Ticket, count_of
from docpipe.notify import Signer, trial_event
from docpipe.schedule import Roster, members_of, rounds_of
from docpipe.util.times import iso
from docpipe.wiring.backends import open_patients
from docpipe.wiring.credentials import open_transports

_DATABASE_S: Final = 60.0
_ANSWER_S: Final = 20.0
_HOW: Final = "`docpipe check --notify` sends one event of the type docpipe.test"


async def schedules(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The patients of each schedule can be read."""
    config = bench.config
    if config.patients.url == FAKE and config.schedule:
        yield Fit("schedules", FAKE, f"{len(config.schedule)} for generated patients")
        return
    for schedule in config.schedule:
        bench.progress(schedule.name)
        try:
            async with asyncio.timeout(_DATABASE_S), open_patients(config) as database:
                members = await members_of(schedule, config.folder, database)
        except (DatabaseDownError, TimeoutError):
            problem = "its patients could not be read: the database cannot be reached"
            yield Finding("schedules", schedule.name, problem, "see the finding about patients", wrong=False)
        except DocpipeError as error:
            yield Finding("schedules", schedule.name, str(error), "correct its `patients`")
        else:
            next_at = Roster(members).next(rounds_of(schedule), bench.clock())
            when = "nobody is due" if next_at is None else f"next {iso(next_at)}"
            yield Fit("schedules", schedule.name, f"{count_of(len(members), 'patient')}, {when}")


async def receiver(bench: Bench) -> AsyncIterator[Fit | Finding]:
    """The receiver takes a notification; nothing is sent unless that is asked for."""
    notify = bench.config.notify
    if not notify.url:
        return
    where = origin_of(notify.url)  # the rest of the address may be a secret
    if not bench.notify:
        yield Fit("notify", where, f"is configured, and was not tried: {_HOW}")
        return
    bench.progress(where)
    try:
        async with asyncio.timeout(_ANSWER_S), Http(transports=open_transports(bench.config)) as http:
            answer = await _tried(bench.config, http, bench.clock)
    except (ConfigError, ServiceError) as error:
        yield Finding("notify", where, str(error), "correct notify.url, or the keys beside it")
    except TimeoutError:
        yield Finding("notify", where, "no answer in time", "ask those who run the receiver")
    else:
        yield _judged(where, answer)


async def _tried(config: Config, http: Http, clock: Clock) -> Answer | Failure | None:
    notify = config.notify
    if notify.secret is None:
        raise ConfigError("notify.secret is missing.")
    service = Service("notify", clock=clock, rng=random.Random())
    gate = Gate(service, Quota.local("notify", None, clock=clock), timeout=notify.timeout)
    body, signer, now = trial_event(clock()), Signer(notify.secret, clock), int(clock())
    return await http.once(
        notify.url,
        gate=gate,
        ticket=Ticket(),
        signed=Signed(body, lambda: signer.headers(f"msg_trial_{now}", body)),
        reach=Reach(notify.url),
    )


def _judged(where: str, answer: Answer | Failure | None) -> Fit | Finding:
    if isinstance(answer, Failure):
        return Finding("notify", where, answer.reason, answer.cure or "ask those who run the receiver")
    if answer is None:
        return Fit("notify", where, "answers; it accepts no more notifications at the moment (429)")
    if answer.ok:
        return Fit("notify", where, f"takes notifications ({answer.status})")
    cures = {
        HTTPStatus.UNAUTHORIZED: "compare notify.secret with the receiver's",
        HTTPStatus.FORBIDDEN: "compare notify.secret with the receiver's",
        HTTPStatus.GONE: "it has unsubscribed: remove notify.url",
    }
    cure = cures.get(HTTPStatus(answer.status), "check notify.url: it does not take notifications there")
    return Finding("notify", where, f"it answers a notification with status {answer.status}", cure)
