"""The patients database and the storage that the configuration names."""

import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from docpipe.config.config import Config
from docpipe.config.parsing import FAKE
from docpipe.errors import ConfigError, UsageError
from docpipe.gates import Gate
from docpipe.gates.line import Slots
from docpipe.patients import PatientDatabase, checked
from docpipe.patients.people import missing
from docpipe.storage import Bucket, FolderStorage, Storage, folder_name, folder_or_bucket, hashed_names
from docpipe.storage.blobs import Blobs, FolderBlobs
from docpipe.storage.marker import KNOWN


def storage_folder(config: Config) -> Path | None:
    """The folder that `storage.url` names, None where it names none.

    Raises:
        ConfigError: if it cannot be used.
    """
    place = _place(config)
    return place if isinstance(place, Path) else None


def open_storage(config: Config, gate: Gate | None = None) -> Storage:
    """The storage; nothing is written yet.

    Args:
        config: the configuration.
        gate: what requests to an object store pass; without one each is tried once.

    Raises:
        ConfigError: if `storage` cannot be used.
    """
    place, name = _place(config), _naming(config)
    if isinstance(place, Path):
        shared = bool(config.fleet.redis or config.fleet.temporal)
        return FolderStorage(place, name=name, shared=shared, known=config.state_dir / KNOWN)
    # obstore is imported only for buckets.
    from docpipe.storage.stores import open_store  # noqa: PLC0415

    store = open_store(place)  # raises if a package or option is missing
    from docpipe.storage.attempts import SLOTS, Attempts  # noqa: PLC0415
    from docpipe.storage.objects import ObjectStorage  # noqa: PLC0415

    clock = time.time if gate is None else gate.service.clock
    return ObjectStorage(store, place, Attempts(gate, Slots(SLOTS, clock)), name)


def open_blobs(config: Config, gate: Gate | None = None) -> Blobs:
    """Small files that machines of a fleet leave for each other; see `open_storage`."""
    place = _place(config)
    if isinstance(place, Path):
        return FolderBlobs(place)
    from docpipe.storage.stores import open_store  # noqa: PLC0415 -- only for buckets

    store = open_store(place)
    from docpipe.storage.attempts import SLOTS, Attempts  # noqa: PLC0415 -- likewise
    from docpipe.storage.bucketblobs import BucketBlobs  # noqa: PLC0415 -- likewise

    clock = time.time if gate is None else gate.service.clock
    return BucketBlobs(store, Attempts(gate, Slots(SLOTS, clock)), config.storage.url)


def index_path(config: Config) -> Path:
    """The database of the search index: in the storage folder, or in the state folder for a bucket.

    Raises:
        ConfigError: if `storage.url` cannot be used.
    """
    folder = storage_folder(config)
    if folder is not None:
        return folder / ".search.db"
    place = hashlib.sha256(config.storage.url.encode()).hexdigest()[:8]  # another bucket has another index
    return config.state_dir / f"search-{place}.db"


def _place(config: Config) -> Path | Bucket:
    return folder_or_bucket(config.storage.url, dict(config.storage.options), config.folder)


def _naming(config: Config) -> Callable[[str], str]:
    """How patients' folders are named."""
    if config.storage.patient_prefix == "id":
        return folder_name
    key = config.storage.prefix_key
    if key is None:
        raise ConfigError(
            'storage.prefix_key is missing: storage.patient_prefix = "hash" needs it, in the environment '
            "(DOCPIPE_STORAGE__PREFIX_KEY) or in a file (storage.prefix_key_file)."
        )
    return hashed_names(key.reveal())


def patients_url(config: Config) -> str:
    """The SQLAlchemy URL of the patients, an SQLite file taken from the configuration's folder."""
    url = config.patients.url
    if url in ("", FAKE):
        name = "fake-patients.db" if url == FAKE else "patients.db"
        return f"sqlite:///{config.state_dir / name}"
    scheme, separator, file = url.partition(":///")
    if separator and scheme.startswith("sqlite") and file and not file.startswith((":memory:", "file:")):
        return f"{scheme}:///{config.folder.absolute() / file}"
    return url


def require_patients_file(config: Config) -> None:
    """Check that docpipe's own file of patients exists, which the first import makes.

    Raises:
        UsageError: if there is none; a file that the configuration names may only be away for a while.
    """
    file = config.state_dir / "patients.db"
    if config.patients.url:
        return
    with contextlib.suppress(OSError):  # of a state folder that may not be read: its opening says so
        if not file.exists():
            raise UsageError(str(missing(file)))


@contextlib.asynccontextmanager
async def open_patients(config: Config) -> AsyncIterator[PatientDatabase]:
    """The patients database; with `patients.url = "fake"` invented patients are put in first, once."""
    database = PatientDatabase(patients_url(config), config.patients)
    async with contextlib.aclosing(database):
        if config.patients.url == FAKE and not (config.state_dir / "fake-patients.db").exists():
            import fakes  # noqa: PLC0415 -- only a first try needs it

            await database.put([checked(row) for row in fakes.patients.sample()])
        yield database
