"""Make the lock files anew: `pip install uv && python -m tests.locks`, after a change of pyproject.toml.

Each holds exact versions of every package with the hashes of its files, for every platform and Python that
docpipe runs on. Versions that are locked already stay, unless `--upgrade` is given.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = {
    "requirements.lock": "pyproject.toml --extra cloud --extra dicom --extra fleet --extra heic "
    "--extra mysql --extra oauth2 --extra otel --extra postgres",
    "tests/requirements.lock": "pyproject.toml --extra dev",
    "docpipe/deploy/build.lock": "--group pyproject.toml:build",
}
"""Each lock file and what it is made from: for people and the container, for tests, for building an image."""
COMPILE = (
    "uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate "
    "--no-emit-index-url --no-emit-find-links"
)


def main() -> None:
    """Make each lock file."""
    for lock, sources in LOCKS.items():
        words = [*COMPILE.split(), *sources.split(), "--output-file", lock, *sys.argv[1:]]
        header = ["--custom-compile-command", "python -m tests.locks"]
        subprocess.run([*words, *header], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
