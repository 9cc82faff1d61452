"""The section [fleet]: what one key needs of the others, each refusal with its cure."""

from pathlib import Path

import pytest

from docpipe.config.loading import load
from docpipe.config.parsing import parse_host_port, parse_keys
from docpipe.errors import ConfigError

ONE, TWO = "0a" * 64, "1B" * 64
SERVICES = {
    "DOCPIPE_DOCEX__BASE_URL": "https://exchange.example",
    "DOCPIPE_TASKTRACKER__BASE_URL": "https://tracker.example",
    "DOCPIPE_PATIENTS__URL": "postgresql://reader@db.example/clinic",
}
WHOLE = SERVICES | {
    "DOCPIPE_FLEET__TEMPORAL": "temporal.example:7233",
    "DOCPIPE_FLEET__REDIS": "redis://redis.example:6379/0",
    "DOCPIPE_FLEET__KEY": ONE,
}


def test_a_whole_fleet_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The defaults do for a Temporal within reach; nothing of it is needed without `temporal`."""
    monkeypatch.chdir(tmp_path)
    fleet = load(None, WHOLE).fleet
    assert (fleet.temporal, fleet.namespace, fleet.tls) == ("temporal.example:7233", "default", False)
    assert fleet.key is not None
    assert fleet.key.reveal() == ONE
    assert ONE not in repr(fleet)
    assert load(None, SERVICES).fleet.temporal == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"FLEET__KEY": ""}, r"fleet\.key is missing.*openssl rand -hex 64"),
        ({"FLEET__KEY": "secret"}, r"FLEET__KEY: the given value cannot be used.*128 hex digits"),
        ({"FLEET__KEY": f"{ONE} {ONE}"}, r"FLEET__KEY.*each key once"),
        ({"FLEET__REDIS": ""}, r"fleet\.temporal needs fleet\.redis"),
        ({"FLEET__TEMPORAL": "https://temporal.example"}, r"a host and a port"),
        ({"FLEET__TEMPORAL": "temporal.example:70000"}, r"a host and a port"),
        ({"FLEET__API_KEY": "k"}, r"fleet\.api_key is for TLS: set fleet\.tls = true"),
        ({"FLEET__CA_FILE": "ca.pem"}, r"fleet\.ca_file is for TLS"),
        ({"FLEET__TLS": "true", "FLEET__CLIENT_KEY_FILE": "k"}, r"belong together: set both"),
        ({"FLEET__UI": "temporal.example"}, r"FLEET__UI.*https://temporal\.example"),
        ({"DOCEX__BASE_URL": "fake"}, r"docex\.base_url.*a fake of its own.*docpipe fleet up"),
        ({"PATIENTS__URL": "fake"}, r"patients\.url: a fleet needs a database that every machine reaches"),
        ({"PATIENTS__URL": ""}, r"patients\.url: a fleet needs a database"),
        ({"STORAGE__URL": "memory://"}, r"storage\.url: memory:// ends with its process"),
    ],
)
def test_half_a_fleet_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    """At the start, with what to set; no refusal quotes a key."""
    monkeypatch.chdir(tmp_path)
    over = {f"DOCPIPE_{name}": value for name, value in change.items()}
    with pytest.raises(ConfigError, match=sentence) as refused:
        load(None, WHOLE | over)
    assert "0a0a" not in str(refused.value)


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    """And so is one without a file; a group may read it, as container secrets have it."""
    env = {name: value for name, value in WHOLE.items() if name != "DOCPIPE_FLEET__KEY"}
    file = tmp_path / "fleet.key"
    env["DOCPIPE_FLEET__KEY_FILE"] = str(file)
    (tmp_path / "docpipe.toml").write_text("", "utf-8")
    with pytest.raises(ConfigError, match=r"fleet\.key cannot be read|FLEET__KEY_FILE.*cannot be read"):
        load(tmp_path / "docpipe.toml", env)
    file.write_text(f"{ONE}\n{TWO}\n", "utf-8")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"every user of this machine can read .*chmod o-rwx"):
        load(tmp_path / "docpipe.toml", env)
    file.chmod(0o440)
    key = load(tmp_path / "docpipe.toml", env).fleet.key
    assert key is not None
    assert key.reveal().split() == [ONE, TWO]
    file.write_text(f"{TWO}\n{ONE}\n", "utf-8")
    assert key.again().reveal().split() == [TWO, ONE]


def test_addresses_and_keys_as_people_write_them() -> None:
    """Names, numbers, IPv6; keys on lines or with spaces between them."""
    for address in ("localhost:7233", "10.0.0.1:7233", "[::1]:7233", "ns.acct.tmprl.cloud:7233"):
        assert parse_host_port(address) == address
    assert parse_keys(f"{ONE}\n\n{TWO} ").reveal().split() == [ONE, TWO]
