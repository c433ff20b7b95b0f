"""Versions of the privacy policy in the API: in evidence, and consents that no longer count."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.clock import START, Clock
from tests.in_force import CATALOGUE, put_in_force
from tests.ledger.changes import EVENT_WITH_EVIDENCE
from tests.recipients.pages.test_policy_versions import VERSIONS, WEEK
from tests.web.api.sender import consent, evidence, make_sender

if TYPE_CHECKING:
    from flask import Flask

    from tests.web.api.sender import Sender

ADA = "ada@example.com"


@pytest.fixture
def sender(app: Flask) -> Sender:
    put_in_force(app, CATALOGUE + VERSIONS)
    return make_sender(app)


def test_a_consent_keeps_the_version_that_was_shown(sender: Sender) -> None:
    sender.consent(ADA, "acme.news", evidence=evidence(policy="privacy/2026"))
    query = f"SELECT evidence ->> 'policy' FROM {EVENT_WITH_EVIDENCE}"
    assert sender.rows(query) == [("privacy/2026",)]


@pytest.mark.parametrize(
    "stated, kept",
    [("privacy/2026", {"policy": "privacy/2026"}), ("privacy/2099", {}), (ADA, {})],
)
def test_an_opt_out_keeps_a_known_version_and_counts_with_any(
    sender: Sender, stated: str, kept: dict[str, str]
) -> None:  # I1, I12
    assert sender.opt_out(ADA, "acme.news", policy=stated)["recorded"] is True
    found = sender.rows(f"SELECT evidence FROM {EVENT_WITH_EVIDENCE}")
    assert found == [({"via": "phone"} | kept,)]


@pytest.mark.parametrize(
    "policy",
    [
        "privacy/1999",
        "2026",
        "privacy/2026",
    ],
)
def test_a_version_that_counts_no_more_is_rejected_with_the_field(
    sender: Sender, clock: Clock, policy: str
) -> None:
    at = clock.advance(WEEK)
    body = consent(evidence=evidence(policy=policy, occurred_at=at.isoformat()))
    answer = sender.post("/v1/consents", body)
    assert answer.status_code == 422
    error = answer.get_json()["errors"][0]
    assert error["pointer"] == "/evidence/policy"
    assert sender.rows("SELECT 1 FROM event") == []


def test_an_older_consent_denies_until_there_is_a_new_one(sender: Sender, clock: Clock) -> None:
    sender.consent(ADA, "acme.news")
    clock.advance(WEEK)
    denied = {"allow": False, "rule": "no_consent", "advisory": "policy_changed"}
    assert sender.ask("newsletter.monthly", ADA) == denied
    body = {"address": ADA}
    topics = sender.post("/v1/preferences/query", body).get_json()["topics"]
    assert topics["acme.news"] == {
        "state": "off",
        "rule": "no_consent",
        "advisory": "policy_changed",
    }
    sender.consent(ADA, "acme.news", evidence=evidence(occurred_at=clock().isoformat()))
    assert sender.ask("newsletter.monthly", ADA)["rule"] == "consented"


def test_a_late_record_of_an_older_consent_does_not_count(sender: Sender, clock: Clock) -> None:
    clock.advance(WEEK)
    before = START + timedelta(minutes=1)
    sender.consent(ADA, "acme.news", evidence=evidence(occurred_at=before.isoformat()))
    assert sender.ask("newsletter.monthly", ADA)["advisory"] == "policy_changed"
