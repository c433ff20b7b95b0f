"""A small catalogue in force, and links to people in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from preference_center.core.addresses import Channel, parse_address
from tests.clock import Clock
from tests.in_force import put_in_force
from tests.ledger.tables import Ledger
from tests.web.pages.visits import MESSAGE_ID, proof

if TYPE_CHECKING:
    from flask import Flask

CATALOGUE = """
languages = ["en", "it"]
default_language = "en"

[groups.news]
title = { en = "News", it = "Novità" }

[brands.acme]
name = "Acme"
sender = "Acme <hello@acme.example>"
footer = { en = "Acme Ltd, 1 High Street", it = "Acme S.r.l., Via Alta 1" }

[topics.digest]
brand = "acme"
channel = "email"
default = "opt_out"
group = "news"
title = { en = "Weekly digest", it = "Riassunto" }
description = { en = "The week in five lines.", it = "La settimana in cinque righe." }

[topics.offers]
brand = "acme"
channel = "email"
default = "opt_in"
group = "news"
title = { en = "Offers", it = "Offerte" }
description = { en = "Now and then.", it = "Ogni tanto." }

[topics.alerts]
brand = "acme"
channel = "sms"
default = "opt_in"
group = "news"
title = { en = "Text alerts", it = "Avvisi" }
description = { en = "By text message.", it = "Per SMS." }

[message_types.password_reset]
class = "service"
ground = "security"

[message_types.weekly]
class = "marketing"
topic = "digest"

[controller]
name = "Acme Ltd"
address = "1 High Street, London"
privacy_contact = "privacy@acme.example"
privacy_notice = "https://acme.example/privacy"

[controller.authorities.gdpr]
name = "Garante"
url = "https://garante.example"
"""

MakeToken = Callable[..., str]


@pytest.fixture
def app(app: Flask) -> Flask:
    """The service with the catalogue above."""
    put_in_force(app, CATALOGUE)
    return app


@pytest.fixture
def make_token(app: Flask, clock: Clock) -> MakeToken:
    """`make_token(address=..., scope=..., age=...)`: a signed token."""
    from preference_center.core.links.tokens import Link
    from preference_center.infra.context import EXTENSION_NAME

    def make(
        address: str = "jane.doe@example.com",
        scope: str = "digest",
        age: timedelta = timedelta(days=1),
        channel: Channel = Channel.EMAIL,
        issued_at: datetime | None = None,
    ) -> str:
        issued_at = issued_at or clock() - age
        link = Link(
            parse_address(address, channel),
            scope,
            MESSAGE_ID,
            issued_at,
        )
        token: str = app.extensions[EXTENSION_NAME].links.create_token(link)
        return token

    return make


@pytest.fixture
def token(make_token: MakeToken) -> str:
    """Jane's link to her weekly digest."""
    return make_token()


@pytest.fixture
def proven(app: Flask, clock: Clock) -> str:
    """Jane's visit of the page, which proves for 30 minutes that the address is hers."""
    return proof(app, clock())


@pytest.fixture
def ledger(app: Flask, database_url: str) -> Ledger:
    """What the database holds, read past the application."""
    return Ledger(database_url)


@pytest.fixture
def subscribed(app: Flask, clock: Clock) -> Callable[..., Any]:
    """`subscribed(address=..., topic=..., channel=...)`: what `topic_status` returns now."""
    from preference_center.catalogue.store import current_catalogue
    from preference_center.decisions.rules import topic_status
    from preference_center.ledger.store.lookup import load_exact_facts

    def ask(address: str = "jane.doe@example.com", topic: str = "digest") -> bool:
        with app.app_context():
            facts = load_exact_facts([parse_address(address, Channel.EMAIL)])[0]
            return topic_status(current_catalogue().topic(topic), facts, clock()).subscribed

    return ask
