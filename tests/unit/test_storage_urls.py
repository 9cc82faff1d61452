"""`storage.url` and `storage.options`: what is taken, what is refused, and what is never printed."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.config.config import Config
from docpipe.config.config import Storage as Section
from docpipe.config.loading import load
from docpipe.errors import ConfigError
from docpipe.storage import Bucket, folder_or_bucket, hashed_names
from docpipe.storage.stores import credentials_from, open_store
from docpipe.wiring.backends import open_storage, storage_folder
from tests.unit.test_config import GOOD, written

HERE = Path("/etc/docpipe")
LOOPBACK = {"endpoint": "http://127.0.0.1:9", "allow_http": True}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("data/storage", HERE / "data/storage"),
        ("/srv/a b", Path("/srv/a b")),
        ("file:///srv/storage", Path("/srv/storage")),
        ("s3://records", Bucket("s3", "records", "")),
        ("s3://records/a/b/", Bucket("s3", "records", "a/b")),
        ("gs://records/a", Bucket("gs", "records", "a")),
        ("az://container/a", Bucket("az", "container", "a")),
        ("memory://", Bucket("memory", "", "")),
    ],
)
def test_what_is_taken(url: str, place: Path | Bucket) -> None:
    """Folders and buckets."""
    assert folder_or_bucket(url, {}, HERE) == place


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("ftp://x", {}, r"`ftp://` cannot be used; give a folder, or one of .*s3://"),
        ("file://host/x", {}, r"`file://` cannot be used"),
        ("s3://", {}, r"has to be s3://, the bucket's name"),
        ("az://", {}, r"has to be az://, the container's name"),
        ("s3://key:secret@bucket", {}, r"has to be s3://"),
        ("s3://bucket/a/../b", {}, r"has to be s3://"),
        ("s3://bucket/a//b", {}, r"has to be s3://"),
        ("s3://bucket?endpoint=x", {}, r"everything else goes into storage\.options"),
        ("data", {"region": "x"}, r"a folder has no options"),
        (
            "s3://bucket",
            {"regoin": "x"},
            r"storage\.options\.regoin: there is no such option; s3:// has endpoint",
        ),
        ("memory://", {"region": "x"}, r"memory:// has none"),
        (
            "s3://bucket",
            {"secret_access_key": "hunter2"},
            r"secrets do not belong here; use AWS_ACCESS_KEY_ID",
        ),
        ("gs://bucket", {"service_account_key": "hunter2"}, r"secrets .*GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://bucket", {"account_key": "hunter2"}, r"secrets .*AZURE_STORAGE_ACCOUNT_KEY"),
        ("s3://bucket", {"endpoint": "https://a:hunter2@x"}, r"storage\.options\.endpoint: the given value"),
        ("s3://bucket", {"timeout": "soon"}, r"storage\.options\.timeout.*30s"),
        ("s3://bucket", {"checksum_algorithm": "MD5"}, r"SHA256"),
        ("s3://bucket", {"endpoint": "http://s3.example", "allow_http": True}, r"TLS only"),
        ("s3://bucket", {"endpoint": "http://127.0.0.1:9"}, r"set storage\.options\.allow_http = true"),
        (
            "gs://bucket",
            {"base_url": "http://10.0.0.1", "allow_http": True},
            r"storage\.options\.base_url.*TLS",
        ),
        ("az://bucket", {"endpoint": "http://127.evil.example", "allow_http": True}, r"TLS only"),
    ],
)
def test_what_is_refused(url: str, options: dict[str, Any], message: str) -> None:
    """With the key, and what would be right; never with a secret."""
    with pytest.raises(ConfigError, match=message) as refused:
        folder_or_bucket(url, options, HERE)
    assert "hunter2" not in str(refused.value)


def test_plain_http_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused like that from the configuration."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(ConfigError, match=r"AWS_ENDPOINT_URL: .*TLS only"):
        folder_or_bucket("s3://bucket", {}, HERE)


def test_plain_http_is_not_sent_on_the_word_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What obstore itself would take from there does not count."""
    for name in ("AWS_ALLOW_HTTP", "AWS_ALLOW_INVALID_CERTIFICATES"):
        monkeypatch.setenv(name, "true")
    store = open_store(Bucket("s3", "bucket", "a", {"region": "x"}))
    options = store.client_options
    assert (options["allow_http"], options["allow_invalid_certificates"]) in (
        (False, False),
        ("false", "false"),
    )


def test_options_in_the_configuration(tmp_path: Path) -> None:
    """A table in the file, a text in the environment, paths from the file's folder."""
    options = 'region = "eu"\nca_file = "ca.pem"\nallow_http = false\n'
    text = f'{GOOD}[storage]\nurl = "s3://bucket"\n[storage.options]\n{options}'
    config = load(written(tmp_path, text), {})
    place = folder_or_bucket(config.storage.url, dict(config.storage.options), config.folder)
    assert place.options == {"region": "eu", "ca_file": str(tmp_path / "ca.pem"), "allow_http": False}
    config = load(written(tmp_path, text), {"DOCPIPE_STORAGE__OPTIONS": "region=us, allow_http=true"})
    assert config.storage.options == (("region", "us"), ("allow_http", "true"))
    with pytest.raises(
        ConfigError, match=r"DOCPIPE_STORAGE__OPTIONS: the given value.*a table such as"
    ) as refused:
        load(written(tmp_path, text), {"DOCPIPE_STORAGE__OPTIONS": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_the_key_of_the_hash(tmp_path: Path) -> None:
    """It has to be there and long; with it the names of folders are hashes."""
    hashed = Section(url=str(tmp_path), patient_prefix="hash")
    with pytest.raises(ConfigError, match=r"storage\.prefix_key is missing.*DOCPIPE_STORAGE__PREFIX_KEY"):
        open_storage(Config(storage=hashed))
    with pytest.raises(ConfigError, match=r"PREFIX_KEY: the given value.*at least 32 characters") as refused:
        load(written(tmp_path, GOOD), {"DOCPIPE_STORAGE__PREFIX_KEY": "hunter2"})
    assert "hunter2" not in str(refused.value)
    (tmp_path / "key").write_text("k" * 32 + "\n", "utf-8")
    text = GOOD + '[storage]\npatient_prefix = "hash"\nprefix_key_file = "key"\n'
    assert open_storage(load(written(tmp_path, text), {})).folder_of("P123") == hashed_names("k" * 32)("P123")


@given(st.lists(st.text(max_size=40), unique=True, max_size=20))
def test_hashed_names(ids: list[str]) -> None:
    """Two ids have two names of 32 hex digits, and another key has others."""
    names = [hashed_names("k" * 32)(patient_id) for patient_id in ids]
    assert len(set(names)) == len(ids)
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names)
    assert not set(names) & {hashed_names("l" * 32)(patient_id) for patient_id in ids}


def test_keys_from_a_file(tmp_path: Path) -> None:
    """As AWS' tools have it, read anew, refused without being quoted."""
    path = tmp_path / "credentials"
    for message in ("cannot be read", "has to hold"):
        with pytest.raises(ConfigError, match=message) as refused:
            credentials_from(path)
        assert "hunter2" not in str(refused.value)
        path.write_text("[default]\naws_secret_access_key = hunter2", "utf-8")
    path.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = hunter2\n", "utf-8")
    provider = credentials_from(path)
    assert provider()["secret_access_key"] == "hunter2"  # noqa: S105 -- of nobody
    path.write_text("[default]\naws_access_key_id = b\naws_secret_access_key = other\n", "utf-8")
    assert (provider()["access_key_id"], provider()["token"]) == ("b", None)


def test_every_scheme_opens() -> None:
    """Options have the names that obstore knows; nothing is sent."""
    s3 = {**LOOPBACK, "region": "x", "virtual_hosted_style_request": True, "checksum_algorithm": "none"}
    s3 |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": "k", "sse_bucket_key_enabled": True}
    for url, options in (
        ("s3://bucket/a", s3 | {"disable_bulk_delete": True, "timeout": "5s"}),
        ("gs://bucket/a", {"base_url": "https://gcs.example"}),
        ("az://container/a", {"account_name": "account", "endpoint": "https://az.example", "tenant_id": "t"}),
    ):
        open_store(folder_or_bucket(url, options, HERE))


def test_without_obstore_the_cure_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration with a bucket but without the extra gets its name."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"s3:// needs obstore.*pip install 'docpipe\[cloud\]'"):
        open_storage(Config(storage=Section(url="s3://bucket")))


def test_a_folder_does_without_obstore(tmp_path: Path) -> None:
    """A folder as storage does not load it."""
    script = (
        "import sys, docpipe.app, docpipe.cli.check\n"
        "from docpipe.config.config import Config, Storage\n"
        "from docpipe.wiring.backends import open_storage\n"
        f"open_storage(Config(storage=Storage(url={str(tmp_path)!r})))\n"
        "print('obstore' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "False\n"
    assert storage_folder(Config(storage=Section(url="s3://bucket"))) is None
