"""Schedules and notifications in the configuration: what is taken, and what is refused with a sentence."""

import base64
from pathlib import Path

import pytest

from docpipe.cli import main
from docpipe.config.config import Config
from docpipe.config.loading import load
from docpipe.errors import ConfigError

HEAD = '[docex]\nbase_url = "fake"\n[tasktracker]\nbase_url = "fake"\n'
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def loaded(folder: Path, text: str, env: dict[str, str] | None = None) -> Config:
    file = folder / "config.toml"
    file.write_text(HEAD + text, "utf-8")
    return load(file, env or {})


def test_schedules_are_read(tmp_path: Path) -> None:
    """Several tables, with names by default that say what they are for without any value of a condition."""
    config = loaded(
        tmp_path,
        '[[schedule]]\npatients = "all"\nevery = "7d"\n'
        '[[schedule]]\npatients = "lists/dialysis.csv"\nevery = "12 h"\nname = "dialysis"\npriority = -3\n'
        '[[schedule]]\npatients = ["family=Smith", "ward!=B2"]\nevery = " 30  2 * * 1-5 "\n'
        'zone = "Europe/Berlin"\nspread = "3h"\n',
    )
    first, second, third = config.schedule
    assert (first.name, first.patients, first.every, first.zone, first.priority) == (
        "all, 7d",
        ("all",),
        "7d",
        "UTC",
        -9,
    )
    assert (second.name, second.patients, second.priority) == ("dialysis", ("lists/dialysis.csv",), -3)
    assert third.name == "where family, ward, 30 2 * * 1-5"
    assert (third.every, third.zone, third.spread) == ("30 2 * * 1-5", "Europe/Berlin", 10800.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[schedule]\npatients = "all"', r"under `\[\[schedule\]\]`"),
        ('[[schedule]]\npatients = "all"', r"\[\[schedule\]\] 1: `every` is missing"),
        ('[[schedule]]\nevery = "7d"', r"\[\[schedule\]\] 1: `patients` is missing"),
        ('[[schedule]]\npatients = "all"\nevery = "7 parsecs"', '7 parsecs.*such as "7d"'),
        ('[[schedule]]\npatients = "all"\nevery = "10min"', "an hour or more"),
        ('[[schedule]]\npatients = "all"\nevery = "61 * * * *"', "cron expression"),
        ('[[schedule]]\npatients = "all"\nevery = "0 0 30 2 *"', "cron expression"),
        ('[[schedule]]\npatients = "all"\nevery = "* * * * * *"', "cron expression"),
        ('[[schedule]]\npatients = ["a.csv", "b.csv"]\nevery = "7d"', "a list of those"),
        ('[[schedule]]\npatients = "all"\nevery = "7d"\nzone = "Mars/Olympus"', "time zone"),
        ('[[schedule]]\npatients = "all"\nevery = "7d"\nzone = "../etc"', "time zone"),
        ('[[schedule]]\npatients = "all"\nevery = "7d"\npriority = 3', "-9 to 0"),
        ('[[schedule]]\npatients = "all"\nevery = "7d"\nname = "a/b"', "without a slash"),
        ('[[schedule]]\npatients = "all"\nevrey = "7d"', "did you mean `every`"),
        (2 * '[[schedule]]\npatients = "all"\nevery = "7d"\n', "2 schedules are called 'all, 7d'"),
        ('[notify]\nurl = "https://hooks.example"', "notify.secret is missing"),
        (f'[notify]\nsecret = "{SECRET}"', "notify.url is missing"),
        ('[notify]\nurl = "https://hooks.example"\nsecret = "short"', "24 to 64 bytes"),
        (f'[notify]\nurl = "http://hooks.example"\nsecret = "{SECRET}"', "notify.allow_http = true"),
        (
            f'[notify]\nurl = "https://h.example"\nsecret = "{SECRET}"\npatient = "hash"',
            "prefix_key",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """The key is named, and what would be right; a secret is not quoted."""
    with pytest.raises(ConfigError, match=reason) as refused:
        loaded(tmp_path, text)
    assert "short" not in str(refused.value)


def test_variables_set_no_schedules(tmp_path: Path) -> None:
    """They are tables of the file; those of notifications can be set."""
    with pytest.raises(ConfigError, match="schedules have no variables"):
        loaded(tmp_path, "", {"DOCPIPE_SCHEDULE__EVERY": "7d"})
    env = {"DOCPIPE_NOTIFY__URL": "https://h.example/x", "DOCPIPE_NOTIFY__SECRET": SECRET}
    assert loaded(tmp_path, "", env).notify.url == "https://h.example/x"


def test_serve_refuses_a_bad_schedule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and one sentence that names the schedule."""
    text = f'{HEAD}[state]\ndir = "{tmp_path}/state"\n[service]\nport = 0\n[patients]\nurl = "fake"\n'
    (tmp_path / "config.toml").write_text(
        text + '[[schedule]]\npatients = "nobody.csv"\nevery = "7d"\n', "utf-8"
    )
    assert main(["--config", str(tmp_path / "config.toml"), "serve"]) == 2
    output = capsys.readouterr().err
    assert "Schedule 'nobody.csv, 7d'" in output
    assert "nobody.csv cannot be read: No such file or directory." in output
