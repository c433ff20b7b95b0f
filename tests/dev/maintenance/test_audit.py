"""What pip-audit and npm report is read whole, and an index that tells nothing is no clean bill."""

from __future__ import annotations

import json

import pytest

from dev.maintenance.audit import (
    JAVASCRIPT,
    PYTHON,
    NotAudited,
    audit_javascript,
    read_npm_audit,
    read_pip_audit,
)

FLASK = {
    "name": "flask",
    "version": "0.5",
    "vulns": [{"id": "PYSEC-2019-179", "fix_versions": ["1.0"], "aliases": [], "description": ""}],
}
CLEAN = {"name": "click", "version": "8.1.7", "vulns": []}
UNKNOWN = {"name": "inhouse", "skip_reason": "Dependency not found on PyPI"}
MINIMIST = {
    "name": "minimist",
    "severity": "critical",
    "via": [{"title": "Prototype Pollution", "url": "https://github.com/advisories/GHSA-1"}],
    "range": "<0.2.4",
    "fixAvailable": True,
}
MKDIRP = MINIMIST | {"name": "mkdirp", "via": ["minimist"], "range": "0.4.1 - 0.5.1"}


def pip(*packages: object) -> list[str]:
    return read_pip_audit(json.dumps({"dependencies": packages, "fixes": []}))


def test_a_vulnerable_package_of_python_is_named_with_what_fixes_it() -> None:
    assert pip(FLASK, CLEAN) == ["flask 0.5: PYSEC-2019-179, fixed in 1.0"]
    assert pip(CLEAN) == []


def test_one_package_that_is_not_found_is_a_finding() -> None:
    assert pip(CLEAN, UNKNOWN) == ["inhouse: not found, so not audited"]


@pytest.mark.parametrize("report", ["", json.dumps({"dependencies": [UNKNOWN]})])
def test_an_index_without_advisories_audits_nothing_of_python(report: str) -> None:
    with pytest.raises(NotAudited):
        read_pip_audit(report)


def test_a_vulnerable_package_of_npm_is_named_with_its_advisory() -> None:
    report = {"auditReportVersion": 2, "vulnerabilities": {"mkdirp": MKDIRP, "minimist": MINIMIST}}
    assert read_npm_audit(json.dumps(report)) == [
        "minimist <0.2.4: critical, https://github.com/advisories/GHSA-1",
        "mkdirp 0.4.1 - 0.5.1: critical, minimist",
    ]


@pytest.mark.parametrize("report", ["", '{"message": "405 Method Not Allowed", "statusCode": 405}'])
def test_a_registry_without_advisories_audits_nothing_of_npm(report: str) -> None:
    with pytest.raises(NotAudited):
        read_npm_audit(report)


def test_a_machine_without_npm_audits_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotAudited, match="npm is missing"):
        audit_javascript(JAVASCRIPT[0])


def test_every_lock_file_is_there_and_names_no_registry() -> None:
    assert PYTHON.exists()
    for lock in JAVASCRIPT:
        packages = json.loads(lock.read_text())["packages"]
        assert not [name for name, package in packages.items() if "resolved" in package]
