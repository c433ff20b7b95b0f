"""The erasure journal in a bucket of S3, which moto keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from preference_center.core.addresses import Channel
from preference_center.core.errors import JournalUnavailable
from preference_center.rights.erasure.journal import (
    JournalEntry,
    last_number,
    open_files,
    read_entries,
    write_entries,
)
from preference_center.rights.rules.requests import Extent
from tests.real.conftest import Start
from tests.real.tools.moto import KEY, REGION, SECRET

BUCKET = "journal"
AT = datetime(2026, 11, 24, tzinfo=UTC)


def entry(number: int) -> JournalEntry:
    return JournalEntry(
        number, AT, Extent.ACCOUNT, "k1", Channel.EMAIL, bytes(32), UUID(int=number)
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


def test_entries_are_read_back_in_order_and_once(url: str) -> None:
    files = open_files(f"s3://{BUCKET}/erasures", url)
    assert last_number(files) == 0
    write_entries(files, [entry(3)])
    write_entries(files, [entry(1), entry(2)])
    write_entries(files, [entry(3)])
    assert last_number(files) == 3
    assert list(read_entries(files, 0)) == [entry(1), entry(2), entry(3)]
    assert list(read_entries(files, 2)) == [entry(3)]


def test_a_bucket_that_is_missing_is_said_to_be_unavailable(url: str) -> None:
    files = open_files("s3://no-such-bucket/erasures", url)
    with pytest.raises(JournalUnavailable):
        write_entries(files, [entry(1)])
