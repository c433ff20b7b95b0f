"""What waits for a person: shown decoded, forgotten once it is decided, and sealed until then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import ALL_MARKETING
from preference_center.inbound import review
from preference_center.inbound.review import Meaning, NotOpen
from preference_center.inbound.store import ReviewItem, list_open_items, purge_items
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from tests.clock import START
from tests.inbound.mail.fixtures import REPLIES, REPORTS, Take
from tests.inbound.rules.reports import arf, reply
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

pytestmark = pytest.mark.usefixtures("mailboxes")


def waiting(app: Flask) -> Sequence[ReviewItem]:
    with app.app_context():
        return run_in_transaction(lambda c: list_open_items(c, 10))


def test_shows_the_text_of_a_mail_however_it_is_encoded(app: Flask, take: Take) -> None:
    mail = (
        b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\r\nTo: stop@example.com\r\n"
        b"Subject: =?utf-8?b?RsO8ciBTaWU=?=\r\nMIME-Version: 1.0\r\nX-Noise: 1\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"R3LDvMOfZSBhbiBhbGxlIQ==\r\n"
    )
    take(mail, REPLIES)
    (item,) = waiting(app)
    with app.app_context():
        shown = review.show_mail(review.load_item(item.id)[1])
    fields = dict(shown.fields)
    assert fields["From"] == "Jörg <joerg@example.com>"
    assert fields["Subject"] == "Für Sie"
    assert "X-Noise" not in fields
    assert shown.texts == [("text/plain", "Grüße an alle!")]


def test_what_was_dismissed_does_not_wait_again(app: Flask, take: Take, ledger: Ledger) -> None:
    take(reply("Where is my order"), REPLIES)
    with app.app_context():
        review.dismiss_items([waiting(app)[0].id], "test")
    take(reply("Where is my order"), REPLIES)  # delivered again
    assert not waiting(app)
    assert ledger.kinds() == []


def test_dismisses_all_that_are_named_or_none(app: Flask, take: Take) -> None:
    take(reply("Where is my order"), REPLIES)
    (item,), unknown = waiting(app), UUID(int=7)
    with app.app_context(), pytest.raises(NotOpen, match=str(unknown)):
        review.dismiss_items([item.id, unknown], "test")
    assert waiting(app) == [item]


def test_content_is_kept_for_30_days_and_sealed_and_the_row_is_not_lost(
    app: Flask, take: Take
) -> None:  # I6
    take(reply("Where is my order"), REPLIES)
    with app.app_context():
        (stored,) = run_in_transaction(
            lambda c: c.execute("SELECT head FROM review_queue").fetchall()
        )
        assert b"order" not in stored[0]
        run_in_transaction(lambda connection: purge_items(connection, START + timedelta(days=31)))
    assert [item.has_content for item in waiting(app)] == [False]


def test_a_complaint_can_be_resolved(app: Flask, take: Take, ledger: Ledger) -> None:
    take(arf("Original-Rcpt-To: redacted@example.com"), REPORTS)
    (item,) = waiting(app)
    jane = parse_address("jane.doe@example.com", Channel.EMAIL)
    with app.app_context():
        origin = RequestOrigin("test", "test", services().now())
        review.resolve_item(item, [jane], Meaning.COMPLAINED, ALL_MARKETING, origin)
    assert ledger.kinds() == [("complained", "all_marketing")]
