"""The erasure journal's files: a chain that nothing can be taken from or put into (I6)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput, JournalUnavailable
from preference_center.rights.erasure.journal_chain import (
    Head,
    Journal,
    JournalEntry,
    read_entries,
)
from preference_center.rights.erasure.journal_files import LocalFiles, open_files
from preference_center.rights.rules.requests import Extent

AT = datetime(2026, 11, 24, tzinfo=UTC)
KEY = UUID(int=77)


def entry(number: int) -> JournalEntry:
    return JournalEntry(
        number,
        AT,
        Extent.ACCOUNT,
        "k1",
        Channel.EMAIL,
        bytes(32),
        UUID(int=number),
        UUID(int=100 + number),
    )


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(open_files(str(tmp_path)))


def write(journal: Journal, *numbers: int) -> list[Head]:
    """A chain with one entry a file, after the first one; returns all heads."""
    heads = [journal.create(None, (), KEY)]
    for number in numbers:
        heads.append(journal.create(heads[-1], [entry(number)], KEY))
    return [head for head in heads if head]


def test_entries_are_read_back_in_order(journal: Journal) -> None:
    write(journal, 1, 2, 3)
    assert list(read_entries(journal.files)) == [entry(1), entry(2), entry(3)]


def test_a_file_never_replaces_another(journal: Journal, tmp_path: Path) -> None:  # I6
    first = write(journal, 1)[0]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert journal.create(first, [entry(2)], KEY) is None
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_altered_file_is_noticed_though_its_checksums_are_right(
    journal: Journal, tmp_path: Path, number: int
) -> None:
    heads = write(journal, 1, 2)
    path = tmp_path / f"journal-{number:012d}.txt"
    lines = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    raw = json.loads(lines[-1]) | {"at": "2020-01-01T00:00:00+00:00"}
    lines[-1] = json.dumps(raw)
    path.write_text(
        "".join(f"{hashlib.sha256(line.encode()).hexdigest()} {line}\n" for line in lines)
    )
    if number < 2:
        with pytest.raises(InvalidInput, match="does not follow"):
            list(journal.after(None))
    assert not journal.holds(heads[number])


def test_the_file_of_another_journal_is_noticed(journal: Journal, tmp_path: Path) -> None:
    heads = write(journal, 1)
    (other := tmp_path / "other").mkdir()
    Journal(LocalFiles(other)).create(None, (), UUID(int=78))
    (other / "journal-000000000000.txt").replace(tmp_path / "journal-000000000000.txt")
    assert not journal.holds(heads[0])
    with pytest.raises(InvalidInput, match="another journal"):
        list(journal.after(None))


def test_a_file_that_is_empty_is_said_to_be_altered(journal: Journal, tmp_path: Path) -> None:
    [head] = write(journal)
    (tmp_path / "journal-000000000001.txt").touch()
    with pytest.raises(InvalidInput, match="line 1 was altered"):
        list(journal.after(head))


def test_a_folder_that_is_missing_is_no_empty_journal(tmp_path: Path) -> None:
    journal = Journal(LocalFiles(tmp_path / "missing"))
    for ask in (journal.is_empty, lambda: journal.read(0), lambda: write(journal)):
        with pytest.raises(JournalUnavailable):
            ask()
