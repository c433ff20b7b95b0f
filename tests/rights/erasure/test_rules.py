"""Every store of personal data has a rule of what an erasure does with it (I6)."""

from __future__ import annotations

import pytest

from preference_center.rights.erasure.personal_data import TABLES, Holds
from preference_center.rights.erasure.tables import ERASURE_RULES, OnErasure

PERSONAL = {name for name, table in TABLES.items() if table.personal}


def test_every_table_with_personal_data_has_a_rule() -> None:
    assert ERASURE_RULES.keys() == PERSONAL


@pytest.mark.parametrize("name", sorted(ERASURE_RULES))
def test_a_rule_has_a_reason_and_a_statement_where_rows_change(name: str) -> None:
    rule = ERASURE_RULES[name]
    assert rule.reason
    changes = rule.on_erasure in {OnErasure.CLEAR, OnErasure.DELETE}
    assert bool(rule.statement) is changes


@pytest.mark.parametrize(
    "name", sorted(name for name in PERSONAL if Holds.SEALED in TABLES[name].personal.values())
)
def test_what_is_sealed_is_not_kept(name: str) -> None:
    kept = {"erasure"}  # by itself at most 30 days
    assert ERASURE_RULES[name].on_erasure is not OnErasure.KEEP or name in kept
