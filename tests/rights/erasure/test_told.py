"""Whom an erasure is told to: its person where that is asked for, operators, and the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs

from preference_center.core.errors import JournalUnavailable, ReplayPending, Unavailable
from preference_center.infra.context import services
from preference_center.rights.erasure import erase as erase_module
from preference_center.rights.erasure.erase import erase_addresses, erase_again, tidy_erasures
from preference_center.rights.erasure.store import READABLE_FOR, WARNED_BEFORE
from preference_center.rights.rules.requests import Extent
from tests.clock import Clock
from tests.core.histories import NEWS
from tests.infra.mailing import give_mail_server, queued_emails
from tests.ledger.changes import add_destination, id_of
from tests.rights.erasing import ADA, GRACE, NUMBER, erase, origin, rows, store

BOTH = pytest.mark.parametrize("extent", list(Extent))


@pytest.fixture(autouse=True)
def _context(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    give_mail_server(app, monkeypatch)
    with app.app_context():
        yield


def erase_by_id(extent: Extent, **given: Any) -> None:
    erase_addresses([id_of(ADA) or 0], extent, origin=origin(), **given)


def erase_by_name(extent: Extent, **given: Any) -> None:
    erase(extent=extent, **given)


def erase_once_more(extent: Extent) -> None:
    """As after a database was restored."""
    erase_again([id_of(ADA) or 0], (), extent, origin=origin(), begun_at=services().now())


@BOTH
@pytest.mark.parametrize("how", [erase_by_id, erase_by_name, erase_once_more])
def test_nobody_is_mailed_of_it(app: Flask, how: Callable[[Extent], None], extent: Extent) -> None:
    store()
    how(extent)
    assert rows("SELECT id FROM erasure") != []
    assert queued_emails(app) == []


@pytest.mark.parametrize("how", [erase_by_id, erase_by_name])
def test_the_person_is_mailed_where_that_is_asked_for(app: Flask, how: Callable[..., None]) -> None:
    store(ADA, NUMBER)
    how(Extent.ACCOUNT, notify=True)
    assert [each.recipient for each in queued_emails(app)] == [ADA]


@BOTH
def test_who_erased_whom_is_in_the_audit_without_an_address(extent: Extent) -> None:
    store(ADA)
    erased = erase(ADA, GRACE, extent=extent)
    [(actor, detail)] = rows("SELECT actor, detail FROM audit WHERE action = 'contacts.erased'")
    assert actor == "key:shop"
    assert detail == {"erasures": [str(each) for each in erased], "extent": extent.value}


def test_operators_are_told_which_tool_a_person_has_to_see_to(clock: Clock) -> None:
    add_destination("crm", NEWS)
    store()
    erase()
    clock.now += READABLE_FOR - WARNED_BEFORE
    with capture_logs() as logs:
        tidy_erasures(clock.now)
        tidy_erasures(clock.now)
    assert [each for each in logs if each["event"] == "erasure_handed_over"] == [
        {"event": "erasure_handed_over", "log_level": "warning", "destination": "crm"}
    ]


@pytest.mark.parametrize("error", [JournalUnavailable, ReplayPending])
def test_operators_are_told_that_the_journal_can_not_be_written(
    clock: Clock, error: type[Unavailable], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error("the erasure journal does not answer")

    monkeypatch.setattr(erase_module, "write_journal", fail)
    with capture_logs() as logs:
        tidy_erasures(clock.now)
    [line] = logs
    assert (line["event"], line["log_level"]) == ("erasure_journal_unavailable", "warning")
    assert line["reason"] == "the erasure journal does not answer"
