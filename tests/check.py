"""Lint, format and types, as CI runs them: `python -m tests.check`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKS = {
    "ruff check": "`ruff check --fix` mends what it can",
    "ruff format --check": "`ruff format` mends it",
    "mypy": "see the errors above",
}
"""Each command, and the cure where it finds something."""


def main() -> int:
    """Run every check, also after one has failed; returns 1 if any has."""
    failed = []
    for command, cure in CHECKS.items():
        done = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, check=False)
        if done.returncode:
            failed.append(f"{command}: {cure}")
    sys.stdout.write("".join(f"FAILED {line}\n" for line in failed) or "All checks passed.\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
