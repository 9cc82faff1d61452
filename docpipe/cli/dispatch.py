"""Who carries out a command: a service, a fleet, or this process."""

import argparse
import importlib
from collections.abc import Callable

from docpipe.config.config import Config
from docpipe.config.loading import load


def dispatch(
    args: argparse.Namespace,
    name: str,
    here: Callable[[argparse.Namespace, Config], int],
    *,
    services: bool = True,
    state: bool = False,
) -> int:
    """Carry out a command where it belongs; returns the exit status.

    Whoever needs neither an HTTP client nor Temporal does not load them.

    Args:
        args: the command line; with `service`, the service there carries it out.
        name: of the command's function in `remote` and `fleet`.
        here: carries it out in this process, where no `fleet.temporal` is set.
        services: as of `load`.
        state: as of `load`.
    """
    if getattr(args, "service", None) is not None:
        remote: Callable[[argparse.Namespace], int] = _function("remote", name)
        return remote(args)
    config = load(args.config, services=services, state=state)
    if config.fleet.temporal:
        fleet: Callable[[argparse.Namespace, Config], int] = _function("fleet", name)
        return fleet(args, config)
    return here(args, config)


def _function(module: str, name: str) -> Callable[..., int]:
    function: Callable[..., int] = getattr(importlib.import_module(f"docpipe.cli.{module}"), name)
    return function
