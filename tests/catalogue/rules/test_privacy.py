"""`[controller]`, `[rights]`, `[minors]`, `[retention]` and `[destinations]` of the catalogue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from preference_center.catalogue import (
    AccountClosing,
    Authority,
    LegalBasis,
    Recipient,
    RecipientRole,
    RetainedData,
    RetentionRule,
    RightsPolicy,
    diff_catalogues,
    parse_catalogue,
)
from preference_center.catalogue.rules.privacy import Law
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

STATED = """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1, 20121 Milano"
privacy_contact = "privacy@acme.example"
officer = "dpo@acme.example"
privacy_notice = { it = "https://acme.example/it", en = "https://acme.example/en" }
timezone = "Europe/Rome"

[controller.authorities.gdpr]
name = "Garante"
url = "https://garante.example"

[rights]
laws = ["gdpr", "ccpa"]
target_days = 5
closing = "ask"

[minors]
age = 16

[retention.evidence]
days = 730
ground = "limitation of claims"

[destinations.mailchimp-eu]
title = "Mailchimp"
company = "Intuit Inc."
country = "US"
role = "processor"
"""


def test_a_catalogue_that_says_nothing_about_it_names_no_controller() -> None:
    catalogue = parse_catalogue(SMALL)
    assert catalogue.controller is None
    assert catalogue.rights == RightsPolicy()
    assert not catalogue.retention
    assert not catalogue.recipients
    assert catalogue.topics["acme.news"].legal_basis is None


def test_what_is_stated_is_read() -> None:
    catalogue = parse_catalogue(SMALL + STATED)
    controller = catalogue.controller
    assert controller is not None
    assert controller.name["en"] == "Acme S.p.A."
    assert controller.privacy_contact == "privacy@acme.example"
    assert controller.privacy_notice["en"] == "https://acme.example/en"
    assert controller.authorities == {Law.GDPR: Authority("Garante", "https://garante.example")}
    assert catalogue.rights == RightsPolicy(
        laws=(Law.GDPR, Law.CCPA),
        target=timedelta(days=5),
        closing=AccountClosing.ASK,
        minors_under=16,
    )
    assert catalogue.retention == {
        RetainedData.EVIDENCE: RetentionRule(
            timedelta(days=730), dict.fromkeys(("it", "en"), "limitation of claims")
        )
    }
    assert catalogue.recipients == {
        "mailchimp-eu": Recipient(
            {"it": "Mailchimp", "en": "Mailchimp"}, "Intuit Inc.", "US", RecipientRole.PROCESSOR
        )
    }


def test_a_topic_has_its_purpose_and_legal_basis() -> None:
    stated = 'default = "opt_in"\nlegal_basis = "consent"\npurpose = { it = "Dire", en = "Tell" }'
    topic = parse_catalogue(edited(('default = "opt_in"', stated))).topics["acme.news"]
    assert (topic.legal_basis, topic.purpose["en"]) == (LegalBasis.CONSENT, "Tell")


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ('"privacy@acme.example"', '"privacy"', "privacy_contact is no email address"),
        ('"Europe/Rome"', '"Europe/Rom"', 'did you mean "Europe/Rome"?'),
        ('"https://acme.example/en"', '"acme.example/en"', "begin it with https://"),
        ('"https://garante.example"', '"garante.example"', "begin it with https://"),
        ('["gdpr", "ccpa"]', '["gdpr", "ccp"]', 'did you mean "ccpa"?'),
        ('["gdpr", "ccpa"]', '["gdpr", 3]', "which is no known law"),
        ('["gdpr", "ccpa"]', "[]", "laws is empty"),
        ("target_days = 5", "target_days = 31", "write a number from 1 to 30"),
        ('"ask"', '"asks"', 'did you mean "ask"?'),
        ("age = 16", "age = 0", "write a number from 1 to 21"),
        ("days = 730", "days = 0", "write a number from 1 to"),
        ("days = 730\n", "", "has no days"),
        ('ground = "limitation of claims"\n', "", "has no ground"),
        ("retention.evidence", "retention.evidences", 'did you mean "evidence"?'),
        ('country = "US"', 'country = "usa"', "is no country code"),
        ('company = "Intuit Inc."\n', "", "has no company"),
        ('address = "Via Roma 1, 20121 Milano"\n', "", "has no address"),
    ],
)
def test_a_fault_is_told_with_its_remedy(old: str, new: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as error:
        parse_catalogue(SMALL + edited((old, new), text=STATED))
    assert problem in "\n".join(error.value.problems)
    assert len(error.value.problems) == 1


def test_a_change_of_it_is_reported_in_words() -> None:
    lines = diff_catalogues(parse_catalogue(SMALL), parse_catalogue(SMALL + STATED)).format_lines()
    assert "changed controller.privacy_contact: none -> privacy@acme.example" in lines
    assert "changed rights.closing: here -> ask" in lines
    assert "changed retention.evidence.duration: none -> 730 days, 0:00:00" in lines
    assert 'changed destinations.mailchimp-eu.title.en: none -> "Mailchimp"' in lines
