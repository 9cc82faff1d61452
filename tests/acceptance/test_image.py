"""The image of the Containerfile, built and run: a run, a check, the service and its health check."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container_image import BASE, Image, build
from tests.ports import free_port


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built once: it takes a minute or two, and gigabytes that are given back."""
    store = tmp_path_factory.mktemp("image")
    yield build(store)
    shutil.rmtree(store)


@pytest.fixture
def data(image: Image, tmp_path: Path) -> Iterator[Path]:
    """A volume, which the user of the image owns."""
    volume = tmp_path / "data"
    volume.mkdir(mode=0o700)
    os.chown(volume, int(image.config["User"]), int(image.config["User"]))
    return volume


_ADDED_MB = 450
"""What the small image may add to its base."""
_PAGE = """
from importlib.resources import files
print((files("docpipe.web") / "static/app.js").read_text())
"""
_EXTENSIONS = """
import importlib, pathlib, sys, warnings
warnings.simplefilter("ignore")
root = next(pathlib.Path(path) for path in sys.path if path.endswith("site-packages"))
for path in sorted(root.rglob("*.so")):
    folders = path.relative_to(root).parts[:-1]
    if not (folders and folders[0].endswith(".libs")):
        name = path.name.split(".")[0]
        if b"PyInit_" + name.encode() in path.read_bytes():
            try:
                importlib.import_module(".".join([*folders, name]))
                print(path)
            except ModuleNotFoundError as error:
                if error.name != "tkinter":
                    raise
"""
"""Imports every extension module: what was taken out of them was not needed."""


def megabytes(folder: Path) -> int:
    """Of a folder with all in it; files with two names count once."""
    files = {(result.st_dev, result.st_ino): result.st_size for result in map(os.lstat, folder.rglob("*"))}
    return sum(files.values()) // 2**20


def called(image: Image, data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(image.command(data, *words), capture_output=True, text=True, check=False)


def test_the_image(image: Image, data: Path) -> None:
    """As a user without rights, on a read-only root: a run, a check, and the service until SIGTERM."""
    entry = image.config["Entrypoint"]
    ran = called(image, data, *entry, "run", "--patient", "P198", "--json")
    assert ran.returncode == 0, ran.stderr
    (run,) = json.loads(ran.stdout)["runs"]
    assert run["state"] == "completed"
    assert list((data / "storage" / "P198").iterdir())
    checked = called(image, data, *entry, "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "tesseract" in checked.stdout
    assert "are kept to their own folder" in checked.stdout
    _lists_its_parts(image.files / "opt/docpipe/share")
    page = (
        "from importlib.resources import files; print((files('docpipe.web') / 'static/app.js').read_text())"
    )
    assert "import { get" in called(image, data, "python3", "-c", page).stdout
    extensions = called(image, data, "python3", "-c", _EXTENSIONS)
    assert extensions.returncode == 0, extensions.stderr
    assert len(extensions.stdout.splitlines()) > 50
    assert 0 < megabytes(image.files) - megabytes(BASE) < _ADDED_MB
    _serves(image, data)


def _lists_its_parts(share: Path) -> None:
    """What is in it, and under which licences; what only builds or tests it is not."""
    parts = {part["name"] for part in json.loads((share / "sbom.cdx.json").read_bytes())["components"]}
    assert {"docpipe", "aiohttp", "obstore", "pydicom"} <= parts
    assert not {"pytest", "pip-licenses"} & parts
    assert "Apache License" in (share / "third-party-notices.txt").read_text("utf-8")


def _serves(image: Image, data: Path) -> None:
    """It is healthy while it serves, stops cleanly at SIGTERM, and is not healthy after that."""
    settings = {"DOCPIPE_SERVICE__TOKEN": "a-token", "DOCPIPE_SERVICE__PORT": str(free_port())}
    words = [*image.config["Entrypoint"], *image.config["Cmd"]]
    health = image.command(data, *image.config["Healthcheck"]["Test"][1:], **settings)
    command = image.command(data, *words, **settings)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        while subprocess.run(health, capture_output=True, check=False).returncode:
            assert service.poll() is None, service.communicate()[1]
            time.sleep(0.1)
        service.send_signal(signal.SIGTERM)
        _, errors = service.communicate()
        assert service.returncode == 143, errors
    assert subprocess.run(health, capture_output=True, check=False).returncode
