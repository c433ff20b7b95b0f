"""What is kept of a notice is in the file for a request of access (E1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_center.contacts.notices.rules import NoticeChannel
from preference_center.contacts.notices.select import select_all
from preference_center.contacts.notices.store import mark_noticed
from preference_center.core.events import EventKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from tests.clock import START
from tests.contacts.notices.people import VERSION, add_contact, announce_in, rows
from tests.ledger.changes import change
from tests.rights.access_file.people import data_of, file_of
from tests.rights.asking import ADA, CONTROLS, ask

if TYPE_CHECKING:
    from flask import Flask


def test_the_file_has_the_notices_and_the_policy_of_each_consent(app: Flask) -> None:
    announce_in(app)
    with app.app_context():
        add_contact("c-ada", ADA.exact)
        evidence = {"source": "shop", "policy": "privacy/2026-01"}
        record([change(1, EventKind.OPTED_IN, address=ADA, at=START, evidence=evidence)])
        select_all(VERSION, lambda _: None)
        [[number]] = rows("SELECT address_id FROM policy_notice")
        run_in_transaction(lambda c: mark_noticed(c, VERSION, [number], NoticeChannel.CSV, START))
        made = file_of(ask(level=CONTROLS))
    data = data_of(made)
    assert data["policy_notices"] == [
        {
            "address": 1,
            "version": VERSION,
            "reach": "reachable",
            "noticed_at": START.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "via": "csv",
        }
    ]
    assert data["consents"][0]["policy"] == "privacy/2026-01"
    assert (
        f"informed of version {VERSION} of our privacy policy" in made.read("index.html").decode()
    )
