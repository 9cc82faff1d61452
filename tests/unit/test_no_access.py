"""Another user, a folder that cannot be used, no configuration: one sentence, and exit status 2."""

import codecs
import contextlib
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from docpipe import check, cli
from docpipe.check import parts
from docpipe.cli.access import sentence_of

NOBODY = 65534
STATE = (
    ["status"],
    ["status", "P1", "--activities"],
    ["logs", "P1"],
    ["report", "P1"],
    ["plan", "--patients", "3"],
    ["cancel", "P1"],
    ["retry", "P1"],
    ["patients", "list"],
    ["run", "--patient", "P1"],
    ["resume"],
    ["chart", "P1", "-o", "chart.pdf"],
    ["forget", "P1", "--dry-run"],
    ["serve", "--port", "0"],
)
"""Commands that need the state folder."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that anybody may enter, with a configuration and folders that only their owner may."""
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("DOCPIPE_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config.toml").write_text(
        '[docex]\nbase_url = "http://127.0.0.1:1"\n[tasktracker]\nbase_url = "http://127.0.0.1:1"\n'
        '[state]\ndir = "state"\n[storage]\nurl = "storage"\n'
    )
    for name in ("state", "secret"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret" / "x.txt").write_text("x")
    (tmp_path / "config.toml").chmod(0o644)
    return tmp_path


@contextlib.contextmanager
def nobody(*private: Path) -> Iterator[None]:
    """Become a user without access to these folders."""
    for target, _, _ in (words.partition(":") for words in cli._COMMANDS.values()):
        importlib.import_module(target)  # afterwards the interpreter's own files may be out of reach
    for encoding in ("ascii", "idna"):  # of names of hosts
        codecs.lookup(encoding)
    modes = {path: path.stat().st_mode for path in private}
    user = os.geteuid()
    for path in private:
        path.chmod(0o700 if user == 0 else 0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.parametrize("words", STATE, ids=" ".join)
def test_a_state_folder_of_somebody_else(
    place: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """Each command names the folder and the cure, not an unexpected error, and ends with 2."""
    with nobody(place / "state"):
        status = cli.main(words)
    err = capsys.readouterr().err
    assert status == 2, err
    assert err.startswith("docpipe: ")
    assert str(place / "state") in err
    assert "(Permission denied)" in err or "(Operation not permitted)" in err
    assert err.count("\n") == 1


def test_check_has_a_line_for_the_state_folder(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no run could start, `check` does not say that all is sound."""
    assert parts.state_folder in check.TRIALS
    here = (parts.configuration, parts.state_folder, parts.room)  # others need files of the interpreter
    monkeypatch.setattr(check, "TRIALS", here)
    with nobody(place / "state"):
        assert cli.main(["check", "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert result["sound"] is False
    (finding,) = (one for one in result["findings"] if one["check"] == "state folder")
    assert (finding["where"], finding["wrong"]) == (str(place / "state"), True)
    assert finding["problem"] == "it cannot be used: Permission denied"
    assert "state.dir" in finding["cure"]


def test_files_of_somebody_else(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is given to `convert` and `patients import` is named, too, by the folder that is in the way."""
    (place / "out").mkdir(mode=0o777)
    for name in ("out", "state"):
        (place / name).chmod(0o777)
    with nobody(place / "secret"):
        assert cli.main(["convert", "secret/x.txt", "--to", "out"]) == 2
        assert f"{place / 'secret'} cannot be used (Permission denied): " in capsys.readouterr().err
        assert cli.main(["patients", "import", "secret/x.txt"]) == 2
        assert "secret/x.txt cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("who", [("--patient", "P1"), ("--all",)], ids=["one", "all"])
def test_a_run_where_nobody_was_imported(
    place: Path, capsys: pytest.CaptureFixture[str], who: tuple[str, ...]
) -> None:
    """It ends at once; a file that the configuration names is waited for instead."""
    assert cli.main(["run", *who]) == 2
    printed = capsys.readouterr().err
    assert f"no patients database {place}/state/patients.db: `docpipe patients import FILE.csv`" in printed
    assert not list((place / "state").iterdir())


def test_the_cure_names_the_owner(place: Path) -> None:
    """The owner of the folder and the user to run docpipe as; of an own folder, its wrong permissions."""
    secret = place / "secret"
    with nobody(secret):
        error = PermissionError(13, "Permission denied", str(secret / "x.txt"))
        sentence = sentence_of(ExceptionGroup("two tasks", [ValueError(), error]))
        assert sentence is not None
        if os.getuid() == 0:
            assert "it belongs to the user root. Run docpipe as root" in sentence
        else:
            assert "mend its permissions" in sentence
    assert sentence_of(OSError(28, "No space left on device", "/x")) == (
        "/x cannot be used (No space left on device): make room on its disk."
    )
    assert sentence_of(ValueError()) is None
    assert sentence_of(FileNotFoundError(2, "No such file or directory", "/x")) is None


@pytest.mark.parametrize(
    "words", [*STATE[:4], *STATE[5:], ["check"], ["search", "x"], ["search", "--rebuild"]], ids=" ".join
)
def test_no_configuration(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """In a folder without config.toml that is what is said, not which key is missing in it."""
    (place / "secret" / "empty").mkdir()
    monkeypatch.chdir(place / "secret" / "empty")
    assert cli.main(words) == 2
    assert "There is no config.toml in this folder" in capsys.readouterr().err
    assert list(Path().iterdir()) == []
