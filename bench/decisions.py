"""`POST /v1/decisions`, key checked, with two million suppressions stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random

import psycopg

from bench.ground import MESSAGE_TYPE, TOPIC, Ground
from bench.load import Request
from preference_center.core.addresses import NORM_VERSION, Channel, parse_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import KeyScope

STORED = 2_000_000
ASKED = 20_000
"""Addresses that are asked about; every tenth is suppressed."""

# Who is to be stored, and by which statements.
DRAFT = "CREATE TEMPORARY TABLE draft (id bigint, digest bytea, event uuid)"
# A person whom nobody asks about has a made-up digest: of a number, as pgbench asks.
MADE_UP = """INSERT INTO draft
SELECT n, sha256(n::text::bytea), gen_random_uuid() FROM generate_series(1, %s) AS n"""
FILL = (
    """INSERT INTO address (id, channel, digest, norm_version, created_at)
    OVERRIDING SYSTEM VALUE SELECT id, 'email', digest, %(norm)s, %(now)s FROM draft""",
    "INSERT INTO address_key SELECT digest, 'email', id, 3 FROM draft",
    """INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own)
    SELECT event, id, 'opted_out', %(topic)s, %(now)s, %(now)s, %(now)s, %(now)s, 'bench',
        'bench', false FROM draft""",
    "INSERT INTO event_evidence SELECT event, '{}' FROM draft",
    """INSERT INTO suppression (address_id, scope, out_at, out_event, reason)
    SELECT id, %(topic)s, %(now)s, event, 'opted_out' FROM draft""",
)


def fill(ground: Ground, stored: int = STORED) -> None:
    """Store so many suppressions, every tenth of the asked among them."""
    with ground.app.app_context():
        keys = services().keys
        digests = [
            keys.exact_digest(parse_address(asked(n), Channel.EMAIL)) for n in range(0, ASKED, 10)
        ]
    values = {"norm": NORM_VERSION, "topic": TOPIC, "now": datetime.now(UTC)}
    with psycopg.connect(ground.settings.database_url) as connection:
        connection.execute(DRAFT)
        connection.execute(MADE_UP, (stored - len(digests),))
        with connection.cursor() as cursor, cursor.copy("COPY draft FROM STDIN") as copy:
            for number, digest in enumerate(digests, stored):
                copy.write_row((number, digest, f"00000000-0000-4000-8000-{number:012}"))
        for statement in FILL:
            connection.execute(statement, values)
    ground.vacuum()


def make_key(ground: Ground) -> str:
    """An API key that may ask."""
    with ground.app.app_context():
        now = datetime.now(UTC)
        return run_in_transaction(
            lambda c: keys.create_key(c, "bench", [KeyScope.CHECK], [MESSAGE_TYPE], now)
        )


def single(key: str) -> list[Request]:
    """Questions about one recipient each."""
    order = Random(1).sample(range(ASKED), ASKED)
    return [question(key, recipient=asked(n)) for n in order]


def bulk(key: str, count: int) -> list[Request]:
    """One question about that many recipients."""
    return [question(key, recipients=[asked(n) for n in range(count)])]


def asked(number: int) -> str:
    """The address of one of those who are asked about."""
    return f"asked-{number}@example.com"


def question(key: str, **recipients: str | list[str]) -> Request:
    """A question about `recipient`, or about `recipients`."""
    body = json.dumps({"message_type": MESSAGE_TYPE, **recipients})
    return Request("/v1/decisions", body, content_type="application/json", key=key)
