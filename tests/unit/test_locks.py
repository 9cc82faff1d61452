"""The lock files: every package that docpipe asks for, in one version, with the hashes of its files."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.locks import LOCKS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def locked(lock: str) -> dict[str, list[str]]:
    """The versions of each package in a lock file."""
    versions: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", " ", (ROOT / lock).read_text("utf-8")).splitlines():
        if line.startswith("#"):
            continue
        package, _, hashes = line.partition(" --hash=")
        assert re.fullmatch(r"sha256:[0-9a-f]{64}(\s+--hash=sha256:[0-9a-f]{64})*", hashes.strip()), package
        requirement = Requirement(package.strip())
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", package
        versions.setdefault(canonicalize_name(requirement.name), []).append(specifier.version)
    return versions


def wanted(extras: list[str]) -> list[Requirement]:
    """What the project itself asks for, and what some of its extras do."""
    result = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    for extra in extras:
        for line in EXTRAS[extra]:
            requirement = Requirement(line)
            result += wanted(sorted(requirement.extras)) if requirement.name == "docpipe" else [requirement]
    return result


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_locked(lock: str) -> None:
    """Each is there, in versions that pyproject.toml allows; `python -m tests.locks` makes the files anew."""
    versions = locked(lock)
    if lock == "docpipe/deploy/build.lock":
        requirements = [Requirement(line) for line in PROJECT["dependency-groups"]["build"]]
    else:
        requirements = wanted(re.findall(r"--extra (\w+)", LOCKS[lock]))
    for requirement in requirements:
        for version in versions[canonicalize_name(requirement.name)]:
            assert requirement.specifier.contains(version), requirement


def test_people_and_tests_get_the_same_versions() -> None:
    """What the tests ran with is what is installed."""
    tested = locked("tests/requirements.lock")
    for name, versions in locked("requirements.lock").items():
        assert tested[name] == versions, name
