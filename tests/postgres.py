"""A PostgreSQL of the tests' own: made in a temporary folder, listening on 127.0.0.1, gone at the end."""

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.ports import free_port

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "30",
    "unix_socket_directories": "",
}


def programs() -> Path:
    """Where PostgreSQL's programs are; tests are skipped where they are not, but fail in CI."""
    if result := shutil.which("pg_ctl"):
        return Path(result).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    if os.environ.get("CI"):
        pytest.fail("CI has to have PostgreSQL (Debian: postgresql)")
    pytest.skip("SKIPPED LOUDLY: PostgreSQL is not installed (Debian: postgresql)")


def given_to(user: str, *paths: Path) -> None:
    """Give paths to the user that a server runs as where the tests run as root."""
    if os.geteuid() == 0:
        known = pwd.getpwnam(user)
        for path in paths:
            os.chown(path, known.pw_uid, known.pw_gid)


def run_as(user: str) -> list[str]:
    """What stands before a command so that it runs as that user where the tests run as root."""
    drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return drop if os.geteuid() == 0 else []


@dataclass
class Postgres:
    """A cluster: `start` and `stop` as often as a test wants."""

    folder: Path
    programs: Path
    port: int

    @classmethod
    def made(cls, folder: Path) -> "Postgres":
        """A new cluster, running. PostgreSQL refuses to be root: then it is the user `postgres`.

        pytest's own temporary folders would not do: each start of a pytest closes them to other users.
        """
        cluster = cls(folder / "cluster", programs(), free_port())
        password = folder / "password"
        password.write_text("s3cret\n")
        given_to("postgres", folder, password)
        cluster._do("initdb", "-U", "docpipe", "--no-sync", "-A", "scram-sha-256", f"--pwfile={password}")
        cluster._certified()
        with (cluster.folder / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
            file.write(f"port = {cluster.port}\nssl = on\nssl_cert_file = '{cluster.certificate}'\n")
        cluster.start()
        return cluster

    @property
    def certificate(self) -> Path:
        """The certificate of the server, for 127.0.0.1; it is its own authority."""
        return self.folder.parent / "server.crt"

    def _certified(self) -> None:
        made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=docpipe tests"]
        names = ["-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", str(self.folder / "server.key"), "-out", str(self.certificate)]
        subprocess.run([*run_as("postgres"), *made, *names, *files], cwd="/", check=True, capture_output=True)

    def _do(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*run_as("postgres"), str(self.programs / program), "-D", str(self.folder), *words],
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._do("pg_ctl", "start", "-w", "-s", "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it at once, throwing everybody out."""
        self._do("pg_ctl", "stop", "-w", "-s", "-m", "fast")

    @contextlib.asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """Stopped for the time of the block, and running again after it, whatever happens there."""
        await asyncio.to_thread(self.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(self.start)

    def url(self, database: str = "postgres", user: str = "docpipe") -> str:
        return f"postgresql://{user}:s3cret@127.0.0.1:{self.port}/{database}"

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        return await asyncpg.connect(self.url(database))

    async def fresh(self, name: str, *statements: str) -> str:
        """A new database with these statements done; returns its URL."""
        connection = await self.connect()
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()
        connection = await self.connect(name)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()
        return self.url(name)
