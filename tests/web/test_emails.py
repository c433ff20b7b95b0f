"""The content of our own email."""

# ruff: noqa: F401, F811 - fixtures of another folder are imported by name

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from preference_center.app.hooks import EMAIL_TEXTS
from preference_center.infra.config_sections import MailServer
from preference_center.infra.outbox import EmailKind, SendResult, enqueue_emails
from preference_center.web.emails import render_email
from tests.clock import START
from tests.in_force import CATALOGUE, put_in_force
from tests.infra.emails import LINK, outgoing_email
from tests.infra.smtp.fixtures import _context, server, stub
from tests.infra.smtp.sending import at, state, work
from tests.infra.smtp.stub import (
    SmtpStub,
    run_smtp_stub,
)

BRANDED = CATALOGUE.replace(
    'name = "Acme"',
    'name = "Acme"\nsender = "Acme Notizie <notizie@news.acme.example>"\n'
    'footer = { it = "Acme S.p.A., Torino", en = "Acme Ltd, Turin" }',
)
CONTACT = """
privacy_notice = { it = "https://acme.example/it", en = "https://acme.example/en" }
privacy_contact = "privacy@acme.example"
contact.email = "Acme Care <care@acme.example>"
contact.phone = "+39 011 555 1234"
contact.url = "https://acme.example/help"
"""
REACHABLE = BRANDED.replace("\nsender", f"{CONTACT}sender")

MORE_VALUES = {
    EmailKind.ONE_TIME_LINK: {},
    EmailKind.CONFIRM_OPT_IN: {"what": "Notizie"},
    EmailKind.RIGHTS_LINK: {"right": "erase"},
    EmailKind.NEW_ADDRESS: {},
    EmailKind.ADDRESS_MOVED: {},
    EmailKind.ACCOUNT_CLOSED: {},
}


def text_and_html(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain
    assert html
    return plain.get_content().replace("\r\n", "\n"), html.get_content()


def rendered(**given: Any) -> EmailMessage:
    """An email as its reader's program sees it."""
    raw = render_email(outgoing_email(**given), START).as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_an_email_arrives_as_text_and_as_html_and_is_wiped(
    server: MailServer, stub: SmtpStub
) -> None:
    email = outgoing_email()
    enqueue_emails([email])
    assert work(server) == 1
    (received,) = stub.received
    assert (received.sender, received.recipients) == (
        "choices@example.com",
        ["jane.doe@example.com"],
    )
    assert received.message.get_content_type() == "multipart/alternative"
    text, html = text_and_html(received.message)
    assert f"\n{LINK}\n" in text
    assert re.findall('href="([^"]+)"', html) == [LINK, LINK]  # the button, and below it as text
    assert state(email) == (SendResult.SENT, False)
    assert work(server) == 0


def test_it_is_marked_as_automatic_and_when(server: MailServer, stub: SmtpStub) -> None:
    email = outgoing_email()
    enqueue_emails([email])
    work(server)
    message = stub.received[0].message
    assert message["Auto-Submitted"] == "auto-generated"  # RFC 3834 5
    assert message["Message-ID"] == f"<{email.id}@example.com>"
    assert message["Date"].datetime == START
    assert message["To"] == "jane.doe@example.com"


def test_it_is_fit_for_any_server_on_its_way(server: MailServer, stub: SmtpStub) -> None:
    enqueue_emails([outgoing_email(language="de", values={"link": LINK + "x" * 500})])
    work(server)
    assert stub.received[0].raw.isascii()
    assert max(map(len, stub.received[0].raw.split(b"\r\n"))) <= 78  # RFC 5322 2.1.1


@pytest.mark.parametrize("kind", MORE_VALUES)
@pytest.mark.parametrize(
    "language, button",
    [
        (
            "it",
            {
                "one_time_link": "Scegli cosa ricevere",
                "confirm_opt_in": "Conferma",
                "rights_link": "Continua",
                "new_address": "Conferma questo indirizzo",
                "address_moved": "Non ero io",
                "account_closed": "Non ero io",
            },
        ),
        (
            "en",
            {
                "one_time_link": "Choose what you receive",
                "confirm_opt_in": "Confirm",
                "rights_link": "Continue",
                "new_address": "Confirm this address",
                "address_moved": "This wasn’t me",
                "account_closed": "This wasn’t me",
            },
        ),
        (
            "de",
            {
                "one_time_link": "Auswählen, was Sie erhalten",
                "confirm_opt_in": "Bestätigen",
                "rights_link": "Weiter",
                "new_address": "Diese Adresse bestätigen",
                "address_moved": "Das war ich nicht",
                "account_closed": "Das war ich nicht",
            },
        ),
        (
            "fr",
            {
                "one_time_link": "Choisir ce que vous recevez",
                "confirm_opt_in": "Confirmer",
                "rights_link": "Continuer",
                "new_address": "Confirmer cette adresse",
                "address_moved": "Ce n’était pas moi",
                "account_closed": "Ce n’était pas moi",
            },
        ),
        (
            "es",
            {
                "one_time_link": "Elegir lo que recibe",
                "confirm_opt_in": "Confirmar",
                "rights_link": "Continuar",
                "new_address": "Confirmar esta dirección",
                "address_moved": "No fui yo",
                "account_closed": "No fui yo",
            },
        ),
    ],
)
def test_it_speaks_the_language_of_its_reader(
    kind: EmailKind, language: str, button: dict[str, str]
) -> None:
    message = rendered(kind=kind, language=language, values={"link": LINK} | MORE_VALUES[kind])
    assert message["Content-Language"] == language
    text, html = text_and_html(message)
    assert f'<html lang="{language}">' in html
    for part in (text, html):
        assert button[kind] in part
        assert "2026" in part  # until when
        assert re.search(r"24[^,]*2026, 11:00", part)  # in the time zone of the settings


def test_it_has_the_words_of_its_brand(app: Flask) -> None:
    text = "Hallo von %(name)s"
    key = "Please confirm: messages from %(name)s"
    put_in_force(app, CATALOGUE.replace('"Acme"', f'"Acme"\ntexts.de."{key}" = "{text}"', 1))
    values = {"link": LINK, "what": "Notizie"}
    message = rendered(kind=EmailKind.CONFIRM_OPT_IN, language="de", values=values)
    assert message["Subject"] == "Hallo von Acme"
    other = rendered(kind=EmailKind.CONFIRM_OPT_IN, language="en", values=values)
    assert other["Subject"] == "Please confirm: messages from Acme"


def test_every_kind_of_email_says_something() -> None:
    assert set(EMAIL_TEXTS) == set(EmailKind)


def test_it_states_what_is_to_be_confirmed() -> None:
    values = {"link": LINK, "what": "Notizie & <Offerte>"}
    text, html = text_and_html(rendered(kind=EmailKind.CONFIRM_OPT_IN, values=values))
    assert "Notizie & <Offerte>" in text
    assert "Notizie &amp; &lt;Offerte&gt;" in html


def test_it_states_which_right_the_link_is_for() -> None:
    values = {"link": LINK, "right": "erase"}
    message = rendered(kind=EmailKind.RIGHTS_LINK, language="en", values=values)
    assert message["Subject"] == "Your link: Delete your data"
    for part in text_and_html(message):
        assert "asked Acme for this: Delete your data." in part
        assert "Nothing has changed" in part


def test_it_comes_from_the_contact_and_not_from_the_sender_of_marketing(app: Flask) -> None:
    put_in_force(app, REACHABLE)  # A13
    message = rendered(brand="acme", language="en")
    assert message["From"] == "Acme Care <care@acme.example>"
    assert message["Reply-To"] == "care@acme.example"
    assert "List-Unsubscribe" not in message
    assert "news.acme.example" not in message.as_string()
    assert "Acme" in message["Subject"]
    for part in text_and_html(message):
        assert "Acme Ltd, Turin" in part


def test_without_a_contact_it_comes_from_the_general_sender(app: Flask) -> None:
    put_in_force(app, BRANDED)
    message = rendered(brand="acme")
    assert message["From"] == "Acme <choices@example.com>"
    assert message["Reply-To"] is None
    assert "news.acme.example" not in message.as_string()  # A13


def test_the_contact_of_the_company_is_that_of_a_brand_without_one(app: Flask) -> None:
    company = """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1, 20121 Milano"
privacy_contact = "privacy@acme.example"
contact.email = "Acme Group <group@acme.example>"
"""
    put_in_force(app, BRANDED + company)
    for brand in ("acme", None):
        message = rendered(brand=brand)
        assert message["From"] == "Acme Group <group@acme.example>"
        assert "privacy@acme.example" in text_and_html(message)[0]


def test_an_email_of_two_brands_comes_from_neither_alone(app: Flask) -> None:
    second = '\n[brands.second]\nname = "Second"\ncontact.email = "two@second.example"\n'
    put_in_force(app, REACHABLE + second)
    assert rendered()["From"] == "Acme e Second <choices@example.com>"
    text, _ = text_and_html(rendered(language="en"))
    assert "to choose what you receive from Acme and Second." in text
    assert rendered(brand="second")["From"] == "Second <two@second.example>"


def test_it_states_to_whom_it_was_sent_and_how_to_reach_who_sent_it(app: Flask) -> None:
    put_in_force(app, REACHABLE)
    text, html = text_and_html(rendered(brand="acme", language="en"))
    assert "This email was sent to j***@e***.com by Acme." in text
    assert "This email was sent to j***@e***.com by Acme." in html
    for part in (text, html):
        assert "care@acme.example" in part
        assert "+39 011 555 1234" in part
        assert "https://acme.example/help" in part
        assert "privacy@acme.example" in part
        assert "https://acme.example/en" in part
        assert "https://acme.example/it" not in part


@pytest.mark.parametrize("brand", [None, "gone"])
def test_one_of_no_single_brand_comes_from_the_general_sender(app: Flask, brand: str) -> None:
    put_in_force(app, BRANDED)
    message = rendered(brand=brand)
    assert message["From"] == "Acme <choices@example.com>"
    assert "Acme S.p.A., Torino" in text_and_html(message)[0]


def test_a_legal_line_that_brands_share_stands_there_once(app: Flask) -> None:
    second = (
        '\n[brands.second]\nname = "Second"\nfooter = {'
        ' it = "Acme S.p.A., Torino", en = "Acme Ltd, Turin" }\n'
    )
    put_in_force(app, BRANDED + second)
    message = render_email(outgoing_email(language="en"), START)
    assert text_and_html(message)[0].count("Acme Ltd, Turin") == 1


def test_it_loads_nothing_and_links_nowhere_else() -> None:
    html = text_and_html(rendered())[1]
    assert not re.search(r"<(?:img|link|script|iframe)|url\(|src=|background=", html)
    assert set(re.findall(r"https?://[^\s\"<]+", html)) == {LINK}


@pytest.mark.parametrize(
    "name",
    [
        "Müller, Söhne",
        "Acme: <boss@evil.example>",
        'The "Ü" Shop',
        "A very long name of a brand, with commas, and Ümläuts, " * 3,
    ],
)
def test_no_name_of_a_brand_adds_a_sender_or_a_header(app: Flask, name: str) -> None:
    quoted = name.replace('"', '\\"')
    put_in_force(app, CATALOGUE.replace('name = "Acme"', f'name = "{quoted}"'))
    message = rendered(brand="acme")
    (sender,) = message["From"].addresses
    assert sender.addr_spec == "choices@example.com"
    assert message.keys() == rendered().keys()


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@evil.example", "a\nBcc: eve@evil.example\n\nx"])
def test_no_value_gets_into_the_headers(value: str) -> None:
    values = {"link": value, "what": value}
    message = rendered(kind=EmailKind.CONFIRM_OPT_IN, values=values)
    assert message["Bcc"] is None
    assert message.keys() == rendered().keys()


@pytest.mark.parametrize(
    "address",
    [
        '"jane doe"@example.com',
        '"a\\"b, c"@example.com',
        "o'neil+tag@example.com",
        "jane.@example.com",
    ],
)
def test_an_odd_address_is_written_to_as_it_is(
    server: MailServer, stub: SmtpStub, address: str
) -> None:
    email = outgoing_email(address)
    enqueue_emails([email])
    assert work(server) == 1
    (received,) = stub.received
    (to,) = received.message["To"].addresses
    assert len(received.recipients) == 1
    for found in (received.recipients[0], to.addr_spec):
        assert found.replace('"jane."', "jane.") == address


def test_an_address_beyond_ascii_needs_smtputf8(
    stub: SmtpStub,
) -> None:  # RFC 6531
    first, second = outgoing_email("jörg@example.com"), outgoing_email("jörg@example.com")
    with run_smtp_stub(stub, enable_SMTPUTF8=True) as port:
        enqueue_emails([first])
        assert work(at(port)) == 1
    assert stub.received[0].recipients == ["jörg@example.com"]
    with run_smtp_stub(stub, enable_SMTPUTF8=False) as port:
        enqueue_emails([second])
        assert work(at(port)) == 0
    assert state(second) == (SendResult.REFUSED, False)


def test_one_that_anybody_can_cause_has_a_link_that_stops_them(client: FlaskClient) -> None:
    text, html = text_and_html(rendered(unproven=True, language="en"))
    assert "Don’t send me these emails again" in text
    [link] = re.findall(r"^(https://\S+/emails/\S+)$", text, re.MULTILINE)
    assert f'href="{link}"' in html
    assert "jane" not in link  # I12
    page = client.get(link.partition(".example.com")[2].removeprefix(":443"))
    assert (page.status_code, '<html lang="en">' in page.text) == (200, True)
    for part in text_and_html(rendered()):
        assert "/emails/" not in part
