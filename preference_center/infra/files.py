"""Output files appear under their name only when they are complete.

They may hold addresses, so they are readable to the owner only. `ROOT` is the folder of the files
that belong to the service and are in no package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from preference_center.core.errors import InvalidInput


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A temporary file that is renamed to `path` at the end, after fsync.

    After an error, and if the process is killed, `path` is as it was before; a kill may leave a
    hidden file with the ending `.part` in the same folder. Raises InvalidInput where no file
    can be created.
    """
    try:
        handle, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    except OSError as error:
        raise InvalidInput(f"can't write there: {error.strerror}") from None
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _fsync(path.parent)


@contextmanager
def atomic_write_text(path: Path) -> Iterator[TextIO]:
    """`atomic_write` for text: UTF-8, line ends as they are written."""
    with atomic_write(path) as file:
        text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        yield text
        text.detach()  # `atomic_write` closes the file


@dataclass(frozen=True, slots=True)
class AtomicFiles:
    """Where to write several outputs, and a folder for intermediate files."""

    temporary_paths: dict[Path, Path]
    """The final path of a file or folder -> where to write it."""
    work_folder: Path
    """A folder that is deleted at the end, on the disk of the first output."""


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[AtomicFiles]:
    """Temporary paths for several outputs, files or folders.

    When the block ends without an error they are renamed to their final paths, in that order,
    and replace what was there. After an error or Ctrl-C nothing is left; a kill may leave
    hidden folders with the ending `.part`, which can be deleted. Raises InvalidInput where
    nothing can be written.
    """
    folders: list[Path] = []
    try:
        temporary_paths = {}
        for path in paths:
            try:
                folders.append(Path(tempfile.mkdtemp(".part", f".{path.name}.", path.parent)))
            except OSError as error:
                raise InvalidInput(f"can't write {path}: {error.strerror}") from None
            temporary_paths[path] = folders[-1] / path.name
        (work := folders[0] / "work").mkdir()
        yield AtomicFiles(temporary_paths, work)
        for temporary in temporary_paths.values():
            _make_durable(temporary)
        for path, temporary in temporary_paths.items():
            _replace(temporary, path)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def sha256_hex(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; for a folder, of the output of `sha256sum *` in it."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = (one for one in sorted(path.iterdir()) if one.is_file() and one.name[0] not in "._")
    lines = "".join(f"{sha256_hex(one)}  {one.name}\n" for one in parts)
    return hashlib.sha256(lines.encode()).hexdigest()


def _replace(temporary: Path, path: Path) -> None:
    if temporary.is_dir() and path.is_dir():
        old = temporary.with_name(f"{temporary.name}.old")
        path.rename(old)  # a folder can't replace another
    temporary.replace(path)
    _fsync(path.parent)


def _make_durable(path: Path) -> None:
    """Write to disk, and make readable to the owner only."""
    if path.is_dir():
        path.chmod(0o700)
        for one in path.iterdir():
            _make_durable(one)
    else:
        path.chmod(0o600)
    _fsync(path)


def _fsync(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package `preference_center`."""


_INSTALLED = PACKAGE / "_root"


IS_INSTALLED = _INSTALLED.is_dir()
"""Whether this is a wheel's copy and no checkout."""


ROOT = _INSTALLED if IS_INSTALLED else PACKAGE.parent
"""The folder of `templates`, `migrations`, `workers`, `Procfile` and the demo in `dev`.

The top of the checkout. A wheel has the same folder inside the package, made by
`pyproject.toml`, so that it claims no other name among the packages of its environment.
"""
