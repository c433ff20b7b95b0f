"""Read and write the erasure journal: a chain of files, each created once (I6).

A file is named by its number and begins with the hash of the one before it, so that a file that was
lost, altered or taken from another journal is noticed, and two databases can't both go on from the
same file. After that line it has one for each entry. A line is the SHA-256 of its rest, and JSON.

Journals of before have other files, named by the numbers of their first and last entry. They are
read, as what came before file 0, and no more are written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.rights.erasure.journal_files import JournalFiles
from preference_center.rights.rules.requests import Extent

_OLD_NAME = re.compile(r"erasures-(\d{12})-(\d{12})\.txt")


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One erasure: of an address by its digest, under the digest keys up to `key_id`.

    Without a digest it is of a contact that had no address. `erasure_id` is None in journals of
    before; `number` is the place of the erasure in the database that wrote it.
    """

    number: int
    at: datetime
    extent: Extent
    key_id: str
    channel: Channel | None
    digest: bytes | None
    contact_id: UUID | None
    erasure_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """How far a database has the journal: the number of a file, and the hash of its content."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One file of the chain."""

    head: Head
    previous: bytes | None
    entries: Sequence[JournalEntry]


@dataclass(frozen=True, slots=True)
class Journal:
    """The chain in its place. Methods raise JournalUnavailable, and InvalidInput if altered."""

    files: JournalFiles

    def read(self, number: int) -> JournalFile | None:
        """A file of the chain; None if there is none."""
        name = _name(number)
        content = self.files.read(name)
        return None if content is None else _parse(name, number, content)

    def holds(self, head: Head) -> bool:
        """Whether this is the journal that has this head."""
        found = self.read(head.number)
        return found is not None and found.head == head

    def after(self, head: Head | None) -> Iterator[JournalFile]:
        """The files that follow, in order; all of them for None.

        Raises InvalidInput where one does not follow the one before it.
        """
        while following := self.read(head.number + 1 if head else 0):
            if following.previous != (head.hash if head else None):
                raise InvalidInput(
                    f"{_name(following.head.number)} does not follow the file before it: it is of"
                    " another journal, or a file was altered; restore the journal's files"
                )
            yield following
            head = following.head

    def create(self, head: Head | None, entries: Sequence[JournalEntry], key: UUID) -> Head | None:
        """Write the file after `head`, the first one for None; None if there is one already.

        `key` tells a first file from that of every other journal.
        """
        number = head.number + 1 if head else 0
        first = {"file": number, "previous": head.hash.hex()} if head else {"journal": str(key)}
        lines = [json.dumps(first), *(_to_json(entry) for entry in entries)]
        content = "".join(f"{_checksum(text)} {text}\n" for text in lines).encode()
        if not self.files.create(_name(number), content):
            return None
        return Head(number, hashlib.sha256(content).digest())

    def old_entries(self, after: int) -> Iterator[JournalEntry]:
        """The entries of a journal of before, with numbers above `after`, each once, in order."""
        for name, last in self._old_files():
            if last > after:
                for entry in map(_to_entry, _lines(name, self.files.read(name) or b"")):
                    if entry.number > after:
                        after = entry.number
                        yield entry

    def is_empty(self) -> bool:
        """Whether nothing is there, of now or of before."""
        return self.read(0) is None and not self._old_files()

    def _old_files(self) -> list[tuple[str, int]]:
        found = sorted(filter(None, map(_OLD_NAME.fullmatch, self.files.list_names())), key=_range)
        return [(match[0], int(match[2])) for match in found]


def _range(match: re.Match[str]) -> tuple[int, int]:
    return int(match[1]), int(match[2])


def read_entries(files: JournalFiles) -> Iterator[JournalEntry]:
    """Every entry, in order, those of before first."""
    journal = Journal(files)
    yield from journal.old_entries(0)
    for file in journal.after(None):
        yield from file.entries


def _name(number: int) -> str:
    return f"journal-{number:012d}.txt"


def _to_json(entry: JournalEntry) -> str:
    return json.dumps(
        {
            "number": entry.number,
            "at": entry.at.isoformat(),
            "extent": entry.extent,
            "key": entry.key_id,
            "channel": entry.channel,
            "digest": entry.digest.hex() if entry.digest else None,
            "contact": str(entry.contact_id) if entry.contact_id else None,
            "erasure": str(entry.erasure_id) if entry.erasure_id else None,
        }
    )


def _parse(name: str, number: int, content: bytes) -> JournalFile:
    first, *rest = _lines(name, content)
    previous = bytes.fromhex(first["previous"]) if "previous" in first else None
    head = Head(number, hashlib.sha256(content).digest())
    return JournalFile(head, previous, [_to_entry(raw) for raw in rest])


def _lines(name: str, content: bytes) -> list[dict[str, Any]]:
    found = []
    for number, line in enumerate(content.decode(errors="replace").splitlines() or [""], start=1):
        checksum, _, text = line.partition(" ")
        if checksum != _checksum(text):
            raise InvalidInput(f"{name}, line {number} was altered: restore this file")
        found.append(json.loads(text))
    return found


def _to_entry(raw: dict[str, Any]) -> JournalEntry:
    return JournalEntry(
        raw["number"],
        datetime.fromisoformat(raw["at"]),
        Extent(raw["extent"]),
        raw["key"],
        Channel(raw["channel"]) if raw["channel"] else None,
        bytes.fromhex(raw["digest"]) if raw["digest"] else None,
        UUID(raw["contact"]) if raw["contact"] else None,
        UUID(raw["erasure"]) if raw.get("erasure") else None,
    )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
