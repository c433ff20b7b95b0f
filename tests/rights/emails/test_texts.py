"""What mails about data-subject requests say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from preference_center.infra.outbox import BY_AGENT, REQUIRED_VALUES, EmailKind
from preference_center.rights.email_texts import RIGHTS_TEXTS
from preference_center.rights.rules.requests import (
    ExtensionReason,
    RefusalGround,
    RequestKind,
    RequestOutcome,
)
from preference_center.web.languages import LANGUAGES
from tests.clock import START
from tests.in_force import CATALOGUE, put_in_force
from tests.infra.emails import LINK
from tests.web.test_emails import rendered, text_and_html

CONTROLLER = """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1, 20121 Milano"
privacy_contact = "privacy@acme.example"
timezone = "Europe/Rome"

[controller.authorities.gdpr]
name = "Garante"
url = "https://www.garanteprivacy.it/"
"""
REFERENCE = "06H0-SJ4E-G1WH-34VF"
REASONS = {
    EmailKind.RIGHTS_DONE: RequestOutcome,
    EmailKind.RIGHTS_REFUSED: RefusalGround,
    EmailKind.RIGHTS_EXTENDED: ExtensionReason,
}


def values(kind: EmailKind, **given: str) -> dict[str, str]:
    """The values of a mail of this kind."""
    reasons = REASONS.get(kind)
    every = {
        "link": LINK,
        "reference": REFERENCE,
        "right": RequestKind.ACCESS.value,
        "law": "",
        "received": START.isoformat(),
        "due": (START + timedelta(days=30, hours=14, minutes=30)).isoformat(),
        "until": (START + timedelta(days=7)).isoformat(),
        "agent": "Data Rights Ltd",
        "why": next(iter(reasons)).value if reasons else "",
    } | given
    return {name: every[name] for name in REQUIRED_VALUES[kind]}


def render(kind: EmailKind, language: str = "en", **given: str) -> tuple[str, str, str]:
    """Subject, text and HTML."""
    message = rendered(kind=kind, language=language, values=values(kind, **given))
    return (message["Subject"], *text_and_html(message))


@pytest.mark.parametrize("kind", sorted(RIGHTS_TEXTS))
def test_each_names_the_reference_in_every_language(kind: EmailKind) -> None:
    subjects = set()
    for language in LANGUAGES:
        subject, text, html = render(kind, language)
        subjects.add(subject)
        assert REFERENCE in subject
        assert f'<html lang="{language}">' in html
        assert "None" not in text
        assert (LINK in text) is ("link" in REQUIRED_VALUES[kind])
        assert ("<a href" in html) is ("link" in REQUIRED_VALUES[kind])
    assert len(subjects) == len(LANGUAGES)


@pytest.mark.parametrize(
    "kind, why", [(kind, why) for kind, reasons in REASONS.items() for why in reasons]
)
def test_every_outcome_ground_and_reason_has_words_of_its_own(kind: EmailKind, why: str) -> None:
    for language in LANGUAGES:
        others = {render(kind, language, why=other)[1] for other in REASONS[kind] if other != why}
        assert render(kind, language, why=why)[1] not in others


def test_the_receipt_states_by_when_the_answer_comes() -> None:
    _, text, _ = render(EmailKind.RIGHTS_RECEIVED)
    assert "On 24 November 2026 you asked Acme for this: See and download your data." in text
    assert "You get our answer by 24 December 2026 at the latest." in text


@pytest.mark.parametrize(
    "kind", [EmailKind.RIGHTS_RECEIVED, EmailKind.RIGHTS_DONE, EmailKind.RIGHTS_REFUSED]
)
def test_the_person_does_not_read_that_they_asked_what_an_agent_asked(kind: EmailKind) -> None:
    message = rendered(
        kind=kind, language="en", values=values(kind) | {BY_AGENT: "Data Rights Ltd"}
    )
    text, _ = text_and_html(message)
    assert "the name “Data Rights Ltd” asked Acme in your name for this: See and" in text
    assert "ou asked" not in text


def test_while_the_clock_stands_it_states_no_date() -> None:
    _, text, _ = render(EmailKind.RIGHTS_RECEIVED, due="")
    assert "make sure that it is you" in text
    assert "December" not in text


def test_a_date_is_a_day_of_the_company(app: Flask) -> None:
    """At half past eleven in the evening in London it is the next day in Rome."""
    put_in_force(app, CATALOGUE + CONTROLLER)
    assert "25 December 2026" in render(EmailKind.RIGHTS_EXTENDED)[1]


@pytest.mark.parametrize("law, named", [("gdpr", "Garante: https://www.garante"), ("ccpa", "cppa")])
def test_a_refusal_says_how_to_complain(app: Flask, law: str, named: str) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER)
    _, text, _ = render(EmailKind.RIGHTS_REFUSED, law=law)
    assert "complain to an authority" in text
    assert named in text
    assert "go to court" in text


def test_without_a_stated_law_the_authorities_of_the_configured_ones_are_named(app: Flask) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER + '\n[rights]\nlaws = ["gdpr", "uk_gdpr"]\n')
    _, text, _ = render(EmailKind.RIGHTS_REFUSED)
    assert "Garante" in text
    assert "ico.org.uk" in text


def test_replies_go_to_the_privacy_contact(app: Flask) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER)
    kind = EmailKind.RIGHTS_DONE
    message = rendered(kind=kind, values=values(kind))
    assert message["Reply-To"] == "privacy@acme.example"
    with_contact = CONTROLLER.replace(
        "privacy_contact", 'contact.email = "care@acme.example"\nprivacy_contact'
    )
    put_in_force(app, CATALOGUE + with_contact)
    assert rendered(kind=kind, values=values(kind))["Reply-To"] == "privacy@acme.example"
    assert rendered()["Reply-To"] == "care@acme.example"


def test_a_reminder_names_where_staff_work_on_it(app: Flask) -> None:
    put_in_force(app, CATALOGUE + CONTROLLER)
    with app.app_context():
        assert "/console/requests" in render(EmailKind.RIGHTS_REMINDER)[1]


def test_the_answer_to_an_objection_says_that_all_marketing_is_off() -> None:
    objected = render(EmailKind.RIGHTS_DONE, right=RequestKind.OBJECT.value, due="")[1]
    assert "All marketing to this address is off." in objected
    assert "All marketing to this address is off." not in render(EmailKind.RIGHTS_DONE, due="")[1]


def test_the_answer_to_an_erasure_says_until_when_tools_follow() -> None:
    right = RequestKind.ERASE.value
    follows = render(EmailKind.RIGHTS_DONE, right=right)[1]
    assert "follow by 24 December 2026 at the latest." in follows
    assert "It is done." not in follows
    assert "It is done." in render(EmailKind.RIGHTS_DONE, right=right, due="")[1]


@pytest.mark.parametrize("kind", [EmailKind.RIGHTS_DONE, EmailKind.ERASED])
def test_of_two_brands_the_company_writes(app: Flask, kind: EmailKind) -> None:
    """Two names with a verb in the singular read wrong in every language."""
    put_in_force(app, f'{CATALOGUE}{CONTROLLER}\n[brands.corner]\nname = "Corner"\n')
    given = {"extent": "account"} if kind is EmailKind.ERASED else values(kind)
    for language in LANGUAGES:
        text = text_and_html(rendered(kind=kind, language=language, values=given))[0]
        said = " ".join(text.split())
        assert "Acme S.p.A." in said
        assert "Corner ha " not in said
        assert "and Corner" not in said.partition("\n")[0][:200]
