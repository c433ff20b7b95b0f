"""`flask inbound review-queue`: a person decides on what is not certain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from tests.clock import START, Clock
from tests.domain.mail.reports import arf, reply
from tests.inbound.conftest import REPLIES, REPORTS, Take
from tests.pages.ledger import Ledger

if TYPE_CHECKING:
    from flask import Flask

JANE = "jane.doe@example.com"

pytestmark = pytest.mark.usefixtures("mailboxes")


@pytest.fixture
def cli(app: Flask) -> Callable[..., str]:
    def run(*words: str, given: str = "") -> str:
        result = app.test_cli_runner().invoke(args=["inbound", "review-queue", *words], input=given)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_shows_what_waits_and_forgets_what_was_decided(
    take: Take, cli: Callable[..., str], ledger: Ledger, clock: Clock
) -> None:
    assert "The queue is empty" in cli("list")
    take(reply("No offers \x1b[2Jplease, I moved"), REPLIES)
    clock.advance(timedelta(hours=3))
    shown = cli("list")
    assert JANE not in shown
    assert "not clear" in shown
    number = shown.split("\t")[0]
    content = cli("show", number)
    assert "I moved" in content
    assert "\x1b" not in content

    assert "1 recorded" in cli("resolve", number, "--scope", "acme.offers", given=JANE)

    (event,) = ledger.events()
    assert (event["kind"], event["scope"]) == ("opted_out", "acme.offers")
    assert event["received_at"] == START  # I3
    assert "The queue is empty" in cli("list")


def test_shows_the_text_of_a_mail_however_it_is_encoded(
    take: Take, cli: Callable[..., str]
) -> None:
    mail = (
        b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\r\nTo: stop@example.com\r\n"
        b"Subject: =?utf-8?b?RsO8ciBTaWU=?=\r\nMIME-Version: 1.0\r\nX-Noise: 1\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"R3LDvMOfZSBhbiBhbGxlIQ==\r\n"
    )
    take(mail, REPLIES)
    number = cli("list").split("\t")[0]
    shown = cli("show", number)
    assert "From: Jörg <joerg@example.com>" in shown
    assert "Subject: Für Sie" in shown
    assert "Grüße an alle!" in shown
    assert "X-Noise" not in shown
    assert "X-Noise: 1" in cli("show", number, "--raw")


def test_dismisses(take: Take, cli: Callable[..., str], ledger: Ledger) -> None:
    take(reply("Where is my order"), REPLIES)
    cli("dismiss", cli("list").split("\t")[0])
    assert "The queue is empty" in cli("list")
    take(reply("Where is my order"), REPLIES)  # delivered again
    assert "The queue is empty" in cli("list")
    assert ledger.kinds() == []


def test_dismisses_all_that_are_named_or_none(
    app: Flask, take: Take, cli: Callable[..., str]
) -> None:
    take(reply("Where is my order"), REPLIES)
    number, unknown = cli("list").split("\t")[0], str(UUID(int=7))
    words = ["inbound", "review-queue", "dismiss", number, unknown]
    failed = app.test_cli_runner().invoke(args=words)
    assert failed.exit_code == 1
    assert unknown in failed.output
    assert number in cli("list")
    assert "1 dismissed" in cli("dismiss", number, number)


def test_content_is_kept_for_30_days_and_sealed_and_the_row_is_not_lost(
    app: Flask, take: Take, cli: Callable[..., str]
) -> None:  # I6
    from preference_center.storage.db.database import run_in_transaction
    from preference_center.storage.mail import review_queue

    take(reply("Where is my order"), REPLIES)
    with app.app_context():
        (stored,) = run_in_transaction(
            lambda c: c.execute("SELECT head FROM review_queue").fetchall()
        )
        assert b"order" not in stored[0]
        run_in_transaction(
            lambda connection: review_queue.purge_items(connection, START + timedelta(days=31))
        )
    assert "deleted after 30 days" in cli("list")


def test_a_complaint_can_be_resolved(take: Take, cli: Callable[..., str], ledger: Ledger) -> None:
    take(arf("Original-Rcpt-To: redacted@example.com"), REPORTS)
    cli("resolve", cli("list").split("\t")[0], "--meaning", "complained", given=JANE)
    assert ledger.kinds() == [("complained", "all_marketing")]
