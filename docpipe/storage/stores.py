"""Opens obstore's stores by the configuration; obstore is imported on first use."""

import configparser
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from docpipe import __version__
from docpipe.errors import ConfigError
from docpipe.storage.urls import Bucket

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

CONNECT_S: Final = 10.0
TIMEOUT_S: Final = 60.0
"""For one request; a large file is sent in many."""
_CREDENTIALS_HOLD: Final = timedelta(minutes=5)
_NOT_OBSTORES: Final = ("timeout", "ca_file", "allow_http", "credentials_file")


def open_store(bucket: Bucket, *, retries: int = 0) -> "ObjectStore":
    """A store of obstore with the prefix applied; nothing is sent yet.

    Args:
        bucket: what to open.
        retries: of obstore itself; 0 where a gate retries.

    Raises:
        ConfigError: if obstore is missing, or an option cannot be used.
    """
    try:
        from obstore import exceptions, store  # noqa: PLC0415 -- a storage in a folder does not need it
    except ImportError as error:
        raise ConfigError(
            f"storage.url: {bucket.scheme}:// needs obstore, which is not installed: "
            "pip install 'docpipe[cloud]'."
        ) from error
    if bucket.scheme == "memory":
        return store.MemoryStore()
    config = {name: value for name, value in bucket.options.items() if name not in _NOT_OBSTORES}
    made: dict[str, Any] = {
        "prefix": bucket.prefix or None,
        "client_options": _client(bucket),
        "retry_config": {
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {
                "init_backoff": timedelta(seconds=0.2),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        },
    }
    try:
        if bucket.scheme == "gs":
            return store.GCSStore(bucket.name, config=config, **made)  # type: ignore[arg-type]  # names are checked
        if bucket.scheme == "az":
            return store.AzureStore(bucket.name, config=config, **made)  # type: ignore[arg-type]  # likewise
        checksum = config.pop("checksum_algorithm", "SHA256")
        if checksum != "none":
            config["checksum_algorithm"] = checksum
        if "credentials_file" in bucket.options:
            made["credential_provider"] = credentials_from(Path(bucket.options["credentials_file"]))
        return store.S3Store(bucket.name, config=config, **made)  # type: ignore[arg-type]  # likewise
    except (exceptions.BaseError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise ConfigError(f"storage.options: the store cannot be opened: {reason}") from None


def _client(bucket: Bucket) -> "ClientConfig":
    options = bucket.options
    client: ClientConfig = {
        # Always given, or AWS_ALLOW_HTTP and the like would decide.
        "allow_http": bool(options.get("allow_http")),
        "allow_invalid_certificates": False,
        "connect_timeout": timedelta(seconds=CONNECT_S),
        "timeout": timedelta(seconds=options.get("timeout", TIMEOUT_S)),
        "user_agent": f"docpipe/{__version__}",
    }
    if "ca_file" in options:
        try:
            client["root_certificate"] = Path(options["ca_file"]).read_bytes()
        except OSError as error:
            raise ConfigError(
                f"storage.options.ca_file: {options['ca_file']} cannot be read: {error.strerror}."
            ) from error
    return client


def credentials_from(path: Path) -> Callable[[], Any]:
    """Reads the keys of S3 from a credentials file of AWS, again every few minutes: they may be rotated.

    [default]
    aws_access_key_id = ...
    aws_secret_access_key = ...
    aws_session_token = ...      where there is one
    """

    def provider() -> dict[str, Any]:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text("utf-8"))
            section = parser["default"]
            keys = section["aws_access_key_id"], section["aws_secret_access_key"]
        except OSError as error:
            raise ConfigError(f"storage.options.credentials_file cannot be read: {error.strerror}.") from None
        except (configparser.Error, KeyError, ValueError):  # their texts would quote the file
            raise ConfigError(
                "storage.options.credentials_file has to hold [default] with aws_access_key_id and "
                "aws_secret_access_key."
            ) from None
        return {
            "access_key_id": keys[0],
            "secret_access_key": keys[1],
            "token": section.get("aws_session_token"),
            "expires_at": datetime.now(UTC) + _CREDENTIALS_HOLD,
        }

    provider()  # what is wrong with it shows at the start
    return provider
