"""The erasure journal's files: a chain that nothing can be taken from or put into (I6)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
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


def test_an_entry_is_read_as_it_was_written_whatever_it_lacks(journal: Journal) -> None:
    without = JournalEntry(3, AT, Extent.ACCOUNT, "k1", None, None, None, None)
    head = journal.create(None, [entry(1), without], KEY)
    assert head
    file = journal.read(0)
    assert file
    assert (file.head, file.previous, list(file.entries)) == (head, None, [entry(1), without])
    following = journal.create(head, (), KEY)
    file = journal.read(1)
    assert file
    assert (file.head, file.previous, file.entries) == (following, head.hash, [])
    assert journal.read(2) is None


def test_each_file_begins_with_its_number_and_the_hash_of_the_one_before(
    journal: Journal, tmp_path: Path
) -> None:
    heads = write(journal, 1, 2)
    paths = sorted(tmp_path.iterdir())
    assert [path.name for path in paths] == [f"journal-{n:012d}.txt" for n in range(3)]
    assert [head.number for head in heads] == [0, 1, 2]
    assert [head.hash for head in heads] == [
        hashlib.sha256(path.read_bytes()).digest() for path in paths
    ]
    firsts = [json.loads(path.read_text().splitlines()[0].split(" ", 1)[1]) for path in paths]
    assert firsts == [
        {"journal": str(KEY)},
        {"file": 1, "previous": heads[0].hash.hex()},
        {"file": 2, "previous": heads[1].hash.hex()},
    ]


def test_a_database_goes_on_after_the_file_that_it_has(journal: Journal) -> None:
    heads = write(journal, 1, 2)
    assert all(journal.holds(head) for head in heads)
    assert not journal.holds(Head(1, bytes(32)))
    assert not journal.holds(Head(9, heads[1].hash))
    assert [file.head for file in journal.after(None)] == heads
    assert [file.head for file in journal.after(heads[0])] == heads[1:]
    assert [*journal.after(heads[2])] == []


def test_the_line_that_was_altered_is_named(journal: Journal, tmp_path: Path) -> None:
    journal.create(None, [entry(1), entry(2)], KEY)
    path = tmp_path / "journal-000000000000.txt"
    path.write_bytes(path.read_bytes().replace(b'"number": 2', b'"number": 3'))
    with pytest.raises(InvalidInput, match=r"journal-000000000000.txt, line 3 was altered"):
        journal.read(0)


def write_old(folder: Path, first: int, last: int, *entries: JournalEntry) -> None:
    """A file as versions before the chain wrote it."""
    texts = [
        json.dumps(
            {
                "number": each.number, "at": AT.isoformat(), "extent": "account", "key": "k1",
                "channel": "email", "digest": bytes(32).hex(), "contact": str(each.contact_id),
            }
        )
        for each in entries
    ]  # fmt: skip
    content = "".join(f"{hashlib.sha256(text.encode()).hexdigest()} {text}\n" for text in texts)
    (folder / f"erasures-{first:012d}-{last:012d}.txt").write_text(content)


def test_a_journal_of_before_is_read_first_each_entry_once_and_in_order(
    journal: Journal, tmp_path: Path
) -> None:
    assert journal.is_empty()
    old = [replace(entry(n), erasure_id=None) for n in range(1, 6)]
    write_old(tmp_path, 3, 5, *old[2:])
    assert not journal.is_empty()
    write_old(tmp_path, 1, 2, *old[:2])
    write_old(tmp_path, 1, 3, *old[:3])  # written twice, after a crash
    (tmp_path / "erasures-1-2.txt").write_text("of nobody")
    assert list(journal.old_entries(0)) == old
    assert list(journal.old_entries(2)) == old[2:]
    assert list(journal.old_entries(5)) == []
    journal.create(None, [entry(9)], KEY)
    assert list(read_entries(journal.files)) == [*old, entry(9)]


def test_a_journal_with_a_first_file_is_not_empty(journal: Journal) -> None:
    write(journal)
    assert not journal.is_empty()
