"""`flask statistics`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from preference_center.core.addresses import Channel, parse_address
from preference_center.ledger import record
from tests.clock import Clock
from tests.ledger.changes import change

if TYPE_CHECKING:
    from flask import Flask


def test_it_prints_the_finished_months(app: Flask, clock: Clock) -> None:
    with app.app_context():
        addresses = [parse_address(f"p{n}@example.com", Channel.EMAIL) for n in range(10)]
        record([change(n + 1, address=address) for n, address in enumerate(addresses)])
    empty = app.test_cli_runner().invoke(args=["statistics"])
    assert (empty.stdout, empty.stderr) == ("", "No month is over yet.\n")

    clock.advance(timedelta(days=30))

    result = app.test_cli_runner().invoke(args=["statistics"])
    assert result.stdout == "2026-11\topted_out\tacme.news\ttest\t\t10\n"
