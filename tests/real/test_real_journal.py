"""The erasure journal in a bucket of S3, which moto keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import JournalUnavailable
from preference_center.rights.erasure.journal_chain import Journal, JournalEntry, read_entries
from preference_center.rights.erasure.journal_files import S3Files, open_files
from preference_center.rights.rules.requests import Extent
from tests.real.conftest import Start
from tests.real.tools.moto import KEY, REGION, SECRET

BUCKET = "journal"
AT = datetime(2026, 11, 24, tzinfo=UTC)


def entry(number: int) -> JournalEntry:
    return JournalEntry(
        number, AT, Extent.ACCOUNT, "k1", Channel.EMAIL, bytes(32), None, UUID(int=number)
    )


@pytest.fixture
def url(start: Start, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    url = start("moto").settings["base_url"]
    httpx.put(
        f"{url}/{BUCKET}",
        content=f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint>"
        "</CreateBucketConfiguration>",
    )
    return url


def test_a_chain_is_written_once_and_read_back_in_order(url: str) -> None:  # I6
    files = open_files(f"s3://{BUCKET}/erasures", url)
    journal, key = Journal(files), UUID(int=7)
    assert journal.is_empty()
    first = journal.create(None, (), key)
    second = journal.create(first, [entry(1), entry(2)], key)
    assert first
    assert second
    assert journal.create(first, [entry(3)], key) is None
    assert journal.create(second, [entry(3)], key)
    assert list(read_entries(files)) == [entry(1), entry(2), entry(3)]
    assert journal.holds(second)
    assert not journal.is_empty()


def test_two_that_write_at_once_do_not_replace_each_other(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # I6
    files = open_files(f"s3://{BUCKET}/race", url)
    monkeypatch.setattr(S3Files, "read", lambda *_: None)  # both look before either has written
    assert files.create("journal-000000000001.txt", b"first")
    with pytest.raises(JournalUnavailable):
        files.create("journal-000000000001.txt", b"second")
    monkeypatch.undo()
    assert files.read("journal-000000000001.txt") == b"first"


def test_a_bucket_that_is_missing_is_said_to_be_unavailable(url: str) -> None:
    files = open_files("s3://no-such-bucket/erasures", url)
    with pytest.raises(JournalUnavailable):
        Journal(files).create(None, (), UUID(int=7))
