"""Tokens, secrets and keys change while patients are retrieved: nobody fails, and nothing happens twice."""

import asyncio
import json
from dataclasses import replace

import pytest

import fakes
from docpipe.config.parsing import Secret, parse_private_key
from docpipe.model import RunState
from tests import virtual
from tests.oauth2_support import jwk, jwks, private
from tests.simulation.world import Plan, ids, simulate

PATIENTS = 20
SECRET = "first-secret"  # noqa: S105 -- of no service


def whole(story):
    """Everybody is done; each effect came once."""
    for run in story.runs:
        assert run.state is RunState.COMPLETED, run
        (task,) = story.running.tracker.tasks_of(run.run_id)
        assert task.history == ("in_progress", "completed")
        assert len(story.running.tracker.reports[task.id]) == 1
        assert len(story.running.docex.searches_of(run.patient_id)) == 1
    assert sorted(run.patient_id for run in story.runs) == ids(PATIENTS)
    assert story.running.archive.tokens_received == 0
    return story


def refused(story):
    servers = (story.running.docex, story.running.tracker)
    return sum(1 for server in servers for seen in server.requests if seen.status in (401, 403))


def with_oauth2(config, running, **given):
    def asks(section):
        return replace(section, token_url=running.oauth2.url, client_id="docpipe", **given)

    return replace(config, docex=asks(config.docex), tasktracker=asks(config.tasktracker))


@pytest.mark.parametrize("answer", [401, 403])
def test_token_files_are_replaced(tmp_path, answer):
    """A file is replaced and the token before is refused, three times; each service may say 401 or 403."""
    files = {name: tmp_path / name for name in ("docex", "tracker")}

    def write(number):
        for name, file in files.items():
            file.write_text(f"{name}-{number}\n", "utf-8")

    def adapt(config, _running):
        write(0)
        docex, tracker = (Secret(f"{name}-0", file) for name, file in files.items())
        return replace(
            config,
            docex=replace(config.docex, token=docex),
            tasktracker=replace(config.tasktracker, token=tracker),
        )

    async def rotate(running):
        for number in (1, 2, 3):
            await asyncio.sleep(25.0)
            write(number)
            for server, name in ((running.docex, "docex"), (running.tracker, "tracker")):
                server.use_token(f"{name}-{number}", answer)

    options = {"docex_token": "docex-0", "tracker_token": "tracker-0"}
    story = whole(
        virtual.run(
            simulate(
                Plan(
                    tmp_path,
                    patients=PATIENTS,
                    options=options,
                    adapt=adapt,
                    meanwhile=rotate,
                    docex={
                        "spacing": "even"
                    },  # a search that is refused is sent again before the next rotation
                )
            )
        )
    )
    assert story.seconds > 75
    assert refused(story) >= 4


def test_oauth2_tokens_expire_and_are_revoked(tmp_path):
    """Tokens live 20 s, are revoked now and then, their server is down for a minute, docpipe stops once."""
    options = {"oauth2_port": 0, "oauth2_secret": SECRET, "oauth2_seconds": 20.0}

    def adapt(config, running):
        return with_oauth2(config, running, client_secret=Secret(SECRET))

    plan = Plan(
        tmp_path,
        patients=PATIENTS,
        options=options,
        adapt=adapt,
        faults=[
            *(f"docex.status revoke times=1 from={second}" for second in (5, 12, 120, 140)),
            "tracker.* revoke times=1 from=160",
            "oauth2.token 503 from=30 until=90",
        ],
        lives=[40.0],
    )
    story = whole(virtual.run(simulate(plan)))
    issued = len(story.running.oauth2.tokens.issued)
    assert refused(story) >= 5
    assert issued <= 2 * story.seconds / 18 + 2 * 5 + 4
    assert story.running.oauth2.refusals == []


def test_signing_keys_are_rotated(tmp_path):
    """The file gets the new key, the server forgets the old one and every token: the new key gets another."""
    old, new = private("RS384"), private("ES384")
    file = tmp_path / "key.json"
    file.write_text(json.dumps(jwk(old, "2025")), "utf-8")

    def adapt(config, running):
        running.oauth2.use_keys(jwks(**{"2025": old}))
        return with_oauth2(
            config, running, client_assertion_key=Secret(file.read_text("utf-8"), file, parse_private_key)
        )

    async def rotate(running):
        await asyncio.sleep(40.0)
        file.write_text(json.dumps(jwk(new, "2026")), "utf-8")
        running.oauth2.use_keys(jwks(**{"2026": new}))
        running.oauth2.tokens.revoke()

    plan = Plan(tmp_path, patients=PATIENTS, options={"oauth2_port": 0}, adapt=adapt, meanwhile=rotate)
    story = whole(virtual.run(simulate(plan)))
    assert len(story.running.oauth2.tokens.issued) == 4
    assert story.running.oauth2.refusals == []


def test_a_client_that_is_refused_ends_runs_with_the_cure(tmp_path):
    """Runs fail with what to check, at the cost of a request now and then."""
    options = {"oauth2_port": 0, "oauth2_secret": SECRET}

    def adapt(config, running):
        return with_oauth2(config, running, client_secret=Secret("wrong"))

    story = virtual.run(simulate(Plan(tmp_path, patients=PATIENTS, options=options, adapt=adapt)))
    for run in story.runs:
        assert run.state is RunState.FAILED
        assert "invalid_client; check tasktracker.client_id" in run.error
    assert len(story.running.oauth2.requests) < 10
    assert isinstance(story.running.oauth2, fakes.OAuth2Server)
