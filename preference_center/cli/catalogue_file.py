"""Reading a catalogue with the files that it names."""

from __future__ import annotations

from pathlib import Path

from preference_center.domain.catalogue import inline_files
from preference_center.errors import CatalogueError


def read_catalogue(path: Path) -> str:
    """The catalogue at `path`, whole. Raises CatalogueError, and OSError for the file itself."""
    return complete_catalogue(path.read_bytes(), path.parent)


def complete_catalogue(raw: bytes, folder: Path) -> str:
    """A catalogue as text, with the files that it names by their path from `folder`.

    Raises CatalogueError if it is not UTF-8, or one of these files can't be read.
    """
    try:
        text = raw.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CatalogueError([f"line {line}: not UTF-8; save the file as UTF-8"]) from error
    return inline_files(text, lambda name: (folder / name).read_bytes())
