"""The page's files as the service sends them: with their types, under a strict policy."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from docpipe import web
from docpipe.web.page import POLICY
from tests.virtual import wall_clock
from tests.web_support import TOKEN, Served, serving

pytestmark = pytest.mark.virtual

STATIC = Path(web.__file__).parent / "static"
FOLDER = re.compile(rb"/static/([0-9a-f]{16})/")
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A service without a token."""
    async with serving(tmp_path, wall_clock) as running:
        yield running


async def test_every_file_of_the_page_is_sent(served: Served) -> None:
    """By its name, whole, with its type; the browser keeps it, and asks each time whether it may."""
    files = sorted(STATIC.iterdir())
    assert {"index.html", "login.html"} <= {file.name for file in files}
    for file in files:
        answer = await served.get(f"/static/{file.name}")
        assert answer.status == 200
        assert plain(answer.body) == file.read_bytes()
        assert answer.headers["Content-Type"].partition(";")[0] == TYPES.get(file.suffix, "image/png")
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Cache-Control"] == "no-cache"
        tag = answer.headers["ETag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            again = await served.get(f"/static/{file.name}", headers={"If-None-Match": known})
            assert (again.status, again.body) == (304, b"")
        assert (await served.get(f"/static/{file.name}", headers={"If-None-Match": '"x"'})).status == 200


def plain(page: bytes) -> bytes:
    """A page as its file is: without the folder that its other files are named by."""
    return FOLDER.sub(b"/static/", page)


async def test_browsers_keep_files_by_version(served: Served) -> None:
    """A page names its files below one folder, where they stay for good; others are asked for each time."""
    page = (await served.get("/")).body
    (version,) = {match.decode() for match in FOLDER.findall(page)}
    assert plain(page).count(b"/static/") == page.count(f"/static/{version}/".encode())
    for name in ("app.js", "app.css", "run.js"):
        kept = await served.get(f"/static/{version}/{name}")
        assert (kept.status, kept.body) == (200, (STATIC / name).read_bytes())
        assert "immutable" in kept.headers["Cache-Control"]
        older = await served.get(f"/static/{'0' * 16}/{name}")
        assert (older.body, older.headers["Cache-Control"]) == (kept.body, "no-cache")
    for strange in (f"/static/{version}/nothing.js", f"/static/{version}/..%2fapp.js"):
        assert (await served.get(strange)).status == 404


async def test_the_page_is_at_the_top(served: Served) -> None:
    """With nothing from afar allowed; where there is no token, the form leads there."""
    answer = await served.get("/")
    assert (answer.status, plain(answer.body)) == (200, (STATIC / "index.html").read_bytes())
    policy = answer.headers["Content-Security-Policy"]
    assert policy == POLICY
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    form = await served.get("/login")
    assert (form.status, form.headers["Location"]) == (303, "/")


async def test_who_is_signed_in_can_sign_out(tmp_path: Path) -> None:
    """The page shows the button to a session alone, and a browser takes neither page for the other."""
    button, hidden = b'id="sign-out" class="quiet">', b'id="sign-out" class="quiet" hidden>'
    async with serving(tmp_path, wall_clock, token=TOKEN) as served:
        bare = await served.get("/")
        assert (bare.body.count(hidden), bare.body.count(button)) == (1, 0)
        served.headers.clear()
        cookie = (await served.post("/login", data={"token": TOKEN})).headers["Set-Cookie"].split(";")[0]
        page = await served.get("/", headers={"Cookie": cookie, "If-None-Match": bare.headers["ETag"]})
        assert (page.status, page.body.count(hidden), page.body.count(button)) == (200, 0, 1)
        known = {"Cookie": cookie, "If-None-Match": page.headers["ETag"]}
        assert (await served.get("/", headers=known)).status == 304


async def test_the_form_is_there_for_strangers(tmp_path: Path) -> None:
    """It, and the files that it needs, and then the page."""
    async with serving(tmp_path, wall_clock, token=TOKEN) as served:
        served.headers.clear()
        form = (await served.get("/login")).body
        assert plain(form) == (STATIC / "login.html").read_bytes()
        for address in re.findall(rb'(?:src|href)="([^"]+)"', form):
            assert (await served.get(address.decode())).status == 200
        cookie = (await served.post("/login", data={"token": f" {TOKEN} "})).headers["Set-Cookie"]
        answer = await served.get("/", headers={"Cookie": cookie.partition(";")[0]})
        assert answer.status == 200
        assert b'src="/static/app.js"' in plain(answer.body)
