"""Somebody holds a lock on a table, as CREATE INDEX does: opt-outs wait for it only a few times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from preference_center.core.addresses import Channel, parse_address
from preference_center.core.links.tokens import Link
from preference_center.inbound.ingest import ingest_mail
from preference_center.infra.context import EXTENSION_NAME, services
from preference_center.infra.db.transactions import (
    current_limits,
    override_limits,
    run_in_transaction,
)
from preference_center.ledger.spool import install_spool, replay_abandoned
from preference_center.ledger.spool.locked_tables import MAX_TIMEOUTS, LockedTables
from preference_center.ledger.spool.recorder import EXTENSION_KEY, Spool
from tests.clock import START
from tests.in_force import put_in_force
from tests.inbound.mail.mails import DOMAIN, outlook
from tests.ledger.tables import Ledger
from tests.recipients.pages.test_preferences import Form
from tests.recipients.pages.test_unsubscribe import undo_of
from tests.web.api.sender import make_sender, opt_out

MORE = 5
"""Opt-outs that come once it is known that a table is locked."""


class CountedTables(LockedTables):
    """Never tried again before `time` is raised."""

    def __init__(self) -> None:
        super().__init__(lambda: self.time)
        self.time = 0.0
        self.entered = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        with super().attempt():
            self.entered += 1
            yield


@pytest.fixture
def tables(app: Flask, tmp_path: Path) -> Iterator[CountedTables]:
    """Those of a process with a spool, whose time limits are short."""
    put_in_force(app)
    wired = app.extensions[EXTENSION_NAME]
    settings = wired.settings.model_copy(update={"spool_dir": str(tmp_path / "spool")})
    app.extensions[EXTENSION_NAME] = replace(wired, settings=settings)
    spool = install_spool(app)
    assert isinstance(spool, Spool)
    counted = CountedTables()
    app.extensions[EXTENSION_KEY] = replace(spool, locked_tables=counted)
    with app.app_context():
        run_in_transaction(lambda _: None)  # another test may have ended the pooled connection
        limits = replace(current_limits(), lock=0.1, retry=0.0)
    with override_limits(limits):
        yield counted
    app.extensions[EXTENSION_NAME] = wired
    app.extensions.pop(EXTENSION_KEY, None)


@contextmanager
def index_is_built(database_url: str) -> Iterator[None]:
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE suppression IN SHARE MODE")
        yield


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "once"}], ids=["plain", "idempotent"])
def test_opt_outs_by_api_are_refused_at_once_and_decisions_are_answered(
    app: Flask, tables: CountedTables, database_url: str, headers: dict[str, str]
) -> None:  # I1, I2
    sender = make_sender(app)

    def send(number: int) -> int:
        keys = {name: f"{value}-{number}" for name, value in headers.items()}
        body = opt_out(address=f"p{number}@example.com")
        given = sender.headers | keys
        return sender.client.post("/v1/opt-outs", json=body, headers=given).status_code

    with index_is_built(database_url):
        assert {send(number) for number in range(MAX_TIMEOUTS + MORE)} == {503}
        assert tables.entered == MAX_TIMEOUTS
        assert sender.ask("offers.weekly", "p0@example.com")["allow"]
    tables.time += 60
    assert send(0) == 200
    assert not sender.ask("offers.weekly", "p0@example.com")["allow"]


def test_the_page_answers_at_once_that_nothing_was_saved(
    app: Flask, tables: CountedTables, database_url: str
) -> None:  # I1, I2
    client = app.test_client()
    with app.app_context():
        link = Link(parse_address("ada@example.com", Channel.EMAIL), "acme.offers", "", START)
        form = Form.of(client, services().links.create_token(link))
    form.ticks.clear()
    with index_is_built(database_url):
        answers = [form.post(client) for _ in range(MAX_TIMEOUTS + MORE)]
    assert {answer.status_code for answer in answers} == {503}
    assert tables.entered == MAX_TIMEOUTS
    tables.time += 60
    assert form.post(client).status_code == 303
    assert Ledger(database_url).kinds()


def test_so_do_an_undo_and_the_signal_of_a_browser(
    app: Flask, tables: CountedTables, database_url: str
) -> None:  # I1, I2
    client = app.test_client()
    with app.app_context():
        link = Link(parse_address("ada@example.com", Channel.EMAIL), "acme.offers", "", START)
        token = services().links.create_token(link)
    done = client.post(f"/u/{token}", data={"confirm": "this"}, follow_redirects=True)
    undo, signal = {"undo": undo_of(done.text)}, {"Sec-GPC": "1"}
    tables.entered = 0
    with index_is_built(database_url):
        for _ in range(MAX_TIMEOUTS):
            assert client.post(f"/u/{token}", data=undo).status_code == 503
        assert client.post(f"/gpc/{token}", headers=signal).status_code == 503
        assert client.post(f"/u/{token}", data=undo).status_code == 503
    assert tables.entered == MAX_TIMEOUTS
    tables.time += 60
    assert client.post(f"/gpc/{token}", headers=signal).status_code == 204
    assert client.post(f"/u/{token}", data=undo).status_code == 303


def test_opt_outs_by_mail_are_spooled_at_once(
    app: Flask, tables: CountedTables, database_url: str
) -> None:  # I1, I2
    count = MAX_TIMEOUTS + MORE
    with app.app_context():
        people = [parse_address(f"p{n}@example.com", Channel.EMAIL) for n in range(count)]
        links = [Link(person, "acme.offers", "", START) for person in people]
        keys, maker = services().keys, services().links
        addressed = [
            f"{maker.create_mailto_token(link, keys.exact_digest(link.address))}@{DOMAIN}"
            for link in links
        ]
        with index_is_built(database_url):
            for person, to in zip(people, addressed, strict=True):
                mail = outlook(to, sender=person.exact)
                assert ingest_mail(mail, (to,), START, size=len(mail)).result.spooled == 1
            assert tables.entered == MAX_TIMEOUTS
    assert replay_abandoned(app).recorded == count
    assert len(Ledger(database_url).kinds()) == count
