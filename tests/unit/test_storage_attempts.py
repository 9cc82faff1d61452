"""What obstore raises, as people read it."""

import errno

import pytest
from obstore import exceptions

from docpipe.storage.attempts import failure_of, final_of
from docpipe.storage.objects import _attributes

METADATA = (
    "Generic GCS error: Error performing token request: Error performing GET "
    "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token?audience=x "
    "in 1.462147ms - "
)


def test_missing_credentials_are_named_where_the_machine_refuses_them() -> None:
    """It is not the store that answers 403, and no request has reached it."""
    error = exceptions.GenericError(f"{METADATA}Server returned non-2xx status code: 403 Forbidden: no")
    assert failure_of(error) is None
    final = final_of(error)
    assert isinstance(final, OSError)
    assert final.errno == errno.EACCES
    assert "no credentials are configured" in str(final.strerror)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(final.strerror)


@pytest.mark.parametrize(
    "end", ["HTTP error: error sending request: kind: Connect", "Server returned non-2xx status code: 503"]
)
def test_a_machine_that_does_not_answer_may_do_so_later(end: str) -> None:
    """A cloud's machine gives credentials again; meanwhile the outage says what is missing."""
    failure = failure_of(exceptions.GenericError(METADATA + end))
    assert failure is not None
    assert failure.reason.startswith("no credentials are configured")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(failure.cure)


def test_an_option_that_the_store_lacks_is_named() -> None:
    """MinIO without a key service answers 501 to server-side encryption."""
    final = final_of(exceptions.GenericError("Server returned non-2xx status code: 501 Not Implemented"))
    assert "server_side_encryption" in str(getattr(final, "strerror", ""))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("original.txt", "text/plain"),
        ("original.tif", "image/tiff"),
        ("original.jpg", "image/jpeg"),
        ("original.xml", "application/xml"),
        ("original.rtf", "application/rtf"),
        ("original.bin", "application/octet-stream"),
    ],
)
def test_originals_have_their_media_types(name: str, media_type: str) -> None:
    """Browsers and other programs at the bucket go by them."""
    assert _attributes(f"P1/0/{name}", "0" * 64)["Content-Type"] == media_type
