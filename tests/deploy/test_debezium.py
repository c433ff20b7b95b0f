"""The ledger's table is the outbox that the connector in deploy/debezium reads.

The connector itself needs Java and a cluster; here its settings are applied to a real row, as
Debezium's page on the outbox event router describes them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.rights.erasure.personal_data import TABLES, Holds
from tests.core.histories import NEWS
from tests.ledger.changes import change, retraction

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, str] = json.loads((ROOT / "deploy/debezium/outbox.json").read_text())["config"]
FIELD = "transforms.outbox.table.field.event."
PLACED = [
    each.split(":")
    for each in CONFIG["transforms.outbox.table.fields.additional.placement"].split(",")
]

pytestmark = pytest.mark.usefixtures("in_context")


def captured_columns() -> set[str]:
    """Those of the table that `column.include.list` lets through."""
    pattern = re.compile(CONFIG["column.include.list"])
    rows = run_in_transaction(
        lambda c: c.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'event'"
        ).fetchall()
    )
    return {name for (name,) in rows if pattern.fullmatch(f"public.event.{name}")}


def routed(row: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Topic, key and value of the message that the router makes of a row."""
    value = {"payload": row[CONFIG[f"{FIELD}payload"]]}
    for column, place, *name in PLACED:
        assert place == "envelope"
        value[name[0] if name else column] = row[column]
    topic = re.sub(
        CONFIG["transforms.outbox.route.topic.regex"],
        CONFIG["transforms.outbox.route.topic.replacement"],
        row[CONFIG["transforms.outbox.route.by.field"]],
        count=1,
    )
    return topic, str(row[CONFIG[f"{FIELD}key"]]), value


def rows() -> list[dict[str, Any]]:
    def read(connection: Any) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return list(cursor.execute("SELECT * FROM event ORDER BY seq").fetchall())

    return [
        {name: value for name, value in row.items() if name in captured_columns()}
        for row in run_in_transaction(read)
    ]


def test_an_event_becomes_a_message_keyed_by_its_address() -> None:
    record([change(1, address=parse_address("ada@example.org", Channel.EMAIL))])
    record([retraction(2, 1)])
    (opted_out, retracted) = map(routed, rows())
    assert opted_out[0] == retracted[0] == "preference-center.events"
    assert opted_out[1] == retracted[1] == str(opted_out[2]["ref"])
    assert (opted_out[2]["payload"], opted_out[2]["kind"]) == (NEWS, "opted_out")
    assert [str(each)[-1] for each in retracted[2]["retracts"]] == ["1"]


def test_every_column_that_is_routed_is_captured_and_no_other() -> None:
    used = {CONFIG[FIELD + name] for name in ("id", "key", "payload")}
    used |= {column for column, *_ in PLACED} | {CONFIG["transforms.outbox.route.by.field"]}
    assert used == captured_columns()


def test_nothing_that_names_a_person_is_captured() -> None:  # I12
    personal = TABLES["event"].personal
    held = {personal[name] for name in captured_columns() if name in personal}
    assert held <= {Holds.REFERENCE, Holds.FACT}
    assert "actor" not in captured_columns()  # who of the company's staff did it
