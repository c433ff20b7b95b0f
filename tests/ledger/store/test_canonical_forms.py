"""Changes of canonical forms by a library are detected; stored addresses can be found still."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from preference_center.core import addresses
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import KeyMismatch
from preference_center.core.events import Change, EventKind
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys.fingerprints import require_known_keys
from preference_center.ledger import record
from preference_center.ledger.forms import renormalise
from preference_center.ledger.store import addresses as canonical_forms
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START
from tests.ledger.changes import add_destination, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

ARGENTINE = "+54111523456789"
SAMPLES = 500


@pytest.fixture(autouse=True)
def _context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield
    canonical_forms.forms_hash.cache_clear()


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A library that leaves Argentina's trunk prefixes; `undo` brings ours back."""
    ours = addresses._to_e164

    def dial(text: str, region: str) -> str | None:
        return text if text.startswith("+5411") else ours(text, region)

    monkeypatch.setattr(addresses, "_to_e164", dial)
    canonical_forms.forms_hash.cache_clear()
    return monkeypatch


def newer(older: pytest.MonkeyPatch) -> None:
    older.undo()
    canonical_forms.forms_hash.cache_clear()


def opt_out(number: int) -> None:
    act = Change(
        UUID(int=number),
        EventKind.OPTED_OUT,
        parse_address(ARGENTINE, Channel.SMS),
        "acme.sms",
        START,
        START,
        "test",
        "test",
    )
    record([act])


def denied() -> bool:
    [facts] = load_facts([parse_address(ARGENTINE, Channel.SMS)])
    return bool(facts)


def test_there_are_many_samples_and_each_is_parsed() -> None:
    assert len(canonical_forms._SAMPLES_PATH.read_text().splitlines()) > SAMPLES
    assert len(canonical_forms.forms_hash()) == 64


def test_a_process_with_the_same_forms_starts() -> None:
    require_known_keys()
    require_known_keys()


def test_other_forms_than_the_stored_ones_are_refused_with_instructions(
    older: pytest.MonkeyPatch,
) -> None:
    require_known_keys()
    newer(older)
    with pytest.raises(KeyMismatch, match="flask addresses renormalise") as error:
        require_known_keys()
    assert "phonenumberslite" in str(error.value)


def test_an_opt_out_under_an_older_form_is_found_under_the_newer(
    app: Flask, older: pytest.MonkeyPatch
) -> None:  # I9
    require_known_keys()
    opt_out(1)
    newer(older)
    assert not denied()

    result = app.test_cli_runner().invoke(args=["addresses", "renormalise"])

    assert result.exit_code == 0, result.output
    assert "1 addresses read, 1 have a new form, 0 are invalid now" in result.output
    assert denied()
    require_known_keys()


def test_a_form_that_tools_have_already_is_pushed_again(older: pytest.MonkeyPatch) -> None:  # I9
    add_destination("texts", "acme.sms")
    run_in_transaction(lambda c: c.execute("UPDATE destination SET channels = '{sms}'"))
    opt_out(1)
    newer(older)
    current = parse_address(ARGENTINE, Channel.SMS)
    earlier = START - timedelta(hours=1)
    record(
        [
            Change(
                UUID(int=2), EventKind.OPTED_IN, current, "acme.sms", earlier, earlier, "test", "a"
            )
        ]
    )
    run_in_transaction(lambda c: c.execute("UPDATE sync_state SET due_at = NULL, next_at = NULL"))
    renormalise()
    assert waiting(current) == {"texts": START + WINDOW}


def test_it_resumes_after_an_interruption_and_can_be_repeated(
    older: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_known_keys()
    opt_out(1)
    newer(older)
    last = run_in_transaction(lambda c: c.execute("SELECT max(id) FROM address").fetchone())
    assert last
    run_in_transaction(lambda c: canonical_forms.record_renormalised_id(c, last[0]))
    assert renormalise().read == 0
    assert renormalise().changed == 1
    before = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM address_key").fetchone())
    assert renormalise().changed == 1
    assert (
        run_in_transaction(lambda c: c.execute("SELECT count(*) FROM address_key").fetchone())
        == before
    )
