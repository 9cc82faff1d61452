"""Servers that end TLS with an alert, as most do that are shown no certificate; asyncio's own sends none."""

import asyncio
import contextlib
import random
import socket
import ssl
import time

import pytest
import trustme

from docpipe.config.config import Config, Docex, Tasktracker
from docpipe.gates import WANTS_CERTIFICATE, Failure, Gate, Quota, Service
from docpipe.http import Http
from docpipe.model import Ticket
from docpipe.wiring.credentials import open_transports


def serve(listener, context):
    """Shake hands until the listener is closed; a client without a certificate gets the alert."""
    with contextlib.suppress(OSError):
        while True:
            raw, _ = listener.accept()
            raw.settimeout(5.0)
            tls = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            with contextlib.suppress(ssl.SSLError):
                tls.do_handshake()
            with socket.socket(fileno=tls.detach()) as left:  # unread bytes would reset the alert
                left.settimeout(5.0)
                left.shutdown(socket.SHUT_WR)
                while left.recv(65536):
                    pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_is_asked_for(tmp_path, version):
    """Whichever version of TLS says so: docpipe tells that a certificate of its own is missing."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = context.maximum_version = version
    listener = socket.create_server(("127.0.0.1", 0))
    server = asyncio.create_task(asyncio.to_thread(serve, listener, context))
    url = f"https://localhost:{listener.getsockname()[1]}"
    config = Config(
        docex=Docex(base_url=url, ca_file="ca.pem"),
        tasktracker=Tasktracker(base_url="https://tracker.example"),
        source=tmp_path / "config.toml",
    )
    service = Service("exchange", clock=time.time, rng=random.Random(0))
    try:
        async with (
            Quota.local("exchange.ask", None, clock=time.time) as quota,
            Http(transports=open_transports(config)) as http,
        ):
            failure = await http.once(url, gate=Gate(service, quota), ticket=Ticket())
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        await server
    assert isinstance(failure, Failure)
    assert failure == WANTS_CERTIFICATE
