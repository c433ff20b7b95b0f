"""`contact`, `privacy_contact`, `privacy_notice` and `closing_url` of the catalogue."""

from __future__ import annotations

import pytest

from preference_center.catalogue import (
    CompanyContact,
    ContactDetails,
    catalogue_warnings,
    diff_catalogues,
    parse_catalogue,
)
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

OWN = """name = "Acme"
sender = "Acme <news@acme.example>"
contact.email = "Acme Care <care@acme.example>"
contact.phone = "+39 011 555 1234"
contact.url = "https://acme.example/help"
privacy_contact = "dpo@acme.example"
privacy_notice = { it = "https://acme.example/it", en = "https://acme.example/en" }
closing_url = "https://acme.example/close"
"""
REACHABLE = edited(('name = "Acme"\n', OWN))
COMPANY = """
[controller]
name = "Acme S.p.A."
address = "Via Roma 1, 20121 Milano"
privacy_contact = "privacy@acme.example"
privacy_notice = "https://group.example/privacy"
contact.email = "group@acme.example"
"""


def details(text: str) -> ContactDetails:
    catalogue = parse_catalogue(text)
    return catalogue.contact_details(catalogue.brands["acme"])


def test_a_brand_has_its_own() -> None:
    help_page = dict.fromkeys(("it", "en"), "https://acme.example/help")
    assert details(REACHABLE + COMPANY) == ContactDetails(
        CompanyContact("Acme Care <care@acme.example>", "+39 011 555 1234", help_page),
        "dpo@acme.example",
        {"it": "https://acme.example/it", "en": "https://acme.example/en"},
        dict.fromkeys(("it", "en"), "https://acme.example/close"),
    )


def test_what_a_brand_leaves_out_is_that_of_the_company() -> None:
    found = details(SMALL + COMPANY)
    assert found.contact == CompanyContact("group@acme.example")
    assert found.privacy_contact == "privacy@acme.example"
    assert found.privacy_notice["it"] == "https://group.example/privacy"
    assert not found.closing_url


def test_a_catalogue_without_any_is_valid() -> None:
    assert details(SMALL) == ContactDetails()


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("Acme Care <care@acme.example>", "Acme Care", "email is no email address"),
        ('contact.email = "Acme Care <care@acme.example>"\n', "", "has no email"),
        ('"+39 011 555 1234"', '"011 555 1234"', "write it with its country code"),
        ('"+39 011 555 1234"', '"+39 1"', "is no phone number"),
        ("https://acme.example/help", "acme.example/help", "begin it with https://"),
        ("https://acme.example/close", "http://acme.example/close", "begin it with https://"),
        ("https://acme.example/en", "javascript:alert(1)", "begin it with https://"),
        ('"dpo@acme.example"', '"dpo"', "privacy_contact is no email address"),
        ("contact.phone", "contact.fone", 'did you mean "phone"?'),
    ],
)
def test_a_fault_is_reported_with_its_remedy(old: str, new: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as error:
        parse_catalogue(edited((old, new), text=REACHABLE))
    assert problem in "\n".join(error.value.problems)
    assert len(error.value.problems) == 1


def test_a_change_is_reported_in_words() -> None:
    changed = edited(("care@acme", "help@acme"), text=REACHABLE)
    lines = diff_catalogues(parse_catalogue(REACHABLE), parse_catalogue(changed)).format_lines()
    before, after = "Acme Care <care@acme.example>", "Acme Care <help@acme.example>"
    page = "+39 011 555 1234, https://acme.example/help"
    assert lines == [
        "changed brand acme",
        f"    contact: {before}, {page} -> {after}, {page}",
    ]


def warnings_of_brands(text: str) -> list[str]:
    return [line for line in catalogue_warnings(parse_catalogue(text)) if "brand" in line]


def test_a_brand_that_nobody_can_write_to_is_warned_of() -> None:
    missing = warnings_of_brands(SMALL)
    assert [line.partition(",")[0].partition(";")[0] for line in missing] == [
        "brand acme has no contact",
        "brand acme has no privacy notice",
    ]
    assert warnings_of_brands(REACHABLE) == []
    assert warnings_of_brands(SMALL + COMPANY) == []


@pytest.mark.parametrize(
    "stated, missing",
    [
        ("", "no purpose and no legal_basis"),
        ('legal_basis = "consent"', "no purpose"),
        ('purpose = { en = "News", it = "Novità" }', "no legal_basis"),
        ('purpose = { en = "News", it = "Novità" }\nlegal_basis = "consent"', ""),
        ("retired = true", ""),
    ],
)
def test_a_topic_without_purpose_or_legal_basis_is_warned_of(stated: str, missing: str) -> None:
    # GDPR art. 13(1)(c)
    text = SMALL.replace('default = "opt_in"', f'default = "opt_in"\n{stated}', 1)
    lines = [line for line in catalogue_warnings(parse_catalogue(text)) if "acme.news has" in line]
    assert [line.partition(",")[0] for line in lines] == (
        [f"topic acme.news has {missing}"] if missing else []
    )


def test_a_contact_that_sends_the_marketing_is_warned_of() -> None:  # A13
    same = edited(("Acme Care <care@acme.example>", "News@acme.example"), text=REACHABLE)
    (line,) = warnings_of_brands(same)
    assert "also sends its marketing" in line
