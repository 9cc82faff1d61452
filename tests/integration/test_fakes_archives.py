"""The downloads of the fakes: redirect, ranges, links that expire, and no token."""

import hashlib
import io
import zipfile

import pytest

from tests.fakes_support import talking

TOKEN = "".join("sesame")  # no secret, and ruff cannot tell


async def link_of(talk):
    """The address of the archive at its own origin, its size and its digest."""
    archive = (await talk.ready())["archive"]
    redirected = await talk.ask("GET", archive["url"])
    assert redirected.status == 307
    return redirected.headers["Location"], archive["size"], archive["sha256"]


async def test_redirect_to_another_origin():
    """The exchange sends on to the archive's origin, where the bytes are as announced."""
    async with talking(mix="full") as talk:
        link, size, sha256 = await link_of(talk)
        assert link.startswith(talk.running.archive_url + "/")
        whole = await talk.ask("GET", link)
        assert whole.status == 200
        assert whole.headers["Content-Type"] == "application/zip"
        assert int(whole.headers["Content-Length"]) == len(whole.body) == size
        assert whole.headers["Accept-Ranges"] == "bytes"
        assert hashlib.sha256(whole.body).hexdigest() == sha256
        assert zipfile.ZipFile(io.BytesIO(whole.body)).testzip() is None
        head = await talk.ask("HEAD", link)
        assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(size))
        assert [seen.operation for seen in talk.running.archive.requests] == ["docex.archive"] * 2


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-", 0, None), ("bytes=5-9", 5, 10), ("bytes=-7", -7, None), ("bytes=5-999999999", 5, None)],
)
async def test_ranges(asked, start, end):
    """A range is answered with 206 and exactly the bytes asked for."""
    async with talking() as talk:
        link, size, _ = await link_of(talk)
        whole = await talk.ask("GET", link)
        part = await talk.ask("GET", link, headers={"Range": asked, "If-Range": whole.headers["ETag"]})
        assert part.status == 206
        assert part.body == whole.body[start:end]
        first = start % size
        last = first + len(part.body) - 1
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert part.headers["ETag"] == whole.headers["ETag"]


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=0-1,3-4", "items=0-1", "bytes=-", "bytes=a-b"])
async def test_ranges_that_are_ignored(asked):
    """What is no single range is answered with the whole body."""
    async with talking() as talk:
        link, size, _ = await link_of(talk)
        whole = await talk.ask("GET", link, headers={"Range": asked})
        assert (whole.status, len(whole.body)) == (200, size)


async def test_range_of_other_bytes():
    """If-Range with another tag gives the whole body; a range past the end, 416; ranges can be turned off."""
    async with talking() as talk:
        link, size, _ = await link_of(talk)
        other = await talk.ask("GET", link, headers={"Range": "bytes=5-", "If-Range": '"other"'})
        assert (other.status, len(other.body)) == (200, size)
        past = await talk.ask("GET", link, headers={"Range": f"bytes={size}-"})
        assert (past.status, past.headers["Content-Range"]) == (416, f"bytes */{size}")
    async with talking(ranges=False) as talk:
        link, size, _ = await link_of(talk)
        whole = await talk.ask("GET", link, headers={"Range": "bytes=5-"})
        assert (whole.status, len(whole.body), whole.headers["Accept-Ranges"]) == (200, size, "none")


@pytest.mark.parametrize("status", [403, 410])
async def test_links_expire(status):
    """A link is good for a time, at both origins; asking the status again gives a fresh one."""
    async with talking(link_seconds=60.0, expired_link=status) as talk:
        ready = await talk.ready()
        link, _, _ = await link_of(talk)
        talk.running.skip(59)
        assert (await talk.ask("GET", link)).status == 200
        talk.running.skip(2)
        assert (await talk.ask("GET", link)).status == status
        assert (await talk.ask("GET", ready["archive"]["url"])).status == status
        fresh, _, _ = await link_of(talk)
        assert (await talk.ask("GET", fresh)).status == 200


async def test_links_cannot_be_made_up():
    """A changed link is refused, and so is the link of a search that is gone."""
    async with talking() as talk:
        link, _, _ = await link_of(talk)
        assert (await talk.ask("GET", link.replace("expires=", "expires=9"))).status == 403
        assert (await talk.ask("GET", link.partition("?")[0])).status == 403
        (search,) = talk.running.docex.searches
        talk.running.docex.purge_search(search)
        assert (await talk.ask("GET", link)).status == 410


async def test_token_stays_with_the_exchange():
    """The exchange wants its token for the link; the archive's origin refuses and remembers one."""
    async with talking(docex_token=TOKEN) as talk:
        token = {"Authorization": f"Bearer {TOKEN}"}
        result = (await talk.search(token=token["Authorization"])).json["id"]
        talk.running.skip(10)
        status = await talk.ask("GET", f"{talk.running.docex_url}/v1/searches/{result}", headers=token)
        url = status.json["archive"]["url"]
        assert (await talk.ask("GET", url)).status == 401
        link = (await talk.ask("GET", url, headers=token)).headers["Location"]
        assert (await talk.ask("GET", link)).status == 200
        assert talk.running.archive.tokens_received == 0
        assert (await talk.ask("GET", link, headers=token)).status == 400
        assert talk.running.archive.tokens_received == 1


async def test_straight_links():
    """Without a redirect the status names the archive's own origin."""
    async with talking(redirect=None) as talk:
        url = (await talk.ready())["archive"]["url"]
        assert url.startswith(talk.running.archive_url + "/")
        assert (await talk.ask("GET", url)).status == 200


async def test_samples_go_through(samples):
    """A folder of real documents is in the archive, byte for byte."""
    async with talking(documents=samples) as talk:
        link, size, sha256 = await link_of(talk)
        body = (await talk.ask("GET", link)).body
        assert (len(body), hashlib.sha256(body).hexdigest()) == (size, sha256)
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            files = {
                path.relative_to(samples).as_posix(): path for path in samples.rglob("*") if path.is_file()
            }
            assert set(archive.namelist()) == files.keys()
            assert all(archive.read(name) == path.read_bytes() for name, path in files.items())
