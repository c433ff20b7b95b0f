"""Files that are complete, or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from preference_center.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class AtomicFiles:
    """Where to write what shall appear under other names, and room for what shall not."""

    temporary_paths: dict[Path, Path]
    """The path that a file or folder is to have -> where to write it."""
    work_folder: Path
    """A folder that is gone in the end, beside the first of them. For the owner only."""


@contextmanager
def atomic_files(paths: Sequence[Path]) -> Iterator[AtomicFiles]:
    """Places to write to; once the block has ended well they take their names, in that order.

    What had such a name before is replaced. After an error or Ctrl-C nothing is left; after
    a kill a hidden folder with the ending `.part` may be, and can be deleted. Raises
    InvalidInput where nothing can be written.
    """
    folders: list[Path] = []
    try:
        of = {}
        for path in paths:
            try:
                folders.append(Path(tempfile.mkdtemp(".part", f".{path.name}.", path.parent)))
            except OSError as error:
                raise InvalidInput(f"can't write {path}: {error.strerror}") from None
            of[path] = folders[-1] / path.name
        (work := folders[0] / "work").mkdir()
        yield AtomicFiles(of, work)
        for draft in of.values():
            _make_durable(draft)
        for path, draft in of.items():
            _replace(draft, path)
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def sha256_hex(path: Path) -> str:
    """Of a file's octets, in hexadecimal; of a folder's, that of `sha256sum *` in it."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    parts = (one for one in sorted(path.iterdir()) if one.is_file() and one.name[0] not in "._")
    lines = "".join(f"{sha256_hex(one)}  {one.name}\n" for one in parts)
    return hashlib.sha256(lines.encode()).hexdigest()


def _replace(draft: Path, path: Path) -> None:
    if draft.is_dir() and path.is_dir():
        old = draft.with_name(f"{draft.name}.old")
        path.rename(old)  # a folder can't replace another
    draft.replace(path)
    _fsync(path.parent)


def _make_durable(draft: Path) -> None:
    """On disk, and readable to the owner only: it holds addresses."""
    if draft.is_dir():
        draft.chmod(0o700)
        for one in draft.iterdir():
            _make_durable(one)
    else:
        draft.chmod(0o600)
    _fsync(draft)


def _fsync(path: Path) -> None:
    """Have a file's content, or a folder's names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
