"""The configuration: read, overlaid, refused."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.config.config import SECTIONS, Config
from docpipe.config.loading import load
from docpipe.config.parsing import Secret, parse_duration, parse_rate, parse_size
from docpipe.errors import ConfigError
from docpipe.model import Rate

ROOT = Path(__file__).parents[2]
GOOD = '[docex]\nbase_url = "https://exchange.example/"\n[tasktracker]\nbase_url = "fake"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "docpipe.toml"
    path.write_text(text, "utf-8")
    return path


def test_defaults(tmp_path: Path) -> None:
    """Only the two addresses are needed; the rest is as the design says."""
    config = load(written(tmp_path, GOOD), {})
    assert config.docex.base_url == "https://exchange.example"
    assert config.docex.search_rate == Rate(10, 60)
    assert config.docex.status_rate == Rate(10, 1)
    assert config.tasktracker.rate == Rate(10, 1)
    assert config.docex.spacing == "burst"
    assert config.convert.workers is None
    assert (config.convert.memory, config.convert.timeout) == (2**30, 300)
    assert config.folder == tmp_path


def test_environment_goes_over_the_file(tmp_path: Path) -> None:
    """A variable wins over the file, and an empty one is as good as none."""
    env = {
        "DOCPIPE_DOCEX__BASE_URL": "http://127.0.0.1:9",
        "DOCPIPE_DOCEX__SEARCH_RATE": "none",
        "DOCPIPE_CONVERT__WORKERS": "3",
        "DOCPIPE_TASKTRACKER__TOKEN": "",
        "UNRELATED__KEY": "1",
    }
    config = load(written(tmp_path, GOOD), env)
    assert (config.docex.base_url, config.docex.search_rate) == ("http://127.0.0.1:9", None)
    assert (config.convert.workers, config.tasktracker.token) == (3, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[docex]\nbase_ulr = "x"', r"docex\.base_ulr.*no such key \(did you mean `base_url`\?\)"),
        ('[doxec]\nbase_url = "x"', r"doxec.*no section `doxec` \(did you mean `docex`\?\)"),
        ('name = "x"', r"`name` is outside a section"),
        (GOOD.replace("fake", "ftp://x"), r"tasktracker\.base_url.*https://"),
        (GOOD + '[convert]\nmemory = "1 barrel"', r"convert\.memory: '1 barrel'.*1GiB"),
        (GOOD + '[convert]\nmemory = "1MiB"', r"convert\.memory.*256MiB"),
        (GOOD + '[convert]\nocr = "maybe"', r"convert\.ocr.*true or false"),
        (GOOD + '[convert]\ntimeout = "0s"', r"convert\.timeout.*5min"),
        (GOOD + "[convert]\nworkers = 0", r"convert\.workers.*1 to 1024"),
        (GOOD + "[convert]\nworkers = true", r"convert\.workers.*1 to 1024"),
        (GOOD + "[patients]\ncolumns = { name = 'x' }", r"patients\.columns.*first_name.*given, family"),
        (GOOD + "[service]\nport = 70000", r"service\.port.*65535"),
        (GOOD.replace("[task", 'search_rate = "10/week"\n[task'), r"docex\.search_rate: '10/week'.*10/min"),
        (GOOD.replace("[task", 'spacing = "odd"\n[task'), r"docex\.spacing: 'odd'.*burst.*even"),
        (GOOD.replace("[task", 'archive_origins = ["x"]\n[task'), r"docex\.archive_origins.*list of origins"),
        *(
            (GOOD + f'task_url = "{given}"', r"tasktracker\.task_url.*with \{id\} in its path")
            for given in ("https://x/", "https://{id}.x/", "ftp://x/{id}", "https://x/{id}/{id}")
        ),
        ("[docex", r"not valid TOML"),
        ('[tasktracker]\nbase_url = "fake"', r"docex\.base_url is missing.*DOCPIPE_DOCEX__BASE_URL"),
        (
            GOOD.replace("[task", 'token_file = "nowhere"\n[task'),
            r"docex\.token_file: nowhere cannot be read",
        ),
        (GOOD.replace("[task", "token_file = 7\n[task"), r"docex\.token_file: it has to be the path"),
        (GOOD.replace("[task", 'rate_file = "x"\n[task'), r"docex\.rate_file.*no such key.*token_file"),
    ],
)
def test_refusals_name_key_and_cure(tmp_path: Path, text: str, message: str) -> None:
    """What cannot be used is refused with the key's name and what would be right."""
    with pytest.raises(ConfigError, match=message) as refused:
        load(written(tmp_path, text), {})
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("given", ['{ given = "first_name", sex = "" }', '"given=first_name, sex="'])
def test_names_of_columns(tmp_path: Path, given: str) -> None:
    """They are a table in the file, or a text in the file and the environment."""
    config = load(written(tmp_path, f"{GOOD}[patients]\ncolumns = {given}"), {})
    assert dict(config.patients.columns) == {"given": "first_name", "sex": ""}


def test_environment_is_refused_by_its_own_name(tmp_path: Path) -> None:
    """A message about a variable names the variable."""
    with pytest.raises(ConfigError, match="DOCPIPE_CONVERT__TIMEOUT"):
        load(written(tmp_path, GOOD), {"DOCPIPE_CONVERT__TIMEOUT": "soon"})


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was named has to be there; ./config.toml need not."""
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "none.toml", {})
    monkeypatch.chdir(tmp_path)
    env = {"DOCPIPE_DOCEX__BASE_URL": "fake", "DOCPIPE_TASKTRACKER__BASE_URL": "fake"}
    assert load(None, env).folder == tmp_path


def test_tokens_are_never_shown(tmp_path: Path) -> None:
    """Neither the configuration's repr nor a refusal prints a token or an address with a password."""
    (tmp_path / "token").write_text("s3cret\n", "utf-8")
    text = GOOD.replace("[task", 'token_file = "token"\n[task')
    config = load(written(tmp_path, text), {"DOCPIPE_TASKTRACKER__TOKEN": "hunter2"})
    assert config.docex.token is not None
    assert config.docex.token.reveal() == "s3cret"
    assert "s3cret" not in repr(config)
    assert "hunter2" not in repr(config)
    for text in (
        GOOD.replace("[task", 'token = "has space"\n[task'),
        GOOD.replace("https://", "https://me:pw@"),
        GOOD.replace("[task", 'proxy = "http://:pw@proxy.example:3128"\n[task'),
    ):
        with pytest.raises(ConfigError) as refused:
            load(written(tmp_path, text), {})
        assert not re.search("has space|pw", str(refused.value))


@pytest.mark.parametrize("section", SECTIONS)
def test_a_repr_shows_no_password(section: str) -> None:
    """Whatever may be given in a file may hold a password, as addresses of databases do; so may options."""
    made = SECTIONS[section]
    secret = [key.name for key in fields(made) if key.metadata["in_file"] or key.name in ("options", "proxy")]
    displayed = repr(Config(**{section: made(**dict.fromkeys(secret, "CANARY"))}))
    assert "CANARY" not in displayed
    assert all(f"{key.name}=" in displayed for key in fields(made) if key.name not in secret)


def test_values_with_units() -> None:
    """Rates, times and sizes as people write them."""
    assert parse_rate("600/hour") == Rate(600, 3600)
    assert parse_rate("none") is None
    assert [parse_duration(text) for text in ("30s", "5min", "2 h", "90 days", 7)] == [
        30,
        300,
        7200,
        7776000,
        7,
    ]
    assert [parse_size(text) for text in ("1GiB", "512 MiB", 7, "1.5 kb")] == [2**30, 2**29, 7, 1500]


@given(st.text(max_size=20))
def test_parsers_refuse_with_value_errors_only(text: str) -> None:
    """Whatever is written there, a parser reads it or says what would be right."""
    for parse in (parse_rate, parse_duration, parse_size):
        try:
            parse(text)
        except ValueError as error:
            assert "such as" in str(error)  # noqa: PT017 -- both outcomes are right


def test_every_key_is_documented() -> None:
    """config.toml and configuration.md tell of every key; the repository's own file is a first try."""
    for path in ("config.toml", "docpipe/docs/configuration.md"):
        text = (ROOT / path).read_text("utf-8")
        for section, cls in SECTIONS.items():
            assert section in text, f"{path} does not tell of [{section}]"
            for field in fields(cls):
                assert re.search(rf"\b{field.name}\b", text), (
                    f"{path} does not tell of {section}.{field.name}"
                )
    rows = re.findall(r"^\|.*\|$", (ROOT / "docpipe/docs/configuration.md").read_text("utf-8"), re.MULTILINE)
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[2])}
    for cls in SECTIONS.values():
        assert {field.name for field in fields(cls)} <= keys, "a key has no row in the table"
    config = load(ROOT / "config.toml", {})
    assert config.docex.base_url == config.tasktracker.base_url == config.patients.url == "fake"
    assert {field.name for field in fields(Config)} - {"source"} == set(SECTIONS)


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("docex.base_url", "https://exchange.example"),
        ("docex.token", "s3cret"),
        ("tasktracker.base_url", "https://tracker.example"),
        ("tasktracker.token", "s3cret"),
        ("patients.url", "postgresql://me:pw@db/patients"),
        ("storage.url", "/srv/documents"),
        ("service.token", "s3cret"),
    ],
)
def test_secrets_and_addresses_from_files(tmp_path: Path, key: str, content: str) -> None:
    """Each key that may hold a secret can be given as a file, from the configuration's folder on."""
    (tmp_path / "it").write_text(f" {content}\n", "utf-8")
    section, name = key.split(".")
    variable = f"DOCPIPE_{section.upper()}__{name.upper()}"
    over = {f"{variable}_FILE": "it"}
    value = getattr(getattr(load(written(tmp_path, GOOD), over), section), name)
    assert (value.reveal() if isinstance(value, Secret) else value) == content
    with pytest.raises(ConfigError, match=rf"{variable}_FILE and {variable} set the same"):
        load(written(tmp_path, GOOD), over | {variable: "x"})


def test_a_variable_wins_over_a_file_key(tmp_path: Path) -> None:
    """The environment goes over config.toml also where one gives the value and the other its file."""
    (tmp_path / "it").write_text("from-file", "utf-8")
    by_file = GOOD.replace("[task", 'token_file = "nowhere"\n[task')
    config = load(written(tmp_path, by_file), {"DOCPIPE_DOCEX__TOKEN": "from-variable"})
    assert config.docex.token is not None
    assert config.docex.token.reveal() == "from-variable"
    by_value = GOOD.replace("[task", 'token = "from-toml"\n[task')
    config = load(written(tmp_path, by_value), {"DOCPIPE_DOCEX__TOKEN_FILE": "it"})
    assert config.docex.token is not None
    assert (config.docex.token.reveal(), config.docex.token.file) == ("from-file", tmp_path / "it")


def test_files_of_services_are_read_by_who_speaks_with_them(tmp_path: Path) -> None:
    """A command that needs no service needs none of their secrets."""
    text = GOOD.replace("[task", 'token_file = "nowhere"\n[task')
    assert load(written(tmp_path, text), {}, services=False).docex.token is None


WRONG = """# our exchange
docex.search_rat = "10/min"
docex.base_url = "ftp://x"

[tasktracker] # none
rate = "often"

[convert]
workers = 0
memory = "2GiB"

[convertt]
ocr = true

[[schedule]]
name = "a"
patients = "all"
every = "7d"
[[schedule]]
name = "b"
patients = "all"
every = "often"
"""


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    """Each on a line of its own with the line of the file, in its order, then what is in no file."""
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, WRONG), {"DOCPIPE_SERVICE__PORT": "no"})
    first, *lines = str(refused.value).splitlines()
    assert first == "8 errors in the configuration:"
    heads = [re.match(r"  (docpipe\.toml, line \d+: )?[^ ]+", line) for line in lines]
    assert [head and head[0].strip() for head in heads] == [
        "docpipe.toml, line 2: docex.search_rat:",
        "docpipe.toml, line 3: docex.base_url:",
        "docpipe.toml, line 6: tasktracker.rate:",
        "docpipe.toml, line 9: convert.workers:",
        "docpipe.toml, line 12: convertt.ocr:",
        "docpipe.toml, line 22: [[schedule]]",
        "DOCPIPE_SERVICE__PORT:",
        "tasktracker.base_url",
    ]
    assert "did you mean `search_rate`" in lines[0]
    assert "base_url is missing" not in lines[1], "it is there, and wrong"


def test_one_error_is_one_sentence(tmp_path: Path) -> None:
    """With its line."""
    with pytest.raises(
        ConfigError, match=r"^docpipe\.toml, line 6: convert\.workers: 0 cannot be used; .*\.$"
    ):
        load(written(tmp_path, GOOD + "[convert]\nworkers = 0"), {})
