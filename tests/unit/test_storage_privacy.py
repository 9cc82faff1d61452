"""A storage folder that others get into is told, at the start and by `check`, and can be closed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from docpipe.check.finding import Permit, Scene
from docpipe.check.storage import storage
from docpipe.storage import FolderStorage
from docpipe.storage.privacy import closed, mode_for_others


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder below one that everybody can enter, but in another that only its user can."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        (Path(name) / "storage").mkdir()
        yield Path(name) / "storage"


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o704, 0o777])
def test_a_folder_that_everybody_gets_into(folder: Path, mode: int) -> None:
    """Whether its names can be listed, or what is in it be opened by name."""
    folder.chmod(mode)
    assert mode_for_others(folder) == mode
    assert mode_for_others(folder.parent / "not there") is None


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o770])
def test_rights_of_a_group_were_given(folder: Path, mode: int) -> None:
    """A group that reads documents is none of docpipe's business."""
    folder.chmod(mode)
    assert mode_for_others(folder) is None


def test_a_closed_folder_above_closes_it(folder: Path) -> None:
    """As a home is."""
    folder.chmod(0o755)
    folder.parent.chmod(0o700)
    assert mode_for_others(folder) is None


async def test_check_tells_it_and_names_the_remedy(folder: Path) -> None:
    """And nothing once that is applied."""
    folder.chmod(0o755)
    scene = Scene(folder.parent / "state", FolderStorage(folder), beside=False)
    (finding,) = list(storage(scene))
    assert "every user of this machine can get in (mode 0755)" in finding.problem
    assert finding.remedy == Permit(folder, 0o750)
    folder.chmod(closed(0o755))
    assert list(storage(scene)) == []
