"""Whether a storage folder is still the one that it was: a disk that is not mounted leaves an empty folder.

The storage has a file with a random id, and a file of the state folder has the id of each storage folder
that docpipe has used. Without them documents would be written to the disk below, and those that are stored
would seem to be lost.
"""

import contextlib
import errno
import json
import os
import secrets
import threading
from pathlib import Path
from typing import Final

import structlog

from docpipe.gates.local_trouble import trouble_of
from docpipe.storage.names import TEMPORARY
from docpipe.util.fsync import replace_file, sync_folder, write_new

log = structlog.get_logger(__name__)

MARKER: Final = ".docpipe-storage"
KNOWN: Final = "storages.json"
"""In the state folder: ids of storage folders by their paths."""
_NO_LINK: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTSUP)


class Marker:
    """The marker of a storage folder. May be used by several threads.

    Args:
        root: the storage folder.
        known: the file with the ids; None where none is kept, and any folder will do.
    """

    def __init__(self, root: Path, known: Path | None) -> None:
        self._root = root
        self._path = root / MARKER
        self.known = known
        self._id: str | None = None
        self._seen: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    def refuse_other(self) -> None:
        """Do nothing if the folder is the known one, or none is known.

        Raises:
            OSError: ENODEV if the known one is not mounted there; else as the disk has it.
        """
        if (known := self._known_id()) is None:
            return
        try:
            status = self._path.lstat()
            seen = (status.st_dev, status.st_ino, status.st_mtime_ns)
            if seen == self._seen:
                return
            here = self._path.read_text("ascii").strip()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise OSError(errno.ENODEV, "it is not mounted", str(self._root)) from error
        except UnicodeDecodeError:
            here = ""
        if here != known:
            raise OSError(errno.ENODEV, "another one is mounted in its place", str(self._root))
        self._seen = seen

    def begin(self) -> None:
        """Leave a marker in a folder that is not known yet, and remember its id.

        Where the state folder cannot keep the id now, as on a full disk, the next start remembers it.

        Raises:
            OSError: as `refuse_other`.
        """
        with self._lock:
            if self.known is None or not self.known.parent.is_dir():
                return
            if self._known_id() is None:
                self._remember(self.known, self._made())
        self.refuse_other()

    def _known_id(self) -> str | None:
        if self._id is None and self.known is not None:
            self._id = _ids(self.known).get(str(self._root))
        return self._id

    def _made(self) -> str:
        """The id in the folder, which is written if there is none."""
        if not self._path.exists():
            draft = self._root / f"{TEMPORARY}{secrets.token_hex(8)}"
            write_new(draft, f"{secrets.token_hex(16)}\n".encode())
            try:  # another process may do the same at the same time: the first one counts
                os.link(draft, self._path)
            except FileExistsError:
                pass
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                draft.replace(self._path)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(self._root)
        return self._path.read_text("ascii", "replace").strip()

    def _remember(self, known: Path, id_: str) -> None:
        ids = {**_ids(known), str(self._root): id_}
        try:
            replace_file(known, f"{json.dumps(ids, indent=1)}\n".encode())
        except OSError as error:
            if (trouble := trouble_of(error)) is None:
                raise
            log.warning("storage_not_remembered", cause=trouble.problem.format(what="state"), file=known.name)
            return
        self._id = id_


def _ids(known: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        ids = json.loads(known.read_bytes())
        if isinstance(ids, dict):
            return {path: id_ for path, id_ in ids.items() if isinstance(id_, str)}
    return {}
