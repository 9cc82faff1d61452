"""No signature of an address gets into HAR files or logs, wherever the address stands."""

import json
import logging

import aiohttp
import pytest
import structlog
from aiohttp import web

from docpipe.http.har import Har
from docpipe.runtime import logs
from docpipe.util.redact import without_secrets

CANARY = "CANARY4711"
SIGNED = f"https://a.example/x.zip?expires=17&signature={CANARY}"
LONG = "8f3aK" * 8
ONE_TIME = (
    *("code", "state", "otp", "totp", "SAMLResponse", "SAMLRequest", "SAMLart", "RelayState", "ticket"),
    *("code_verifier", "code_challenge", "device_code", "user_code", "login-otp", "mfaCode", "nonce", "pin"),
)
"""Parameters of sign-ins."""
SECRET_HEADERS = (
    *("X-CSRF", "X-XSRF", "X-CSRFToken", "X-Hub-Signature", "X-Hub-Signature-256", "Client-Cert"),
    *("X-Client-Cert", "X-Forwarded-Client-Cert", "X-SSL-Cert", "X-SSL-Client-Cert", "X-SSL-Client-S-DN"),
    *("SSL_CLIENT_CERT", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert", "Client-Cert-Chain", "X-OTP"),
    *("X-MFA-Code", "X-One-Time-Code", "X-Nonce"),
)


@pytest.mark.parametrize(
    "text",
    [
        SIGNED,
        f"<{SIGNED}>; rel=next, <{SIGNED}>; rel=last",
        f"See {SIGNED}, or a?sig={CANARY}.",
        f"/relative?a=b&X-Amz-Security-Token={CANARY}&c=d",
        f'<a href="x?a=1&amp;Signature={CANARY}">',
        f"?%73ig={CANARY}",
        f"x;token={CANARY}",
        f"https://me:{CANARY}@a.example/",
        f"https://a/?to=https%3A%2F%2Fb%2F%3Fsig%3D{CANARY}",
        f"https://a/?to=%252Fb%253Fto%253D%25252Fc%25253Fsig%25253D{CANARY}",
        f"0; url={SIGNED}",
        f"/a?to=/b?sig={CANARY}",
        f"https://a.example/back#access_token={CANARY}&x=1",
        f'{{"u": "https://a.example/x?a=1\\u0026sig={CANARY}"}}',
        f'{{"u": "https://a.example/x?sig\\u003d{CANARY}"}}',
        f"/redirect/https%3A%2F%2Fb%2Fx%3Fa%3D1%26sig%3D{CANARY}",
        f"/redirect/https%253A%252F%252Fb%252Fx%253Fsig%253D{CANARY}",
        f'<https://a.example/>; token="{CANARY}"',
        f"invalid: Bearer {CANARY}.abc",
        f"Authorization: Basic {CANARY}==",
        f"bad eyJhbGciOi.eyJzdWIiOiJ.{CANARY}",
        f"https:\\/\\/me:{CANARY}@a.example\\/",
        f"to https%3A%2F%2Fme%3A{CANARY}%40a.example%2F",
        f"//me:{CANARY}@a.example/",
        f"{{'signature': '{CANARY}'}}",
        f'{{"access_token": "{CANARY}"}}',
        f'{{\\"access_token\\":\\"{CANARY}\\"}}',
        f"a?sig=abc'{CANARY}",
        *(f"a?{name}={CANARY}" for name in ("pwd", "passwd", "sessionid", "PassPhrase")),
        f"signature={CANARY}&expires=1",
        f"a?x=1\nsig={CANARY}",
        f"<token>{CANARY}</token>",
        f'<wsse:Password Type="text">{CANARY}</wsse:Password>',
        f"<SignatureValue>{CANARY}</SignatureValue>",
        f'<input type="hidden" name="csrf_token" value="{CANARY}">',
        f'Content-Disposition: form-data; name="client_secret"\r\n\r\n{CANARY}\r\n--x--',
        f'form-data; name=\\"token\\"\\r\\n\\r\\n{CANARY}\\r\\n',
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\\n{CANARY}",
        *(f"https://a.example/back?x=1&{name}={CANARY}" for name in ONE_TIME),
        *(f"https://a.example/back?to=https%3A%2F%2Fb%2F%3F{name}%3D{CANARY}" for name in ONE_TIME),
        *(f'<a href="/back?a=1&amp;{name}={CANARY}">' for name in ONE_TIME),
        *(f'{{"u": "https://a.example/?a=1\\u0026{name}\\u003d{CANARY}"}}' for name in ONE_TIME),
        f"code={CANARY}&grant_type=authorization_code",
        f"state={CANARY}&a=b",
        f"https://a.example/back#code={CANARY}",
        f"?c%6Fde={CANARY}",
        f'<input type="hidden" name="SAMLResponse" value="{CANARY}">',
        f'{{"otp": "{CANARY}"}}',
        f'{{"device_code": "{CANARY}", "userCode": "{CANARY}"}}',
        f'"X-CSRF": "{CANARY}"',
    ],
)
def test_secrets_go_and_the_rest_stays(text):
    """Whatever is around the address, the text stays as it was but for the secret."""
    cleaned = without_secrets(text)
    assert CANARY not in cleaned
    assert without_secrets(cleaned) == cleaned
    assert cleaned != ""


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (SIGNED, "https://a.example/x.zip?expires=17&signature=***"),
        (f"a?x={LONG}&y=1", "a?x=***&y=1"),
        ("a?id=2c9f7f26-0b8c-4a3e-9f63-0d5b8f0f3a11", None),
        (
            "a?patient=P123&_count=50&type=http%3A%2F%2Floinc.org%7C34133-9&x=2026-01-01T00%3A00%3A00%2B02%3A00",
            None,
        ),
        ("Wrong token: send the one of the state folder. Basic metabolic panel, bearer of news.", None),
        ('{"event": "stopped", "signal": 15, "idempotency-key": "a", "token_type": "Bearer"}', None),
        ("design=x author: 'A' https://a.example//b%2Fc%3Fd", None),
        ("Observation?code=http%3A%2F%2Floinc.org%7C34133-9&state=failed,completed_with_errors", None),
        ("a?footprint=1&opinion=2&zipcode=12345&country_code=de&address-state=NY", None),
        ("exit code=1, status code=404; state=ready", None),
        ("E = mc2; who = me@a.example", None),
        ("https://a.example/@me/x", None),
        ("", None),
    ],
)
def test_what_is_no_secret_stays(text, cleaned):
    """A trace or a log remains of use."""
    assert without_secrets(text) == (text if cleaned is None else cleaned)


def test_it_takes_texts_of_any_shape():
    """However an address is nested in itself, there is an answer."""
    for text in (
        "?a=" * 100_000,
        "?a" * 100_000,
        "?to=" + "%25" * 50_000 + "3Dx",
        "://@" * 50_000,
        *LONG_ONES,
    ):
        assert len(without_secrets(text)) <= len(text)


LONG_ONES = (
    *(
        part * 30_000
        for part in ("token", "token=", "eyJ-", "eyJaaaaa.", "bearer ", "%3Fa%3D", "%3A%2F%2Fa", "//a:")
    ),
    *(
        "%" + "25" * 50_000,
        "sig" + " " * 50_000,
        "pwd" + "\\" * 50_000,
        "a?sig=" + "'" * 50_000,
        "%3F" * 50_000,
        *(part * 30_000 for part in ("code=", "code=a", "state=&", "otp", "code", "aB1")),
    ),
)


@pytest.fixture
async def exchange(tmp_path):
    """One exchange with a service that sends signed addresses everywhere; its entry in the HAR file."""

    async def answer(_request):
        body = {"archive": {"url": SIGNED}, "list": [[{"text": f"see {SIGNED}"}]], SIGNED: f"a?sig={CANARY}"}
        names = ("Content-Location", "Link", "Refresh", "Set-Cookie", "X-Whatever")
        headers = dict.fromkeys(names, f"<{SIGNED}>; rel=next") | {"Location": SIGNED}
        headers |= dict.fromkeys(SECRET_HEADERS, CANARY)
        body["back"] = {name: [{"deep": f"https://a.example/?x=1&{name}={CANARY}"}] for name in ONE_TIME}
        return web.json_response(body, status=307, headers=headers, reason=f"Go to {SIGNED}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    path = tmp_path / "t.har"
    with Har(path) as har:
        async with aiohttp.ClientSession(trace_configs=[har.trace()]) as session:
            url = f"http://127.0.0.1:{port}/x?a=1&sig={CANARY}"
            sent = {
                "callback": SIGNED,
                "deep": [[SIGNED]],
                "parameter": [
                    {"name": "access_token", "valueString": CANARY},
                    {"name": "a", "valueCode": "b"},
                ],
                "exchange": {"grant_type": "authorization_code", "code": CANARY, "state": CANARY},
                "coding": {"code": "34133-9", "state": "NY"},
                "pairs": [{"key": "client_secret", "value": CANARY}, ["password", CANARY], ["a", "b"]],
            }

            async def reading(request, handler):
                response = await handler(request)
                har.body(response, await response.read())
                return response

            options = {
                "allow_redirects": False,
                "headers": dict.fromkeys(SECRET_HEADERS, CANARY)
                | {"Referer": f"{SIGNED}&code={CANARY}&state={CANARY}", "X-From": f"/back?otp={CANARY}"}
                | {"Content-Type": f"application/json; x={SIGNED}"},
                "middlewares": (reading,),
            }
            async with session.post(url, json=sent, **options):
                pass
    await runner.cleanup()
    return path.read_text()


async def test_har_files_bear_no_signature(exchange):
    """Neither in the request nor in the answer, in headers of any name and bodies of any depth."""
    assert CANARY not in exchange
    entry = json.loads(exchange)["log"]["entries"][0]
    assert entry["response"]["redirectURL"] == "https://a.example/x.zip?expires=17&signature=***"
    body = json.loads(entry["response"]["content"]["text"])
    assert body["archive"]["url"] == "https://a.example/x.zip?expires=17&signature=***"
    assert body["list"] == [[{"text": "see https://a.example/x.zip?expires=17&signature=***"}]]
    assert {"name": "sig", "value": "***"} in entry["request"]["queryString"]
    assert {"name": "a", "value": "1"} in entry["request"]["queryString"]
    sent = json.loads(entry["request"]["postData"]["text"])
    assert sent["parameter"] == [
        {"name": "access_token", "valueString": "***"},
        {"name": "a", "valueCode": "b"},
    ]
    assert sent["exchange"] == {"grant_type": "authorization_code", "code": "***", "state": "***"}
    assert sent["coding"] == {"code": "34133-9", "state": "NY"}
    assert sent["pairs"][1:] == [["password", "***"], ["a", "b"]]


@pytest.mark.parametrize("debug", [False, True])
def test_logs_bear_no_signature(debug, capsys):
    """Neither docpipe's own lines, with tracebacks or without, nor those of libraries."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.configure(debug=debug)
        try:
            int(SIGNED)
        except ValueError:
            structlog.get_logger().exception("broken", url=SIGNED, deep={"list": [SIGNED]})
        logging.getLogger("aiohttp").warning("cannot reach %s", SIGNED)
        with logs.written_by(print):
            structlog.get_logger().warning("elsewhere", url=SIGNED)
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    printed = "".join(capsys.readouterr())
    assert CANARY not in printed
    assert "signature=***" in printed
    assert "aiohttp" in printed


def test_libraries_write_lines_like_docpipe_s_own(capsys):
    """What asyncio and others warn of is a line of JSON, with its first words and without its details."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.configure()
        try:
            int("Ann Example")
        except ValueError as error:
            info = (type(error), error, error.__traceback__)
        logging.getLogger("asyncio").error("Task was lost\ntask: <Ann Example>", exc_info=info)
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["library"], line["level"]) == ("library_warned", "asyncio", "error")
    assert line["words"] == "Task was lost"
    assert line["error"].startswith("ValueError at test_redact.py:")
    assert "Ann" not in str(line)
