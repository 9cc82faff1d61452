"""One process pays for nothing that only a fleet needs."""

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
import docpipe.app, docpipe.batch, docpipe.check, docpipe.cli as cli
import docpipe.web.onemachine, docpipe.web.server, docpipe.engine, docpipe.wiring
for place in cli._COMMANDS.values():
    importlib.import_module(place.partition(":")[0])
for package in (docpipe.engine, docpipe.wiring):
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
kept = ("redis", "temporalio", "cryptography", "docpipe.fleet", "docpipe.gates.shared", "docpipe.cli.fleet")
print([name for name in sys.modules if name in kept or name.startswith(tuple(f"{one}." for one in kept))])
"""


def test_a_fleet_is_not_imported_without_one():
    """Neither its servers' clients nor docpipe's own part: by no command, service or run."""
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
