from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.inbound.mail.mails import DOMAIN, receiving
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.inbound.opt_outs import IngestResult

MakeTo = Callable[..., str]
Take = Callable[..., "IngestResult"]

REPLIES, REPORTS = "stop@acme.example", "bounces@acme.example"


@pytest.fixture
def app(app: Flask) -> Flask:
    put_in_force(app)
    return app


@pytest.fixture
def make_to(app: Flask, clock: Clock) -> MakeTo:
    """`make_to(address, scope)`: the address that the List-Unsubscribe header names."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import services

    def make(address: str = "jane.doe@example.com", scope: str = "acme.offers") -> str:
        link = Link(parse_address(address, Channel.EMAIL), scope, "", clock() - timedelta(days=3))
        with app.app_context():
            token = services().links.create_mailto_token(
                link, services().keys.exact_digest(link.address)
            )
        return f"{token}@{DOMAIN}"

    return make


@pytest.fixture
def to(make_to: MakeTo) -> str:
    return make_to()


@pytest.fixture
def smtp(app: Flask) -> Iterator[int]:
    """A receiver's port."""
    with receiving(app, "smtp") as port:
        yield port


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    return Ledger(database_url)


@pytest.fixture
def allowed(app: Flask) -> Callable[..., bool]:
    """`allowed(address, message_type)`: the decision of a check now."""
    from preference_center.catalogue.store import current_catalogue
    from preference_center.decisions.rules import decide
    from preference_center.infra.context import services
    from preference_center.ledger.store.lookup import load_facts

    def ask(address: str, message_type: str = "offers.weekly") -> bool:
        with app.app_context():
            catalogue = current_catalogue()
            kind = catalogue.message_types[message_type]
            topic = catalogue.topics.get(kind.topic) if kind.topic else None
            facts = load_facts([parse_address(address, Channel.EMAIL)])[0]
            return decide(kind, topic, facts, services().now()).allow

    return ask


@pytest.fixture
def store(app: Flask) -> Callable[[str], None]:
    """`store(address)`: have the address stored, without any opt-out."""
    from preference_center.core.events import Change, EventKind
    from preference_center.infra.context import services
    from preference_center.ledger import record

    def do(address: str) -> None:
        with app.app_context():
            now, new_id = services().now(), services().new_id()
            parsed = parse_address(address, Channel.EMAIL)
            record(
                [
                    Change(
                        new_id, EventKind.CONSENTED, parsed, "acme.offers", now, now, "test", "test"
                    )
                ]
            )

    return do


@pytest.fixture
def set_to(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`set_to(setting=value)`, for this test."""
    from preference_center.infra.context import EXTENSION_NAME

    def do(**given: object) -> None:
        wired = app.extensions[EXTENSION_NAME]
        changed = wired.settings.model_copy(update=given)
        monkeypatch.setitem(app.extensions, EXTENSION_NAME, replace(wired, settings=changed))

    return do


@pytest.fixture
def mailboxes(set_to: Callable[..., None]) -> None:
    """Addresses set aside for replies and reports."""
    set_to(
        reply_addresses=f"{REPLIES}, @replies.acme.example",
        report_addresses=f"{REPORTS}, @bounces.acme.example",
    )


@pytest.fixture
def take(app: Flask) -> Take:
    """`take(mail, *recipients)`: what became of it."""
    from preference_center.inbound.ingest import ingest_mail
    from preference_center.infra.context import services

    def do(mail: bytes, *recipients: str) -> IngestResult:
        with app.app_context():
            arrival = ingest_mail(mail, recipients, services().now(), size=len(mail))
        assert arrival.is_ours
        return arrival.result

    return do


@pytest.fixture
def review_reasons(app: Flask) -> Callable[[], list[str]]:
    """`review_reasons()`: why each mail of the review queue is in it."""
    from preference_center.inbound.store import list_open_items
    from preference_center.infra.db.transactions import run_in_transaction

    def ask() -> list[str]:
        with app.app_context():
            return [
                mail.reason
                for mail in run_in_transaction(lambda connection: list_open_items(connection, 9))
            ]

    return ask
