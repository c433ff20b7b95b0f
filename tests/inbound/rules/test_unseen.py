"""Texts and whole mails by authors who had not seen how they are read.

docs/evidence/objections.md has the score before and after they were read here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from preference_center.core.bounces import (
    BounceActionKind,
    DeliverabilityPolicy,
    classify_bounce,
    evaluate_bounce,
)
from preference_center.inbound.rules import MailStatement, StatementKind
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.inbound.rules.sms_keywords import classify_sms
from preference_center.integrations.base.vendor_events import SmsIntent

CORPUS = Path(__file__).parents[2] / "corpus"
NOW = datetime(2026, 12, 2, tzinfo=UTC)
WANTED = {
    "opt_out": StatementKind.OPTED_OUT,
    "bounce_permanent": StatementKind.BOUNCED,
    "complaint": StatementKind.COMPLAINED,
}
"""What a mail may do; of any other nothing may be recorded."""

MAY_STATE = {
    **{label: {kind} for label, kind in WANTED.items()},
    "rights": {StatementKind.OPTED_OUT},  # who wants to be erased wants no marketing
    "machine": {StatementKind.COMPLAINED},  # as feedback loops report
}
"""The same by the labels of the later sets."""


def load(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CORPUS / name).read_text(encoding="utf-8"))
    return found


def statements(mail: bytes, *, for_reports: bool) -> list[MailStatement]:
    """What the mail does by itself: a bounce that only counts does nothing."""
    found = interpret_mail(mail, for_reports=for_reports).statements
    return [each for each in found if each.bounce is None or suppresses(each)]


def suppresses(statement: MailStatement) -> bool:
    assert statement.bounce
    classified = classify_bounce(statement.bounce)
    action = evaluate_bounce(DeliverabilityPolicy(), classified, NOW, (), NOW)
    return action.kind is BounceActionKind.SUPPRESS


def opts_out(row: dict[str, Any]) -> bool:
    if row["channel"] == "sms":
        intent = classify_sms(row["text"], None, (row["language"],))
        return intent in {SmsIntent.STOP, SmsIntent.STOP_ALL}
    mail = EmailMessage()
    mail["From"], mail["To"] = "jane.doe@example.org", "reply@acme.example"
    mail.set_content(row["text"])
    return bool(statements(mail.as_bytes(), for_reports=False))


@pytest.mark.parametrize(
    "name",
    [
        *("unseen_texts.json", "unseen_texts_2.json", "unseen_texts_3.json"),
        *("unseen_texts_4.json", "unseen_texts_5.json"),
    ],
)
def test_of_clear_opt_outs_at_least_85_percent_are_taken_and_nothing_else_is(name: str) -> None:
    outcomes = {row["id"]: (row["want"] == "opt_out", opts_out(row)) for row in load(name)}
    taken: list[bool] = [was for wanted, was in outcomes.values() if wanted]
    assert [row for row, (wanted, was) in outcomes.items() if was and not wanted] == []
    assert sum(taken) >= 0.85 * len(taken)


def test_whole_mails_do_what_they_should_to_whom_they_are_about() -> None:
    wrong, missed, opt_outs = [], 0, 0
    for row in load("unseen_mails.json"):
        content = "\n".join(row["mail"]).encode()
        found = statements(content, for_reports=row["group"] in {"bounce", "arf"})
        wanted = WANTED.get(row["want"])
        opt_outs += row["want"] == "opt_out"
        missed += row["want"] == "opt_out" and not found
        is_right = [each.kind for each in found] == [wanted] if wanted else not found
        is_of = not found or "of" not in row or found[0].recipients[:1] == (row["of"],)
        if not (is_right and is_of) and (found or row["want"] != "opt_out"):
            wrong.append(row["id"])
    assert wrong == []
    assert opt_outs - missed >= 0.8 * opt_outs


@pytest.mark.parametrize(
    "name, least",
    [
        *(("unseen_mails_2.json", 0.88), ("unseen_mails_3.json", 0.8)),
        *(("unseen_mails_4.json", 0.88), ("unseen_mails_5.json", 0.95)),
    ],
)
def test_of_whole_mails_most_opt_outs_are_taken_and_nothing_else_is(
    name: str, least: float
) -> None:
    wrong, taken = [], []
    for row in load(name):
        label, content = row["label"], "\n".join(row["mail"]).encode("utf-8", "surrogateescape")
        found = statements(content, for_reports=label.startswith(("bounce", "complaint")))
        kinds = {each.kind for each in found}
        if label == "opt_out":
            taken.append(bool(kinds))
        if not kinds <= MAY_STATE.get(label, set()):
            wrong.append(row["id"])
    assert wrong == []
    assert sum(taken) >= least * len(taken)
