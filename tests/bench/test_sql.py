"""The yardstick of an opt-out: what pgbench executes does what a one-click does."""

from __future__ import annotations

import re

from flask import Flask

from bench.ground import TOPIC
from bench.sql import OPT_OUT_STATEMENTS
from preference_center.core.addresses import Channel, parse_address
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record

TABLES = ("address", "address_key", "event", "event_evidence", "suppression", "consent")


def count(connection: Connection) -> dict[str, int]:
    found = {}
    for table in TABLES:
        (row,) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        found[table] = int(row[0])
    return found


def execute_as_pgbench(connection: Connection) -> None:
    for statement in OPT_OUT_STATEMENTS:
        # Variables of pgbench; two colons are a cast.
        connection.execute(re.sub(r"(?<!:):(n|count)\b", "1", statement))


def test_the_yardstick_of_an_opt_out_writes_the_rows_of_a_one_click(app: Flask) -> None:
    with app.app_context():
        of_click, of_yardstick = rows_of_both()
    assert of_yardstick == of_click
    assert of_click["address_key"] == of_click["suppression"] == 1


def rows_of_both() -> tuple[dict[str, int], dict[str, int]]:
    now = services().now()
    address = parse_address("ada@example.com", Channel.EMAIL)
    click = Change(
        services().new_id(), EventKind.OPTED_OUT, address, TOPIC, now, now, "one_click",
        "recipient", {"method": "one_click"}, own_act=True,
    )  # fmt: skip
    record([click])
    of_click = run_in_transaction(count)
    run_in_transaction(execute_as_pgbench)
    both = run_in_transaction(count)
    return of_click, {table: both[table] - of_click[table] for table in TABLES}
