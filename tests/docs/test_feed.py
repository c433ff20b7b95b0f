"""The reader that docs/feed.md names, run as it is: its copy ends at our state."""

from __future__ import annotations

import json
import runpy
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dev.processes import wait_until
from preference_center.ledger import watermarks
from preference_center.web.api.keys import KeyScope
from tests.docs.reading import ROOT
from tests.in_force import put_in_force
from tests.web.api.sender import Sender, make_sender

if TYPE_CHECKING:
    from flask import Flask

REF = {"ref": "7", "scope": "acme.news", "address": "ada@example.com"}
LATER, EARLIER = "2026-11-25T12:00:00.5+00:00", "2026-11-25T12:00:00+00:00"


@pytest.fixture
def names() -> dict[str, Any]:
    """What the reader defines."""
    return runpy.run_path(str(ROOT / "docs/examples/follow.py"), run_name="follow")


@pytest.fixture
def copy(names: dict[str, Any]) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:")
    db.executescript(names["TABLES"])
    yield db
    db.close()


@pytest.fixture
def sender(app: Flask) -> Sender:
    put_in_force(app)
    with app.app_context():
        watermarks.ensure_epoch()
    return make_sender(app, "warehouse", list(KeyScope))


@pytest.fixture
def http(sender: Sender) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(app=sender.app)
    with httpx.Client(
        base_url="http://localhost", headers=sender.headers, transport=transport
    ) as client:
        yield client


def scopes(copy: sqlite3.Connection) -> dict[str, bool]:
    rows = copy.execute("SELECT scope, status FROM scope_status").fetchall()
    return {scope: json.loads(status)["off"] for scope, status in rows}


def test_the_copy_begins_with_a_snapshot_and_follows(
    names: dict[str, Any], copy: sqlite3.Connection, sender: Sender, http: httpx.Client
) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    assert names["read_page"](http, copy) is True
    assert scopes(copy) == {"acme.offers": True}
    sender.opt_out("ada@example.com", "all_marketing")

    def has_both() -> bool:  # another test's open transaction may hold the feed back
        names["read_page"](http, copy)
        return scopes(copy) == {"acme.offers": True, "all_marketing": True}

    assert wait_until(has_both, seconds=30)


def test_a_refused_watermark_leads_to_a_snapshot(
    names: dict[str, Any], copy: sqlite3.Connection, sender: Sender, http: httpx.Client
) -> None:
    sender.opt_out("ada@example.com", "acme.offers")
    names["keep_watermark"](copy, "00000001.5.0")
    names["keep"](copy, REF | {"status": {"off": True}})
    assert names["read_page"](http, copy) is True
    assert scopes(copy) == {"acme.offers": True}


@pytest.mark.parametrize("last", ["", '{"end": true, "count": 2}\n'])
def test_a_snapshot_that_is_not_whole_changes_nothing(
    names: dict[str, Any], copy: sqlite3.Connection, last: str
) -> None:
    names["keep"](copy, REF | {"status": {"off": True}})
    copy.commit()
    row = json.dumps(REF | {"scope": "acme.offers", "status": {"off": True}})
    answer = httpx.Response(200, text=f'{{"watermark": "1.2.3"}}\n{row}\n{last}')
    with (
        httpx.Client(
            base_url="http://localhost", transport=httpx.MockTransport(lambda _: answer)
        ) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        names["read_page"](client, copy)
    assert scopes(copy) == {"acme.news": True}
    assert copy.execute("SELECT * FROM watermark").fetchall() == []


def test_an_erased_person_leaves_the_opt_out_and_nothing_readable(
    names: dict[str, Any], copy: sqlite3.Connection
) -> None:  # I6
    times = {"consent_at": EARLIER, "frequency_at": EARLIER, "frequency": "weekly"}
    names["keep"](copy, REF | {"status": {"off": True, **times}})
    names["keep"](copy, REF | {"scope": "acme.offers", "status": {"off": False, **times}})
    names["keep"](copy, REF | {"scope": "acme.tips", "status": {"off": False, "consent_at": LATER}})
    names["forget"](copy, {"ref": "7", "counts_at": EARLIER})
    rows = copy.execute("SELECT scope, address, status FROM scope_status ORDER BY 1").fetchall()
    assert [(scope, address, json.loads(status)) for scope, address, status in rows] == [
        ("acme.news", None, {"off": True}),
        ("acme.tips", None, {"off": False, "consent_at": LATER}),
    ]
