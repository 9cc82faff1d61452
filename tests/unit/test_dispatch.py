"""Who carries out a command: a service, a fleet, or this process."""

import argparse
from dataclasses import replace

import pytest

from docpipe.cli import dispatch, fleet, remote
from docpipe.config.config import Config


@pytest.mark.parametrize(
    ("service", "temporal", "who"),
    [
        (None, "", "here"),
        (None, "temporal.example:7233", "docpipe.cli.fleet"),
        ("http://docpipe.example", "temporal.example:7233", "docpipe.cli.remote"),
    ],
)
def test_a_service_that_is_named_comes_first(monkeypatch, service, temporal, who):
    """Then the fleet that is configured, then this process."""
    config = Config()
    config = replace(config, fleet=replace(config.fleet, temporal=temporal))
    monkeypatch.setattr(dispatch, "load", lambda *_, **__: config)
    done = []
    monkeypatch.setattr(remote, "status", lambda _: done.append("docpipe.cli.remote") or 0)
    monkeypatch.setattr(fleet, "status", lambda *_: done.append("docpipe.cli.fleet") or 0)
    args = argparse.Namespace(service=service, config=None)
    assert dispatch.dispatch(args, "status", lambda *_: done.append("here") or 0) == 0
    assert done == [who]


def test_each_command_is_there_where_it_is_sent():
    """Functions are found by their names, which no type checker compares."""
    assert all(callable(getattr(remote, name)) for name in ("cancel", "retry", "status"))
    assert all(
        callable(getattr(fleet, name)) for name in ("cancel", "logs", "report", "retry", "run", "status")
    )
