"""A mail that is delivered again after the digest keys were rotated is the same mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from preference_center.inbound.ingest import ingest_mail
from preference_center.inbound.store import list_open_items
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from tests.clock import Clock
from tests.inbound.mail.fixtures import REPLIES, Take
from tests.inbound.rules.reports import reply
from tests.infra.keys.processes import rotated
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask


@pytest.mark.owner
@pytest.mark.usefixtures("mailboxes")
def test_a_mail_of_before_a_rotation_is_recorded_and_reviewed_once(
    app: Flask, clock: Clock, take: Take, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would end an opt-in that was made between the two deliveries (I5)."""
    with app.app_context():
        require_known_keys()
    mails = reply("STOP"), reply("Where is my order")
    for mail in mails:
        take(mail, REPLIES)
    assert ledger.kinds() == [("opted_out", "all_marketing")]
    with rotated(app, clock, monkeypatch):
        for mail in mails:
            result = ingest_mail(mail, [REPLIES], clock(), size=len(mail)).result
            assert result.recorded == 0
        assert len(run_in_transaction(lambda c: list_open_items(c, 10))) == 1
