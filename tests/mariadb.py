"""A MariaDB of the tests' own: made in a temporary folder, listening on 127.0.0.1, gone at the end."""

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncmy
import pytest

from tests.ports import free_port
from tests.postgres import given_to, run_as

_SETTINGS = (
    "--innodb-buffer-pool-size=16M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-log-file-size=4M",
)


def program(name: str) -> str:
    """Where a program is; a test that needs it is skipped where it is not, but fails in CI."""
    result = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if result is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to have MariaDB (Debian: mariadb-server)")
        pytest.skip("SKIPPED LOUDLY: MariaDB is not installed (Debian: mariadb-server)")
    return result


@dataclass
class MariaDB:
    """A server with a user `docpipe` who may do everything."""

    folder: Path
    port: int

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator["MariaDB"]:
        """A new server, until the block ends."""
        server = cls(folder, free_port())
        install, serve = program("mariadb-install-db"), program("mariadbd")
        given_to("mysql", folder)
        data = f"--datadir={folder}/data"
        subprocess.run(
            [*run_as("mysql"), install, "--no-defaults", data, "--skip-test-db", *_SETTINGS],
            cwd="/",
            check=True,
            capture_output=True,
        )
        first = folder / "first.sql"
        first.write_text(
            "CREATE USER docpipe@localhost IDENTIFIED BY 's3cret';\nGRANT ALL ON *.* TO docpipe@localhost;\n"
        )
        given_to("mysql", first)
        words = [
            "--no-defaults",
            data,
            f"--port={server.port}",
            "--bind-address=127.0.0.1",
            f"--init-file={first}",
        ]
        process = subprocess.Popen(
            [*run_as("mysql"), serve, *words, f"--socket={folder}/socket", *_SETTINGS],
            cwd="/",
            stderr=subprocess.PIPE,
        )
        try:
            _wait_until_ready(process)
            yield server
        finally:
            process.terminate()
            process.communicate()

    async def connect(self) -> asyncmy.Connection:
        return await asyncmy.connect(
            host="127.0.0.1",
            port=self.port,
            user="docpipe",
            password="s3cret",  # noqa: S106 -- of a test
            autocommit=True,
        )

    def url(self, scheme: str, database: str = "mysql", user: str = "docpipe:s3cret") -> str:
        return f"{scheme}://{user}@127.0.0.1:{self.port}/{database}"


def _wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    """Its log says when it listens."""
    reported = b""
    while b"ready for connections" not in reported:
        assert select.select([process.stderr], [], [], 60)[0], reported.decode()
        more = os.read(process.stderr.fileno(), 65536)
        assert more, reported.decode()
        reported += more
