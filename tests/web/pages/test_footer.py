"""The footer: how to reach each brand, its privacy pages, and how to close an account."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.in_force import put_in_force
from tests.web.pages.fixtures import CATALOGUE

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

CONTACT = """
contact.email = "Acme Care <care@acme.example>"
contact.phone = "+44 20 7946 0018"
contact.url = { en = "https://acme.example/help", it = "https://acme.example/aiuto" }
"""
SECOND = """
[brands.second]
name = "Second"
contact.email = "two@second.example"
privacy_notice = "https://second.example/privacy"
closing_url = "https://second.example/close"
"""


def catalogue(of_acme: str = "", more: str = "") -> str:
    return CATALOGUE.replace('\nsender = "Acme', f'{of_acme}\nsender = "Acme') + more


def footer(client: FlaskClient, path: str = "/form") -> str:
    html = client.get(path).text.partition("<footer")[2]
    return html.replace(' target="_top"', "")  # see tests/web/pages/test_framing.py


def links(html: str) -> list[str]:
    return re.findall(r'href="((?:https?|mailto|tel):?[^"]*)"', html)


def test_every_page_names_the_contact(app: Flask, client: FlaskClient, token: str) -> None:
    put_in_force(app, catalogue(CONTACT))
    for path in ("/form", f"/u/{token}", f"/p/{token}", "/rights", "/u/broken", "/nothing-here"):
        found = links(footer(client, path))
        assert "mailto:care@acme.example" in found
        assert "tel:+442079460018" in found
        assert "https://acme.example/help" in found
        assert "https://acme.example/privacy" in found
        assert "mailto:privacy@acme.example" in found
        assert "mailto:hello@acme.example" not in found  # the sender of marketing


def test_pages_are_those_of_the_language(app: Flask, client: FlaskClient) -> None:
    put_in_force(app, catalogue(CONTACT))
    assert "https://acme.example/aiuto" in links(footer(client, "/form?lang=it"))


def test_every_page_leads_to_the_opt_out_of_sale_and_to_the_accessibility_statement(
    app: Flask, client: FlaskClient, token: str
) -> None:  # Cal. Civ. Code 1798.135(a); Directive (EU) 2019/882, annex V
    statement = (
        'accessibility = { en = "https://acme.example/a11y", it = "https://acme.example/it/a11y" }'
    )
    put_in_force(app, CATALOGUE.replace('name = "Acme Ltd"', f'name = "Acme Ltd"\n{statement}'))
    for path in ("/form", f"/u/{token}", f"/p/{token}", "/rights", "/u/broken", "/nothing-here"):
        html = footer(client, path)
        assert "https://acme.example/a11y" in links(html), path
        assert "Do not sell or share my personal information</a>" in html, path
    assert "https://acme.example/it/a11y" in links(footer(client, "/form?lang=it"))


def test_pages_of_rights_name_the_data_protection_officer(
    app: Flask, client: FlaskClient, token: str
) -> None:  # GDPR art. 13(1)(b)
    officer = 'officer = "dpo@acme.example"'
    put_in_force(app, CATALOGUE.replace('name = "Acme Ltd"', f'name = "Acme Ltd"\n{officer}'))
    for path in ("/rights", "/rights/access", f"/rights/object/{token}"):
        assert "mailto:dpo@acme.example" in links(footer(client, path)), path
    assert "dpo@acme.example" not in footer(client, f"/u/{token}")  # short, where people opt out


def test_without_a_contact_it_names_the_sender_whose_mail_is_read_too(client: FlaskClient) -> None:
    assert "mailto:hello@acme.example" in links(footer(client))


def test_what_brands_share_is_there_once(app: Flask, client: FlaskClient) -> None:
    put_in_force(app, catalogue(more='\n[brands.second]\nname = "Second"\n'))
    html = footer(client)
    assert links(html).count("https://acme.example/privacy") == 1
    assert links(html).count("mailto:privacy@acme.example") == 1
    assert "Privacy notice (" not in html


SHOP = """
[brands.shop]
name = "Shop"
footer = { en = "Acme Ltd, 1 High Street", it = "Acme S.r.l., Via Alta 1" }
"""


@pytest.mark.parametrize("sender, shares_contact", [("hello", True), ("shop", False)])
def test_the_legal_line_that_brands_share_is_there_once(
    app: Flask, client: FlaskClient, sender: str, *, shares_contact: bool
) -> None:
    put_in_force(app, catalogue(more=f'{SHOP}sender = "Shop <{sender}@acme.example>"\n'))
    html = footer(client)
    assert html.count("Acme Ltd, 1 High Street") == 1
    assert ('<b lang="en">Acme and Shop</b>' in html) is shares_contact
    assert ('<b lang="en">Shop</b>' in html) is not shares_contact
    assert ("mailto:shop@acme.example" in links(html)) is not shares_contact


def test_where_brands_differ_it_says_whose_each_is(app: Flask, client: FlaskClient) -> None:
    put_in_force(app, catalogue(CONTACT, SECOND))
    html = footer(client)
    assert "mailto:two@second.example" in links(html)
    assert '<b lang="en">Acme</b>' in html  # brands may share their legal line
    assert 'href="https://acme.example/privacy">Privacy notice (Acme)</a>' in html
    assert 'href="https://second.example/privacy">Privacy notice (Second)</a>' in html
    assert 'href="https://second.example/close">Close your account (Second)</a>' in html
    assert re.search(r'href="/rights/close">Close your account \(Acme\)</a>', html)


@pytest.mark.parametrize("closing_url", ["", '\nclosing_url = "https://acme.example/bye"'])
def test_the_account_is_closed_by_the_company_or_by_our_page(
    app: Flask, client: FlaskClient, token: str, closing_url: str
) -> None:
    put_in_force(app, catalogue(closing_url))
    target = "https://acme.example/bye" if closing_url else f"/rights/close/{token}"
    assert f'href="{target}">Close your account</a>' in footer(client, f"/u/{token}")


def test_without_a_controller_no_page_of_rights_closes_it(app: Flask, client: FlaskClient) -> None:
    put_in_force(app, CATALOGUE.partition("[controller]")[0])
    assert "Close your account" not in footer(client)
