"""A release: its version in one place, its notes from the change log, its files with checksums."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from pathlib import Path

import pytest

from dev.maintenance import release
from preference_center import __version__

CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n\n## [0.1.0] - 2026-12-01\n\n- Old.\n"
)
DAY = date(2027, 1, 2)


def test_what_was_unreleased_becomes_the_section_of_the_version() -> None:
    closed = release.close_section(CHANGELOG, "0.2.0", DAY)
    assert "\n## [0.2.0] - 2027-01-02\n" in closed
    assert release.section(closed, "0.2.0") == "### Added\n\n- One."
    assert release.section(closed, "0.1.0") == "- Old."
    assert release.section(closed, "Unreleased") == ""


def test_a_version_is_released_once_and_with_notes() -> None:
    with pytest.raises(release.ReleaseError, match=r"section of 0\.1\.0 already"):
        release.close_section(CHANGELOG, "0.1.0", DAY)
    empty = release.close_section(CHANGELOG, "0.2.0", DAY)
    with pytest.raises(release.ReleaseError, match="nothing under Unreleased"):
        release.close_section(empty, "0.3.0", DAY)
    with pytest.raises(release.ReleaseError, match=r"no section of 0\.9\.0"):
        release.section(CHANGELOG, "0.9.0")


@pytest.mark.parametrize("version", ["1", "v1.0.0", "1.0.0-beta", "1.0.0 "])
def test_what_is_no_version_changes_nothing(version: str) -> None:
    with pytest.raises(release.ReleaseError, match="is no version"):
        release.prepare(version, DAY)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of the files that a release writes."""
    for path in (release.CHANGELOG, release.VERSION_FILE):
        copy = tmp_path / path.relative_to(release.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    for name in release.KUSTOMIZATIONS:
        copy = tmp_path / "deploy/kubernetes" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((release.ROOT / "deploy/kubernetes" / name).read_text())
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "CHANGELOG", tmp_path / "CHANGELOG.md")
    monkeypatch.setattr(release, "VERSION_FILE", tmp_path / "preference_center/__init__.py")
    return tmp_path


def test_the_version_is_written_wherever_it_stands(checkout: Path) -> None:
    assert release.main(["prepare", "7.8.9"]) == 0
    assert '__version__ = "7.8.9"' in release.VERSION_FILE.read_text()
    for name in release.KUSTOMIZATIONS:
        assert 'newTag: "7.8.9"' in (checkout / "deploy/kubernetes" / name).read_text()
    assert release.section(release.CHANGELOG.read_text(), "7.8.9")
    assert release.main(["prepare", "7.8.9"]) == 1


def test_the_manifests_name_the_version_of_the_package() -> None:
    for name in release.KUSTOMIZATIONS:
        text = (release.ROOT / "deploy/kubernetes" / name).read_text()
        assert f'newTag: "{__version__}"' in text


def test_a_tree_with_changes_is_not_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "_run", lambda *_: " M app.py\n")
    assert release.main(["build", "--into", str(tmp_path)]) == 1
    assert "Commit first" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_release_has_its_files_and_their_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = release._run
    monkeypatch.setattr(
        release, "_run", lambda *command: "" if command[0] == "git" else real(*command)
    )
    monkeypatch.setattr(release, "section", lambda *_: "- One.")
    folder = release.build(tmp_path)
    name = f"preference_center-{__version__}"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.tar.gz", f"{name}-py3-none-any.whl", f"{name}.cdx.json", "NOTES.md", "SHA256SUMS"
    }  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    parts = json.loads((folder / f"{name}.cdx.json").read_text())
    names = {each["name"] for each in parts["components"]}
    assert {"flask", "duckdb"} <= names
    assert "pytest" not in names
