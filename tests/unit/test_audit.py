"""The comparison of locked packages with published vulnerabilities."""

import json
import zipfile

import pytest

from tests import audit

LOCK = """# made
Aio_csv==1.4.1 \\
    --hash=sha256:00
pillow==11.0 ; python_version > '3.11' \\
    --hash=sha256:11
"""


def advisory(name, *, versions=(), events=(), **more):
    """An advisory as OSV has it."""
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    package = {"ecosystem": "PyPI", "name": name}
    affected = {"package": package, "versions": list(versions), "ranges": ranges}
    return {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "Bad.", "affected": [affected], **more}


def test_packages_of_a_lock_file():
    """Names in one spelling, with their versions."""
    assert audit.locked(LOCK) == {("aio-csv", "1.4.1"), ("pillow", "11.0")}


@pytest.mark.parametrize(
    ("listed", "hits"),
    [
        (advisory("AIO.CSV", versions=["1.4.1"]), 1),
        (advisory("pillow", events=[{"introduced": "0"}, {"fixed": "11.0.1"}]), 1),
        (advisory("pillow", events=[{"introduced": "0"}, {"fixed": "11.0"}]), 0),
        (advisory("pillow", events=[{"introduced": "0"}, {"last_affected": "11.0"}]), 1),
        (advisory("pillow", events=[{"introduced": "0"}, {"fixed": "9"}, {"introduced": "10.1"}]), 1),
        (advisory("pillow", events=[{"introduced": "12"}]), 0),
        (advisory("pillow-heif", versions=["11.0"]), 0),
        (advisory("pillow", versions=["11.0"], withdrawn="2026-01-01"), 0),
        ({"id": "x", "affected": [{"package": {"ecosystem": "npm", "name": "pillow"}}]}, 0),
    ],
)
def test_what_an_advisory_is_about(listed, hits):
    """By its list of versions, or by its ranges."""
    lines = audit.known(audit.locked(LOCK), [listed])
    assert len(lines) == hits
    assert all("PYSEC-1, CVE-1: Bad." in line for line in lines)


def test_with_advisories_at_hand(tmp_path, capsys):
    """A ZIP is read without the network; what is known ends the command with 1."""
    name, version = min(audit.locked((audit.ROOT / "requirements.lock").read_text("utf-8")))
    for versions, status in (((version,), audit.KNOWN), ((), audit.CLEAN)):
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.writestr("PYSEC-1.json", json.dumps(advisory(name, versions=versions)))
        assert audit.main(["--osv", str(tmp_path / "all.zip")]) == status
    assert f"{name} {version}: PYSEC-1" in capsys.readouterr().out


def test_without_data_nothing_is_claimed(tmp_path, monkeypatch, capsys):
    """Neither where the file is empty nor where pip-audit is missing."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert audit.main(["--osv", str(tmp_path)]) == audit.NO_DATA
    assert audit.main([]) == audit.NO_DATA
    assert capsys.readouterr().out.count("NOT COMPARED") == 2
