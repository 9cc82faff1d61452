"""What deploys a fleet is what compose and Kubernetes take, and fits docpipe and its sizing."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from docpipe.cli.options import parser
from docpipe.config.config import SECTIONS
from docpipe.config.loading import load
from docpipe.web import health
from docpipe.web.guard import Guard
from docpipe.workers.machine import OWN_MEMORY

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docpipe" / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text("utf-8")
KUBERNETES = (DEPLOY / "kubernetes" / "fleet.yaml").read_text("utf-8")
OBJECTS = [each for each in yaml.safe_load_all(KUBERNETES) if each]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:-|:\?)([^}]*)\}")
GIVEN = {"DOCEX_URL": "https://exchange.example", "TRACKER_URL": "https://tracker.example"}
SECRETS = {
    "docex-token": "token",
    "tracker-token": "token",
    "patients-url": "postgresql://reader:pw@db.example/clinic",
    "fleet-key": "0a" * 64,
    "service-token": "0b" * 32,
}
MIB = 2**20
CONVERTERS = 50 * MIB
"""The parent of the converters, as measured."""
DOCUMENT = 1024 * MIB
"""`convert.memory`."""


def interpolated() -> dict[str, Any]:
    """The file as compose reads it, with what has to be given."""

    def value(match: re.Match[str]) -> str:
        return match[3] if match[2] == ":-" else GIVEN[match[1]]

    loaded: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, COMPOSE).replace("$$", "$"))
    return loaded


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return interpolated()


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (each for each in OBJECTS if each["kind"] == kind)


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container with its pod."""
    specs = [each["spec"] for each in of_kind("Deployment")]
    specs += [each["spec"]["jobTemplate"]["spec"] for each in of_kind("CronJob")]
    for spec in specs:
        pod = spec["template"]["spec"]
        yield from ((pod, container) for container in pod["containers"])


def test_compose_takes_the_file(compose: dict[str, Any]) -> None:
    """Every key is one of the specification; what a service refers to is there."""
    read = compose_spec.PyCompose.from_json(json.dumps(compose))
    read.validate()
    read.to_spec()
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        for volume in service.get("volumes", ()):
            source, separator, _ = volume.partition(":")
            assert not separator or source in compose["volumes"], volume
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], needed
        assert not re.search(r":latest$", service["image"]) or name in ("worker", "docpipe", "serve"), (
            service["image"]
        )


def test_a_misspelled_key_is_not_taken(compose: dict[str, Any]) -> None:
    """The check is one that can fail."""
    spoiled = {**compose, "services": {**compose["services"], "x": {"imag": "y"}}}
    with pytest.raises(ValueError, match="imag"):
        compose_spec.PyCompose.from_json(json.dumps(spoiled))
    (config, *_) = OBJECTS
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**config, "dat": {}}, "1.35", strict=True)


@pytest.mark.parametrize("index", range(len(OBJECTS)))
@pytest.mark.parametrize("version", ["1.30", "1.35"])
def test_kubernetes_takes_each_object(index: int, version: str) -> None:
    """Strictly: no property is one that it would drop."""
    kubernetes_validate.validate(OBJECTS[index], version, strict=True)


def test_kubernetes_objects_refer_to_what_is_there() -> None:
    """Volumes, service accounts, config maps, selectors and ports."""
    names = {(each["kind"], each["metadata"]["name"]) for each in OBJECTS}
    for pod, container in containers():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        assert {mount["name"] for mount in container.get("volumeMounts", ())} <= set(volumes)
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
        if account := pod.get("serviceAccountName"):
            assert ("ServiceAccount", account) in names
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(probe, {})
            for way in ("httpGet", "tcpSocket"):
                assert asked.get(way, {}).get("port") in (ports | {None})
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind("Deployment")]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert all(each["spec"]["selector"]["matchLabels"] in labels for each in of_kind(kind))
    assert all(each["spec"]["selector"] in labels for each in of_kind("Service"))
    assert {each["metadata"].get("namespace") for each in OBJECTS} == {"docpipe"}


def test_pods_have_no_more_rights_than_they_need() -> None:
    """No root, no way to get it, nothing to write but their volumes, and bounds of memory."""
    for pod, container in containers():
        assert pod["securityContext"]["runAsNonRoot"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        account = next((a for a in of_kind("ServiceAccount")), {})
        assert pod.get("automountServiceAccountToken", account["automountServiceAccountToken"]) is False


def test_the_store_of_quotas_is_one_and_forgets_nothing_by_itself(compose: dict[str, Any]) -> None:
    """Two would be two quotas, and one that evicts would forget what is spent."""
    (valkey,) = [each for each in of_kind("Deployment") if each["metadata"]["name"] == "valkey"]
    assert (valkey["spec"]["replicas"], valkey["spec"]["strategy"]["type"]) == (1, "Recreate")
    for arguments in (
        valkey["spec"]["template"]["spec"]["containers"][0]["args"],
        compose["services"]["valkey"]["command"],
    ):
        text = " ".join(map(str, arguments))
        assert "--maxmemory-policy noeviction" in text
        assert "--appendonly no" in text
    assert "deploy" not in compose["services"]["valkey"]


def bytes_of(text: str) -> int:
    units = {"m": MIB, "g": 1024 * MIB, "Mi": MIB, "Gi": 1024 * MIB}
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]  # as the files have it
    return int(number) * units[unit]


def test_workers_have_the_memory_that_the_sizing_says(compose: dict[str, Any]) -> None:
    """For docpipe itself, the parent of the converters, and each conversion."""
    worker = compose["services"]["worker"]
    conversions = int(worker["environment"]["DOCPIPE_CONVERT__WORKERS"])
    assert bytes_of(worker["mem_limit"]) >= OWN_MEMORY + CONVERTERS + conversions * DOCUMENT
    config = tomllib.loads(next(of_kind("ConfigMap"))["data"]["config.toml"])
    (container,) = [c for _, c in containers() if c["name"] == "worker"]
    limit = bytes_of(container["resources"]["limits"]["memory"])
    assert limit >= OWN_MEMORY + CONVERTERS + config["convert"]["workers"] * DOCUMENT


def secrets_in(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in SECRETS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o440)
    return folder


def test_docpipe_takes_the_configuration_of_kubernetes(tmp_path: Path) -> None:
    """Every key is one that it has, and the fleet is whole."""
    folder = secrets_in(tmp_path / "secrets")
    text = next(of_kind("ConfigMap"))["data"]["config.toml"]
    (tmp_path / "config.toml").write_text(text.replace("/run/secrets/docpipe", str(folder)))
    config = load(tmp_path / "config.toml", {})
    assert config.fleet.temporal
    (container,) = [c for _, c in containers() if c["name"] == "worker"]
    (port,) = container["ports"]
    assert config.fleet.probes.endswith(f":{port['containerPort']}")
    assert config.state.dir.startswith("/data/")


def test_the_timer_calls_a_command_that_docpipe_has() -> None:
    """Not before somebody wants it, and never two at a time."""
    (timer,) = of_kind("CronJob")
    assert (timer["spec"]["suspend"], timer["spec"]["concurrencyPolicy"]) == (True, "Forbid")
    (container,) = [c for _, c in containers() if c["name"] == "submit"]
    args = parser().parse_args(container["args"])
    assert (args.command, args.all) == ("submit", True)


async def test_kubernetes_reaches_the_page(tmp_path: Path) -> None:
    """At the port that it listens on, by a name that its guard lets in; the Service sends there."""
    folder = secrets_in(tmp_path / "secrets")
    text = next(of_kind("ConfigMap"))["data"]["config.toml"]
    (tmp_path / "config.toml").write_text(text.replace("/run/secrets/docpipe", str(folder)))
    service = load(tmp_path / "config.toml", {}).service
    (container,) = [c for _, c in containers() if c["name"] == "serve"]
    (port,) = container["ports"]
    assert (port["containerPort"], service.host) == (service.port, "0.0.0.0")  # noqa: S104 -- as in a container
    guard, app = Guard(service, service.port, service.token), web.Application()

    async def let_in(request: web.Request) -> web.Response:
        guard.check(request)
        return web.Response()

    app.add_routes([web.get(route.path, let_in) for route in health.ROUTES])
    async with TestClient(TestServer(app)) as client:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            headers = {each["name"]: each["value"] for each in asked["httpHeaders"]}
            async with client.get(asked["path"], headers=headers) as answer:
                assert answer.status == 200, (probe, await answer.text())
    (page,) = [one for one in of_kind("Service") if one["metadata"]["name"] == "docpipe-serve"]
    assert [one["targetPort"] for one in page["spec"]["ports"]] == [port["name"]]
    (policy,) = of_kind("NetworkPolicy")
    reached_by = [one["podSelector"]["matchLabels"]["app"] for one in policy["spec"]["ingress"][0]["from"]]
    assert {f"docpipe-{name}" for name in ("worker", "serve", "timer", "commands")} == set(reached_by)


def test_docpipe_takes_the_environment_of_compose(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likewise; and its secrets are files that it gets."""
    monkeypatch.chdir(tmp_path)
    folder = secrets_in(tmp_path / "secrets")
    worker = compose["services"]["worker"]
    env = {
        name: str(value).replace("/run/secrets", str(folder)) for name, value in worker["environment"].items()
    }
    config = load(None, env)
    assert config.fleet.temporal == "temporal:7233"
    files = {
        value.rpartition("/")[2] for value in worker["environment"].values() if "/run/secrets/" in str(value)
    }
    assert files == set(worker["secrets"])
    for name in worker["environment"]:
        section, key = name.removeprefix("DOCPIPE_").lower().split("__")
        assert key.removesuffix("_file") in {field.name for field in fields(SECTIONS[section])}


def test_no_secret_is_in_a_file_or_a_command_line() -> None:
    """Passwords and keys come from files of their own, also Temporal's."""
    for text in (COMPOSE, KUBERNETES):
        assert not re.search(r"(?i)(password|token|_key|pwd): *['\"]?[\w]{6,}$", text, re.MULTILINE)
    assert "POSTGRES_PWD:" not in COMPOSE
