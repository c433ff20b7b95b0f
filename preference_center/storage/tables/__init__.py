"""The tables, as SQLAlchemy models: the schema's one description (migrations follow it).

Hot paths write SQL of their own against these names and make no ORM objects. Foreign
keys are left out where a row is written per opt-out: rows are never deleted there, and
each check costs a look-up and a lock.
"""

from __future__ import annotations

from preference_center.storage.tables import (
    access,
    bounces,
    bursts,
    contacts,
    epochs,
    imports,
    ledger,
    links,
    mail,
    md5_matching,
    review,
    sync,
    verification,
)

__all__ = [
    "access",
    "bounces",
    "bursts",
    "contacts",
    "epochs",
    "imports",
    "ledger",
    "links",
    "mail",
    "md5_matching",
    "review",
    "sync",
    "verification",
]
