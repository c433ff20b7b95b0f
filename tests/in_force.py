"""A catalogue in force, for tests of the entry points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.catalogue.catalogues import SMALL
from tests.clock import START

if TYPE_CHECKING:
    from flask import Flask

CATALOGUE = (
    SMALL
    + """
[message_types.invoice]
class = "service"
ground = "billing"

[topics."acme.offers"]
brand = "acme"
channel = "email"
default = "opt_out"
group = "news"
title = { it = "Offerte", en = "Offers" }
description = { it = "Sconti", en = "Discounts" }

[message_types."offers.weekly"]
class = "marketing"
topic = "acme.offers"

[topics."acme.sms"]
brand = "acme"
channel = "sms"
default = "opt_out"
group = "news"
title = { it = "SMS", en = "SMS" }
description = { it = "Offerte lampo", en = "Flash offers" }

[message_types."offers.flash"]
class = "marketing"
topic = "acme.sms"

[topics."acme.old"]
brand = "acme"
channel = "email"
default = "opt_out"
group = "news"
title = { it = "Vecchio", en = "Old" }
description = { it = "Non più inviato", en = "No longer sent" }
retired = true

[message_types."old.monthly"]
class = "marketing"
topic = "acme.old"
"""
)


def put_in_force(app: Flask, text: str = CATALOGUE) -> None:
    from preference_center.catalogue import catalogue_digest
    from preference_center.catalogue.store import clear_catalogue_cache, insert_version
    from preference_center.infra.db.transactions import run_in_transaction

    with app.app_context():
        run_in_transaction(
            lambda connection: insert_version(connection, text, catalogue_digest(text), START)
        )
        clear_catalogue_cache()
