"""The sites of a catalogue, and when a change of one asks people again."""

from __future__ import annotations

import pytest

from preference_center.catalogue import CookieCategory, Site, diff_catalogues, parse_catalogue
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL

SHOP = """
[sites.shop]
origins = ["https://shop.example"]
brand = "acme"

[sites.shop.categories.functional.cookies]
language = { purpose = "preferences", days = 365 }

[sites.shop.categories.advertising.cookies]
"_ad*" = { purpose = "advertising", provider = "Ads Inc.", days = 90 }
_px = { purpose = "ad_measurement", provider = "Ads Inc." }
"""


def shop(text: str = SHOP) -> Site:
    return parse_catalogue(SMALL + text).sites["shop"]


def problems(text: str) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(SMALL + text)
    return list(caught.value.problems)


def test_essential_is_there_without_being_declared_and_has_our_cookie() -> None:
    site = shop()
    assert [*site.categories] == [
        CookieCategory.ESSENTIAL,
        CookieCategory.FUNCTIONAL,
        CookieCategory.ADVERTISING,
    ]
    assert [each.name for each in site.categories[CookieCategory.ESSENTIAL].cookies] == [
        "pc_consent"
    ]
    assert site.optional == (CookieCategory.FUNCTIONAL, CookieCategory.ADVERTISING)
    assert site.path == "/consent"


@pytest.mark.parametrize(
    "old, new",
    [
        ('purpose = "advertising"', 'purpose = "social"'),
        ("days = 90", "days = 400"),
        ('provider = "Ads Inc.", days', 'provider = "Others Inc.", days'),
        ('"_ad*"', '"_advert*"'),
        ("\n_px", '\nnew = { purpose = "social" }\n_px'),
        ("[sites.shop.categories.functional.cookies]", "[sites.shop.categories.essential.cookies]"),
    ],
)
def test_what_a_person_agrees_to_makes_the_version(old: str, new: str) -> None:
    assert old in SHOP
    assert shop(SHOP.replace(old, new)).version != shop().version


FUNCTIONAL = "[sites.shop.categories.functional.cookies]"
OWN_TEXT = """[sites.shop.categories.functional]
text = { it = "Testo", en = "A typo put right" }
"""
ESSENTIAL = """[sites.shop.categories.essential.cookies]
basket = { purpose = "session" }

"""


@pytest.mark.parametrize(
    "old, new",
    [
        (FUNCTIONAL, OWN_TEXT + FUNCTIONAL),
        (FUNCTIONAL, ESSENTIAL + FUNCTIONAL),
        ("shop.example", "www.shop.example"),
        ('brand = "acme"', 'brand = "acme"\npath = "/privacy/choice"'),
    ],
)
def test_wording_and_what_nobody_agrees_to_do_not(old: str, new: str) -> None:
    assert old in SHOP
    assert shop(SHOP.replace(old, new)).version == shop().version


def test_the_order_of_the_file_does_not_make_it_either() -> None:
    lines = SHOP.strip().splitlines()
    functional, advertising = "\n".join(lines[4:6]), "\n".join([lines[7], lines[9], lines[8]])
    turned = "\n" + "\n".join(lines[:3]) + f"\n\n{advertising}\n\n{functional}\n"
    assert shop(turned).version == shop().version


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ("https://shop.example", "http://shop.example", "is no origin"),
        ("https://shop.example", "https://shop.example/", "is no origin"),
        ("https://shop.example", "https://*.shop.example", "is no origin"),
        ('["https://shop.example"]', "[]", "origins is empty"),
        ('origins = ["https://shop.example"]\n', "", "has no origins"),
        ('brand = "acme"', 'brand = "acne"', 'did you mean "acme"?'),
        ('brand = "acme"', 'brand = "acme"\npath = "consent"', 'path = "/consent"'),
        ('"_ad*"', '"_*ad"', "is no name of a cookie"),
        ('"_ad*"', '"two words"', "is no name of a cookie"),
        ('purpose = "advertising"', 'purpose = "adverts"', "purpose can't be"),
        ("days = 90", "days = -1", "write a number from 0"),
        ("categories.advertising", "categories.marketing", "unknown key"),
        ("[sites.shop]", "[sites.Shop]", "is no good key"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(old: str, new: str, expected: str) -> None:
    assert old in SHOP
    assert any(expected in problem for problem in problems(SHOP.replace(old, new, 1)))


@pytest.mark.parametrize("origin", ["http://localhost:8000", "http://127.0.0.1", "http://[::1]:80"])
def test_a_developers_own_machine_needs_no_https(origin: str) -> None:
    assert shop(SHOP.replace("https://shop.example", origin)).origins == (origin,)


def test_an_origin_is_of_one_site() -> None:
    second = '\n[sites.blog]\norigins = ["https://shop.example"]\nbrand = "acme"\n'
    [problem] = problems(SHOP + second)
    assert 'which is of site "shop"' in problem


def test_a_diff_names_the_change_and_that_people_are_asked_again() -> None:
    old, new = parse_catalogue(SMALL + SHOP), parse_catalogue(SMALL + SHOP.replace("90", "180"))
    lines = diff_catalogues(old, new).format_lines()
    assert lines[0] == "changed site shop"
    assert "    everyone is asked about cookies again on the next page of the site" in lines
    assert any("_ad* (advertising by Ads Inc., 180 days)" in line for line in lines)


def test_a_diff_of_wording_asks_nobody_again() -> None:
    text = SHOP.replace(FUNCTIONAL, OWN_TEXT + FUNCTIONAL)
    lines = diff_catalogues(parse_catalogue(SMALL + SHOP), parse_catalogue(SMALL + text))
    assert not [line for line in lines.format_lines() if "asked about cookies" in line]
