"""A PgBouncer of the tests' own before their PostgreSQL: in any mode, with as small a pool as may be."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.ports import free_port
from tests.postgres import Postgres, given_to, run_as

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=docpipe password=s3cret
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
"""


def program() -> str:
    """Where PgBouncer is; tests are skipped where it is not, but fail in CI."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
    if result := shutil.which("pgbouncer", path=path):
        return result
    if os.environ.get("CI"):
        pytest.fail("CI has to have PgBouncer (Debian: pgbouncer)")
    pytest.skip("SKIPPED LOUDLY: PgBouncer is not installed (Debian: pgbouncer)")


@contextlib.contextmanager
def pooled(postgres: Postgres, url: str, *, mode: str, size: int) -> Iterator[str]:
    """The URL of the same database through a PgBouncer with so many connections to the server."""
    port, settings = free_port(), postgres.folder.parent / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(server=postgres.port, port=port, mode=mode, size=size))
    given_to("postgres", settings)
    command = [*run_as("postgres"), program(), "-q", str(settings)]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as bouncer:
        try:
            _answers(port, bouncer)
            yield url.replace(f":{postgres.port}/", f":{port}/")
        finally:
            bouncer.terminate()


def _answers(port: int, bouncer: "subprocess.Popen[bytes]") -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert bouncer.poll() is None, bouncer.stderr and bouncer.stderr.read()
            time.sleep(0.05)
        else:
            return
