"""One process pays for nothing that only a fleet needs."""

import subprocess
import sys


def test_a_fleet_is_not_imported_without_one():
    """Neither its servers' clients nor docpipe's own part, by any command or by what a run is made of."""
    code = (
        "import importlib, sys, docpipe.app, docpipe.cli as cli\n"
        "for place in cli._COMMANDS.values(): importlib.import_module(place.partition(':')[0])\n"
        "print([name for name in ('redis', 'temporalio', 'docpipe.fleet.flow') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
