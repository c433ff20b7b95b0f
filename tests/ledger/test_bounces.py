"""Bounces evaluated and counted on real tables, and what they do to decisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.bounces import Bounce, BounceActionKind, BounceReport
from preference_center.core.events import ALL_MARKETING, UNDELIVERABLE, EventKind
from preference_center.decisions.rules import Decision, DecisionRule, decide
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.bounces import OWNER_CHANGED, EvaluatedBounce, evaluate_bounces
from preference_center.ledger.store.lookup import load_facts
from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import JANE, change, together

DAY = timedelta(days=1)
BO = parse_address("bo@example.org", Channel.EMAIL)


pytestmark = pytest.mark.usefixtures("in_context")


def report(
    number: int, code: str = "5.1.2", at: datetime = START, who: Address = JANE, text: str = ""
) -> BounceReport:
    return BounceReport(
        UUID(int=number), who, Bounce(code, diagnostic=text), at, at, "mail", "example"
    )


def reported(*reports: BounceReport, keep: bool = True) -> list[BounceActionKind]:
    """As an entry point does it: evaluate, then record the outcome."""
    evaluated = evaluate_bounces(reports, services().now(), store=keep)
    if keep:
        record([each.change for each in evaluated if each.change])
    return [each.action.kind for each in evaluated]


def decision(message: str = "offers.weekly", who: Address = JANE) -> Decision:
    catalogue, [facts] = current_catalogue(), load_facts([who])
    kind = catalogue.message_types[message]
    topic = catalogue.topics.get(kind.topic or "")
    return decide(kind, topic, facts, services().now())


def counted() -> int:
    row = run_in_transaction(lambda c: c.execute("SELECT count(*) FROM counted_bounce").fetchone())
    return int(row[0]) if row else 0


def test_a_mailbox_that_is_gone_is_a_bounce_at_once() -> None:  # F10
    assert reported(report(1, "5.1.1")) == [BounceActionKind.SUPPRESS]
    assert decision().rule is DecisionRule.BOUNCED
    assert decision("invoice").allow  # I4
    assert decision("invoice").advisory == DecisionRule.BOUNCED
    assert counted() == 0


def test_the_evidence_has_what_was_read_and_names_nobody() -> None:  # I8
    words = f"<{JANE.exact}>: User unknown in virtual alias table"
    [evaluated] = evaluate_bounces([report(1, "4.1.1", text=words)], services().now())
    assert evaluated.change is not None
    assert evaluated.change.evidence == {
        "cause": "no_mailbox", "status": "5.1.1", "status_given": "4.1.1",
    }  # fmt: skip


def test_what_is_counted_stops_marketing_for_a_time(clock: Clock) -> None:
    assert reported(report(1)) == [BounceActionKind.COUNT]
    assert decision().allow
    clock.advance(DAY)
    assert reported(report(2, at=clock())) == [BounceActionKind.SUPPRESS_TEMPORARILY]
    stopped = decision()
    assert (stopped.rule, stopped.scope, stopped.event) == (
        DecisionRule.BOUNCED, UNDELIVERABLE, UUID(int=2),
    )  # fmt: skip
    assert decision("invoice").advisory == DecisionRule.BOUNCED  # I4
    clock.advance(timedelta(days=30))
    assert decision().allow
    assert decision("invoice").advisory is None


def test_one_that_bounces_again_after_that_time_is_stopped_again_at_once(clock: Clock) -> None:
    reported(report(1), report(2, at=START))
    clock.advance(DAY)
    reported(report(3, at=clock()))
    clock.advance(timedelta(days=31))
    assert decision().allow
    assert reported(report(4, at=clock())) == [BounceActionKind.SUPPRESS_TEMPORARILY]
    assert not decision().allow


def test_the_persons_own_newer_choice_ends_it(clock: Clock) -> None:  # I5
    reported(report(1, at=START - DAY), report(2))
    clock.advance(timedelta(minutes=1))
    record([change(9, EventKind.CONSENTED, "acme.offers", at=clock())])
    assert decision().rule is DecisionRule.BOUNCED  # an import is no proof of reading
    record([change(10, EventKind.OPTED_IN, ALL_MARKETING, at=clock())])
    assert decision().allow


def test_the_same_report_received_twice_counts_once() -> None:
    for _ in range(2):
        assert reported(report(1)) == [BounceActionKind.COUNT]
    assert reported(report(1), report(1)) == [BounceActionKind.COUNT, BounceActionKind.COUNT]
    assert counted() == 1


def test_two_reports_in_one_batch_see_each_other() -> None:
    assert (
        reported(report(1), report(2, at=START - DAY))
        == [BounceActionKind.SUPPRESS_TEMPORARILY] * 2
    )
    assert not decision().allow


def test_of_two_reports_at_once_one_sees_both() -> None:
    found: list[EvaluatedBounce] = []
    together(
        lambda: found.extend(evaluate_bounces([report(1)], services().now())),
        lambda: found.extend(evaluate_bounces([report(2, at=START - DAY)], services().now())),
    )
    assert any(each.change for each in found)


def test_bounces_of_another_address_or_kind_do_not_add_up() -> None:
    reported(report(1, at=START - DAY))
    assert reported(report(2, who=BO), report(3, "5.2.1")) == [BounceActionKind.COUNT] * 2


def test_only_a_keyed_digest_is_kept_and_not_for_long(clock: Clock) -> None:  # I12
    reported(report(1, at=START - DAY, who=BO))
    row = run_in_transaction(lambda c: c.execute("SELECT digest FROM counted_bounce").fetchone())
    assert row == (services().keys.exact_digest(BO),)
    clock.advance(timedelta(days=90))
    reported(report(2, at=clock()))
    assert counted() == 1  # the old one is gone


def test_a_dry_run_evaluates_and_writes_nothing() -> None:
    reported(report(1, at=START - DAY))
    assert reported(report(2), keep=False) == [BounceActionKind.SUPPRESS_TEMPORARILY]
    assert counted() == 1


def test_the_catalogue_may_count_full_mailboxes_and_spare_unknown_users(app: Flask) -> None:
    words = """
[deliverability]
temporary_days = 7
codes."5.1.1" = "never"
codes."5.2.2" = { events = 2 }
"""
    put_in_force(app, CATALOGUE + words)
    assert reported(report(1, "5.1.1"), report(2, text="mailbox full")) == [
        BounceActionKind.IGNORE, BounceActionKind.COUNT,
    ]  # fmt: skip
    assert reported(report(3, "5.2.2")) == [BounceActionKind.SUPPRESS_TEMPORARILY]
    [evaluated] = evaluate_bounces([report(3, "5.2.2")], services().now())
    assert evaluated.action.until == START + timedelta(days=7)


def test_a_new_owner_of_a_mailbox_gets_no_marketing_and_is_pointed_out() -> None:  # RFC 7293
    assert reported(report(1, "5.7.17"), report(2, "5.1.1")) == [BounceActionKind.SUPPRESS] * 2
    assert not decision().allow
    rows = run_in_transaction(
        lambda c: c.execute("SELECT actor, action, detail FROM audit").fetchall()
    )
    assert rows == [("example", OWNER_CHANGED, {"event": str(UUID(int=1))})]
