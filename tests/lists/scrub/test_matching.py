"""I9, I11: a list gets row for row the answers that the API gives."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from preference_center.decisions.rules import DecisionRule
from tests.in_force import put_in_force
from tests.lists.scrub import world
from tests.lists.scrub.lists import job, read, write

if TYPE_CHECKING:
    from flask import Flask


@pytest.mark.parametrize("seed", [1, 2])
def test_every_row_gets_the_answer_of_the_api(app: Flask, tmp_path: Path, seed: int) -> None:
    # I9, I11
    from preference_center.lists.scrub.scrub_list import scrub_list
    from preference_center.lists.scrub.snapshots import create_snapshot

    put_in_force(app, world.CLOSING)
    random = Random(seed)
    addresses = world.people(range(30))
    with app.app_context():
        world.happen(random, addresses, 1_500)
        create_snapshot(tmp_path / "snapshot.parquet")
        cells = world.cells(random, addresses)
        for message_type in world.MESSAGES:
            write(tmp_path / "list.csv", cells)
            receipt = scrub_list(job(tmp_path, message_type), lambda *_: None)
            expected = world.answers(message_type, cells)

            wanted = [n for n, answer in enumerate(expected) if answer.allow]
            assert [int(row[0]) for row in read(tmp_path / "clean.csv")] == wanted
            removed = {int(row[0]): row[-4:] for row in read(tmp_path / "removed.csv")}
            for n, answer in enumerate(expected):
                if not answer.allow:
                    since = f"{answer.since:%Y-%m-%dT%H:%M:%SZ}" if answer.since else ""
                    rule, _, scope, removed_since = removed.pop(n)
                    assert (rule, scope) == (answer.rule, answer.scope or "")
                    # Two forms' pauses with one end: either may be the one that is named.
                    assert removed_since == since or rule == DecisionRule.PAUSED
            assert removed == {}
            assert sum(receipt.removed_by_rule.values()) == receipt.removed.rows
