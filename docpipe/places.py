"""Where patients come from and where documents go, as the configuration says."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from docpipe.config import Config
from docpipe.errors import ConfigError
from docpipe.patients import PatientDatabase, checked
from docpipe.storage import FolderStorage, Storage
from docpipe.values import FAKE


def storage_folder(config: Config) -> Path:
    """The folder that `storage.url` names.

    Raises:
        ConfigError: if it is no folder.
    """
    url = config.storage.url
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return Path(parts.path)
    if "://" in url:
        raise ConfigError(
            f"storage.url: `{parts.scheme}://` cannot be used; give a folder, or file:// and its path."
        )
    return (config.folder / url).absolute()


def open_storage(config: Config) -> Storage:
    """The storage; nothing is written yet.

    Raises:
        ConfigError: if `storage.url` cannot be used.
    """
    return FolderStorage(storage_folder(config))


def patients_url(config: Config) -> str:
    """The SQLAlchemy URL of the patients, an SQLite file taken from the configuration's folder."""
    url = config.patients.url
    if url in ("", FAKE):
        name = "fake-patients.db" if url == FAKE else "patients.db"
        return f"sqlite:///{config.state_dir / name}"
    scheme, found, file = url.partition(":///")
    if found and scheme.startswith("sqlite") and file and not file.startswith((":memory:", "file:")):
        return f"{scheme}:///{config.folder.absolute() / file}"
    return url


@contextlib.asynccontextmanager
async def open_patients(config: Config) -> AsyncIterator[PatientDatabase]:
    """The patients database; with `patients.url = "fake"` invented patients are put in first, once."""
    database = PatientDatabase(patients_url(config), config.patients)
    async with contextlib.aclosing(database):
        if config.patients.url == FAKE and not (config.state_dir / "fake-patients.db").exists():
            import fakes  # noqa: PLC0415 -- only a first try needs it

            await database.put([checked(row) for row in fakes.patients.sample()])
        yield database
