"""An erasure touches the rows of nobody else, and of its person all that has to go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from preference_center.core.events import EventKind, FrequencyChoice
from preference_center.ledger import record
from preference_center.rights.erasure.tables import ERASURE_RULES
from preference_center.rights.requests.steps import withdraw_data_request
from preference_center.rights.rules.requests import Extent
from tests.ledger.changes import change
from tests.rights.access_file.people import ADA as OTHER
from tests.rights.access_file.people import ask, file_of, store_everything
from tests.rights.erasing import ADA, EXTERNAL_ID, erase, row, rows, store

BOTH = pytest.mark.parametrize("extent", list(Extent))
TOUCHED = [table for table, rule in ERASURE_RULES.items() if rule.statement]


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def stored() -> dict[str, list[Any]]:
    """All rows of the tables that an erasure writes to."""
    return {table: rows(f"SELECT to_jsonb(t) FROM {table} t") for table in TOUCHED}


@BOTH
def test_the_rows_of_everybody_else_stay_as_they_are(extent: Extent) -> None:  # I6
    store_everything(OTHER)
    file_of(ask(OTHER))
    ask(external_ids=("customer-77",))
    weekly = FrequencyChoice("weekly", 0)
    record([change(20, EventKind.FREQUENCY_CHOSEN, address=OTHER, frequency=weekly)])
    before = stored()
    assert {"delivery_ack", "event_evidence", "rights_file", "suppression"} <= {
        table for table, found in before.items() if found
    }
    store(ADA)
    record([change(21, EventKind.OPTED_IN, address=ADA)])
    erase(ADA, extent=extent)
    after = stored()
    for table, found in before.items():
        assert [each for each in found if each not in after[table]] == [], table


def test_what_was_typed_into_an_answered_request_of_an_erased_account_is_deleted() -> None:  # I6
    store(ADA)
    for asked in (ask(external_ids=(EXTERNAL_ID,)), ask(ADA)):
        withdraw_data_request(asked.id, "test")
    erase(ADA)
    assert rows("SELECT sealed FROM rights_request") == [(None,), (None,)]


def test_how_often_a_topic_was_wanted_is_erased_and_the_opt_out_of_it_stays() -> None:  # I6
    store(ADA)
    weekly = FrequencyChoice("weekly", 0)
    record(
        [
            change(1, EventKind.FREQUENCY_CHOSEN, address=ADA, frequency=weekly),
            change(2, address=ADA),
            change(3, EventKind.FREQUENCY_CHOSEN, address=ADA, scope="acme.b", frequency=weekly),
        ]
    )
    scope = change(2).scope
    given = "SELECT scope, frequency FROM suppression WHERE scope = ANY(%s)", [scope, "acme.b"]
    assert sorted(rows(*given)) == sorted([(scope, "weekly"), ("acme.b", "weekly")])
    erase(ADA, extent=Extent.MARKETING)
    assert rows(*given) == [(scope, None)]
    assert row("SELECT out_at IS NOT NULL FROM suppression WHERE scope = %s", scope) == (True,)
