"""What a notification holds and how it is signed; the receiver of the documentation verifies it."""

import base64
import json
import re
import time
from pathlib import Path

import pytest

from docpipe.checkpoints import RunEnd
from docpipe.config.parsing import Secret
from docpipe.notify import Signer, event_of

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
END = RunEnd("msg_R_1", "R", "P123", "completed", {"converted": 2}, 1, 1000.0, None, 2000.5)


@pytest.fixture
def verified():
    """The function that the documentation gives to receivers."""
    text = (ROOT / "docpipe" / "docs" / "schedules.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.strip().splitlines()) <= 11
    names = {}
    exec(code, names)  # noqa: S102 -- the documentation's own
    return names["verified"]


def test_the_documented_receiver_verifies(verified) -> None:
    """What docpipe signs is accepted, what is changed or old is not; one good signature is enough."""
    body = event_of(END, None)
    headers = Signer(Secret(SECRET), time.time).headers(END.id, body)
    assert verified(SECRET, headers, body)
    assert not verified(SECRET, headers, body.replace(b"2", b"3"))
    assert not verified("whsec_" + base64.b64encode(b"x" * 24).decode(), headers, body)
    assert not verified(SECRET, {**headers, "webhook-id": "msg_S_0"}, body)
    both = f"v1,AAAA {headers['webhook-signature']}"
    assert verified(SECRET, {**headers, "webhook-signature": both}, body)
    old = Signer(Secret(SECRET), lambda: time.time() - 3600.0).headers(END.id, body)
    assert not verified(SECRET, old, body)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of Standard Webhooks' own tests."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signer = Signer(secret, lambda: 1614265330.0)
    headers = signer.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


def test_the_body() -> None:
    """Times with their zone, each outcome counted, nothing of the patient unless hashed."""
    event = json.loads(event_of(END, None))
    assert event["type"] == "run.ended"
    assert event["data"]["finished_at"] == event["timestamp"] == "1970-01-01T00:33:20.500000Z"
    assert event["data"]["started_at"] is None
    assert event["data"]["documents"]["converted"] == 2
    assert event["data"]["documents"]["failed"] == 0
    assert "P123" not in json.dumps(event)
    assert json.loads(event_of(END, lambda _: "abc"))["data"]["patient"] == "abc"


def test_a_secret_is_replaced_in_its_file(tmp_path: Path) -> None:
    """Read again a minute later at most; while the file is empty, the old one stays."""
    now = 0.0
    file = tmp_path / "secret"
    file.write_text(SECRET, "utf-8")
    signer = Signer(Secret(SECRET, file), lambda: now)
    first = signer.headers("m", b"")["webhook-signature"]
    file.write_text("whsec_" + base64.b64encode(b"n" * 24).decode(), "utf-8")
    other = Signer(Secret(file.read_text("utf-8")), lambda: 61.0).headers("m", b"")["webhook-signature"]
    now = 61.0
    assert signer.headers("m", b"")["webhook-signature"] == other != first
    file.write_text("", "utf-8")
    now = 200.0
    assert signer.headers("m", b"")["webhook-signature"]
