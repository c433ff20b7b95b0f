"""`python -m dev.maintenance.release`: what a release consists of.

`prepare VERSION` writes the version where it stands and gives the change log's section its number
and date, for you to read and commit. `build` makes wheel, sdist, list of parts, notes and
checksums of the commit that is checked out, in `dist/VERSION`. Neither uploads anything.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from dev.errors import EngineError
from preference_center import __version__

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = ROOT / "CHANGELOG.md"
VERSION_FILE = ROOT / "preference_center/__init__.py"
KUSTOMIZATIONS = ("kustomization.yaml", "migrate/kustomization.yaml")
SBOM_OPTIONS = ("--no-dev", "--all-extras", "--no-extra", "demo", "--no-extra", "spark")
"""The list of parts is that of the image."""

_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")  # of PEP 440, what we use
_UNRELEASED = "## [Unreleased]\n"


class ReleaseError(EngineError):
    """What must be done before a release can be made."""


def main(arguments: list[str]) -> int:
    """Run one of the two; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.maintenance.release", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("prepare").add_argument("version")
    steps.add_parser("build").add_argument("--into", type=Path, default=ROOT / "dist")
    options = parser.parse_args(arguments)
    try:
        if options.step == "prepare":
            prepare(options.version, datetime.now(UTC).date())
            print("Read `git diff`, run the targets that docs/upgrading.md names, and commit.")
        else:
            print(f"Built in {build(options.into)}")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def prepare(version: str, day: date) -> None:
    """Write the version and the change log's section. Raises ReleaseError, then nothing is."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"{version} is no version: write it as 1.2.3 or 1.2.3rc1")
    changelog = close_section(CHANGELOG.read_text(), version, day)
    CHANGELOG.write_text(changelog)
    _replace(VERSION_FILE, r'__version__ = "[^"]+"', f'__version__ = "{version}"')
    for name in KUSTOMIZATIONS:
        path = ROOT / "deploy/kubernetes" / name
        _replace(path, r'newTag: "[^"]+"', f'newTag: "{version}"')


def close_section(changelog: str, version: str, day: date) -> str:
    """The change log with what was unreleased as the section of `version`, above an empty one.

    Raises ReleaseError if there is nothing, or if the version was released.
    """
    if f"\n## [{version}]" in changelog:
        raise ReleaseError(f"CHANGELOG.md has a section of {version} already")
    if not section(changelog, "Unreleased"):
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased")
    return changelog.replace(_UNRELEASED, f"{_UNRELEASED}\n## [{version}] - {day.isoformat()}\n", 1)


def section(changelog: str, version: str) -> str:
    """What the change log says of a version, without its heading. Raises ReleaseError."""
    parts = re.split(r"^## \[([^\]]+)\].*\n", changelog, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if version not in found:
        raise ReleaseError(f"CHANGELOG.md has no section of {version}: prepare it first")
    return found[version].strip()


def build(into: Path) -> Path:
    """Build everything and return its folder, `into/VERSION`, made anew.

    Raises ReleaseError for a tree with changes, for a version without notes, and where a program
    fails.
    """
    if changed := _run("git", "status", "--porcelain"):
        raise ReleaseError(f"Commit first, a release is of a commit:\n{changed}")
    notes = section(CHANGELOG.read_text(), __version__)
    folder = into / __version__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    uv = str(Path(sys.executable).parent / "uv")
    _run(uv, "build", "--quiet", "--no-build-isolation", "--python", sys.executable,
         "--out-dir", str(folder))  # fmt: skip
    (folder / ".gitignore").unlink(missing_ok=True)
    sbom = folder / f"preference_center-{__version__}.cdx.json"
    _run(uv, "export", "--quiet", "--locked", *SBOM_OPTIONS, "--format", "cyclonedx1.5",
         "--preview-features", "sbom-export", "--output-file", str(sbom))  # fmt: skip
    (folder / "NOTES.md").write_text(f"{notes}\n")
    (folder / "SHA256SUMS").write_text(checksums(folder))
    return folder


def checksums(folder: Path) -> str:
    """The files of a folder as `sha256sum --check` reads them."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    )


def _replace(path: Path, pattern: str, text: str) -> None:
    changed, count = re.subn(pattern, text, path.read_text())
    if count != 1:
        raise ReleaseError(f"{path.relative_to(ROOT)}: expected one {pattern}, found {count}")
    path.write_text(changed)


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
