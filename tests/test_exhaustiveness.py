"""A new channel, reason or decision field fails here wherever a table or a format forgets it.

Code that branches on a member uses `match` with `assert_never`, so mypy finds it.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

import pytest
from jinja2 import Environment, nodes

from preference_center.core.addresses import Channel
from preference_center.core.events import RESERVED_SCOPES, EventKind, is_valid_scope
from preference_center.core.links import offline
from preference_center.decisions.api import DecisionItem, StreamedDecision, decision_json
from preference_center.decisions.api.row_formats import COLUMNS, CsvFormat
from preference_center.decisions.rules import RULE_REASONS, Decision, DecisionRule
from preference_center.destinations.rules.delivery import Blocker
from preference_center.integrations.base.contract import TopicOffReason
from preference_center.integrations.webhook import connector as sender_webhook
from preference_center.ledger.rules import ReceivedVia
from preference_center.rights.rules.requests import Extent, RequestState, RequestVia

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "preference_center"

EXEMPT = {
    "ledger/store/addresses.py",  # samples of the two syntaxes of addresses
}

ALLOWING_RULES = {
    DecisionRule.AFTER_CLOSING,
    DecisionRule.SERVICE,
    DecisionRule.CONSENTED,
    DecisionRule.NOT_OPTED_OUT,
}
# Rules about a request, not about an address of a list.
REQUEST_RULES = {
    DecisionRule.UNREADABLE_LINE,
    DecisionRule.UNKNOWN_MESSAGE_TYPE,
    DecisionRule.WRONG_CHANNEL,
}

FULL_DECISION = Decision(
    allow=False,
    rule=DecisionRule.PAUSED,
    scope="acme.news",
    event=UUID(int=1),
    since=datetime(2026, 11, 24, tzinfo=UTC),
    advisory="bounced",
    frequency="monthly",
)


def members_in(node: ast.AST, enum: str = "Channel") -> set[str]:
    return {
        each.attr
        for each in ast.iter_child_nodes(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.value, ast.Name)
        and each.value.id == enum
    }


def incomplete_tables(path: Path) -> Iterator[int]:
    """Yield the lines of displays that hold several channels, but not all."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Dict | ast.Set | ast.List | ast.Tuple):
            found = members_in(node)
            if len(found) > 1 and found != set(Channel.__members__):
                yield node.lineno


def tables_of(template: str) -> list[set[str]]:
    """The keys of every dictionary in a template."""
    source = (ROOT / "templates" / template).read_text()
    tree = Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(source)
    return [
        {pair.key.value for pair in table.items if isinstance(pair.key, nodes.Const)}
        for table in tree.find_all(nodes.Dict)
    ]


def test_every_table_by_channel_has_every_channel() -> None:
    paths = [
        path
        for path in PACKAGE.rglob("*.py")
        if not path.is_relative_to(PACKAGE / "integrations")  # a tool has the channels it has
        and str(path.relative_to(PACKAGE)) not in EXEMPT
    ]
    assert not [f"{path}:{line}" for path in paths for line in incomplete_tables(path)]


def test_the_search_for_tables_finds_an_incomplete_one(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("X = {Channel.EMAIL: 1, Channel.SMS: 2}\nY = {Channel.SMS}\n")
    assert list(incomplete_tables(tmp_path / "a.py")) == [1]


@pytest.mark.parametrize(
    "enum", [Channel, EventKind, DecisionRule, Extent, RequestState, RequestVia]
)
def test_every_table_of_words_has_every_member(enum: type[StrEnum]) -> None:
    tables = [
        (f"{path}:{node.lineno}", members_in(node, enum.__name__))
        for path in [*PACKAGE.rglob("words.py"), PACKAGE / "rights" / "person_words.py"]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Dict)
    ]
    found = {where: members for where, members in tables if members}
    assert found
    assert not {where for where, members in found.items() if members != set(enum.__members__)}


def test_tokens_have_a_number_for_every_channel() -> None:
    assert set(offline.CHANNELS) == set(Channel)


@pytest.mark.parametrize(
    "template, members",
    [
        ("recipients/preferences.html", set(Channel)),
        ("recipients/opt_out_status.html", set(ReceivedVia)),
        ("recipients/opt_out_status.html", set(Blocker)),
    ],
)
def test_a_page_has_a_text_for_every_member(template: str, members: set[str]) -> None:
    assert any(members <= table for table in tables_of(template))


def test_the_status_page_has_words_for_every_scope() -> None:
    source = (ROOT / "templates" / "recipients" / "opt_out_status.html").read_text()
    assert all(f'suppression.scope == "{scope}"' in source for scope in RESERVED_SCOPES)


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind.suppresses])
def test_every_suppressing_kind_has_a_scope(kind: EventKind) -> None:
    assert any(is_valid_scope(kind, scope) for scope in ("acme.news", *RESERVED_SCOPES))


def test_a_scrubbed_list_has_a_reason_for_every_rule_that_denies() -> None:
    about_messages = set(DecisionRule) - {DecisionRule.OPTED_OUT_OF_SHARING}
    assert set(RULE_REASONS) == about_messages - ALLOWING_RULES - REQUEST_RULES


def test_every_format_of_a_decision_has_every_field() -> None:
    names = {field.name for field in fields(Decision)}
    assert all(getattr(FULL_DECISION, name) is not None for name in names)
    assert set(json.loads(decision_json(FULL_DECISION))) == names
    assert set(DecisionItem.model_fields) == names
    assert set(StreamedDecision.model_fields) - {"recipient"} == names
    assert set(COLUMNS) - {"recipient"} == names


def test_a_row_of_csv_has_a_cell_for_every_column() -> None:
    rows = CsvFormat(b"email\n", None, 1).encode_decisions(["ada@example.com"], [FULL_DECISION])
    [cells] = [line.split(",") for line in rows.decode().splitlines()]
    assert len(cells) == len(COLUMNS)
    assert all(cells)


def test_a_senders_webhook_reports_every_field_of_a_reason() -> None:
    reason = TopicOffReason("paused", "acme.news", UUID(int=1), datetime.now(UTC))
    assert set(sender_webhook._reason_json(reason)) == {each.name for each in fields(reason)}
