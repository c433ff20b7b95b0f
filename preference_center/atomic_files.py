"""Output files that appear under their name only when complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from preference_center.errors import InvalidInput


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A temporary file that is renamed to `path` at the end, after fsync.

    On any error, and if the process is killed, `path` is unchanged; after a kill a hidden
    file with the suffix `.part` may remain in its directory. Readable by the owner only.
    Raises InvalidInput where no file can be created.
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
    _fsync_directory(path.parent)


@contextmanager
def atomic_write_text(path: Path) -> Iterator[TextIO]:
    """The same for text: UTF-8, without translation of line ends."""
    with atomic_write(path) as file:
        text = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        yield text
        text.detach()  # left for `atomic_write` to close


def _fsync_directory(directory: Path) -> None:
    """Make the new name survive a power failure."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
