"""`flask ledger verify`: whether somebody altered what the ledger proves (I8)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from tests.ledger.changes import JANE, change, id_of
from tests.rights.erased_rows import erase_of


def alter(connection: Connection) -> None:
    connection.execute("ALTER TABLE event_evidence DISABLE TRIGGER ALL")
    connection.execute("UPDATE event_evidence SET evidence = '{\"a\": \"c\"}' WHERE evidence ? 'a'")
    connection.execute("ALTER TABLE event_evidence ENABLE TRIGGER ALL")


def erase(connection: Connection) -> None:
    jane = id_of(JANE)
    assert jane is not None
    erase_of(connection, "event_evidence", jane)


@pytest.mark.owner
@pytest.mark.parametrize(
    "act, options, exit_code, shown",
    [
        (lambda _: None, (), 0, ["2 events verified.", "2\tintact"]),
        (erase, (), 0, ["2 events verified.", "2\terased or expired"]),
        (
            erase,
            ("--missing",),
            0,
            ["00000000-0000-0000-0000-000000000001\terased or expired"],
        ),
        (
            alter,
            (),
            1,
            ["00000000-0000-0000-0000-000000000001\tALTERED", "1\tALTERED", "1\tintact"],
        ),
        (alter, ("--after", str(2**62)), 0, ["0 events verified."]),
    ],
)
def test_it_says_what_is_missing_and_what_was_altered(
    app: Flask,
    act: Callable[[Connection], None],
    options: tuple[str, ...],
    exit_code: int,
    shown: list[str],
) -> None:  # I8
    with app.app_context():
        record([change(1, evidence={"a": "b"}), change(2, scope="acme.other")])
        run_in_transaction(act)
    result = app.test_cli_runner().invoke(args=["ledger", "verify", *options])
    assert result.exit_code == exit_code, result.output
    for line in shown:
        assert line in result.output.splitlines()
