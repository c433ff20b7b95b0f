"""Sentences by somebody who had not seen how they are read (docs/evidence/objections.md)."""

from __future__ import annotations

import json
from email.message import EmailMessage
from pathlib import Path

import pytest

from preference_center.inbound.rules import StatementKind
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.inbound.rules.sms_keywords import classify_sms
from preference_center.integrations.base.vendor_events import SmsIntent

SENTENCES = json.loads(
    (Path(__file__).parents[2] / "corpus/held_out_sentences.json").read_text(encoding="utf-8")
)
OPT_OUTS = [each for each in SENTENCES if each["want"] == "opt_out"]
OTHERS = [each for each in SENTENCES if each["want"] == "not"]


def is_taken(sentence: dict[str, str]) -> bool:
    if sentence["channel"] == "sms":
        intent = classify_sms(sentence["text"], None, (sentence["language"],))
        return intent in {SmsIntent.STOP, SmsIntent.STOP_ALL}
    mail = EmailMessage()
    mail["From"], mail["To"] = "jane.doe@example.org", "reply@acme.example"
    mail["Subject"] = sentence["subject"]
    mail.set_content(sentence["text"])
    found = interpret_mail(mail.as_bytes(), for_reports=False)
    return any(each.kind is StatementKind.OPTED_OUT for each in found.statements)


@pytest.mark.parametrize("sentence", OTHERS, ids=lambda each: each["id"])
def test_what_asks_for_something_else_opts_nobody_out(sentence: dict[str, str]) -> None:
    assert not is_taken(sentence)


def test_of_clear_opt_outs_at_least_85_percent_are_taken_at_once() -> None:
    assert sum(map(is_taken, OPT_OUTS)) >= 0.85 * len(OPT_OUTS)
