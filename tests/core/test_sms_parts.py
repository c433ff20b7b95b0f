"""Text messages are counted in septets, and fitted into one part."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from preference_center.catalogue import catalogue_warnings, parse_catalogue
from preference_center.core.sms_parts import (
    SEPTETS,
    count_septets,
    excess_parts,
    fit_in_one_part,
    shorten,
    to_gsm,
)
from tests.catalogue.catalogues import edited


@pytest.mark.parametrize(
    "text, septets",
    [
        ("", 0),
        ("a" * 160, 160),
        ("€" * 80, 160),  # an escape and the character
        ("è é ù ì ò à Ç ñ ü ß", 19),
        ("más", None),
        ("\N{PARTY POPPER}", None),
    ],
)
def test_septets(text: str, septets: int | None) -> None:
    assert count_septets(text) == septets


@pytest.mark.parametrize(
    "text, written",
    [
        ("más información aquí", "mas informacion aqui"),
        ("C’est l’été à Orléans : ça va", "C'est l'été à Orléans : ca va"),
        ("Œuvre « naïve »", 'OEuvre " naive "'),
        ("Cafe\N{COMBINING ACUTE ACCENT} Łódź", "Café Lodz"),
        ("10 € – bis 20 % Rabatt…", "10 € - bis 20 % Rabatt..."),
        ("Ελλάδα", None),
        ("Привет", None),
    ],
)
def test_letters_that_the_alphabet_lacks_lose_their_accents(text: str, written: str | None) -> None:
    assert to_gsm(text) == written


@pytest.mark.parametrize(
    "text, parts",
    [
        ("", None),
        ("a" * 160, None),
        ("a" * 161, "takes 2 text messages: one has 160 characters; shorten it by 1"),
        ("a" * 306, "takes 2 "),
        ("a" * 307, "takes 3 "),
        ("’" * 70, None),
        ("’" * 71, "takes 2 text messages: with ’ in it"),
        ("\N{PARTY POPPER}" * 36, "takes 2 "),  # two code units each
        ("’" * 134, "takes 2 "),
        ("’" * 135, "takes 3 "),
    ],
)
def test_more_than_one_part_is_explained(text: str, parts: str | None) -> None:
    found = excess_parts(text)
    assert (found is None) if parts is None else (found or "").startswith(parts)


def test_names_are_cut_after_a_word_where_possible() -> None:
    assert shorten("Flash offers by SMS", 19) == "Flash offers by SMS"
    assert shorten("Flash offers by SMS", 16) == "Flash offers..."
    assert shorten("Donaudampfschifffahrt", 12) == "Donaudamp..."


def _write(fields: Mapping[str, str]) -> str:
    return "{name}: no more of {what}. ".format(**fields) + "x" * 100


def test_the_longest_name_is_shortened_first_and_only_as_far_as_needed() -> None:
    assert fit_in_one_part(_write, {"name": "Acme", "what": "News"}).startswith(
        "Acme: no more of News. "
    )
    text = fit_in_one_part(_write, {"name": "Acme", "what": "Offers " * 20})
    assert text.startswith("Acme: no more of Offers Offers")
    assert SEPTETS - 8 < len(text) <= SEPTETS
    text = fit_in_one_part(_write, {"name": "Acme " * 20, "what": "Offers " * 20})
    assert len(text) <= SEPTETS
    assert text.startswith("Acme Acme")
    assert "Offers Offers" in text


def test_a_text_that_can_t_fit_stays_whole_apart_from_its_names() -> None:
    text = fit_in_one_part(lambda fields: fields["name"] + "x" * 200, {"name": "Acme"})
    assert text == "Acme" + "x" * 200


SMS = (('channel = "email"', 'channel = "sms"'),)


def _sms_warnings(*changes: tuple[str, str]) -> list[str]:
    catalogue = parse_catalogue(edited(*SMS, *changes))
    return [line for line in catalogue_warnings(catalogue) if "text messages" in line]


def test_names_that_text_messages_can_t_contain_are_warned_of() -> None:
    assert _sms_warnings() == []
    (line,) = _sms_warnings(('name = "Acme"', 'name = "Cafê Acme"'))
    assert 'becomes "Cafe Acme" in text messages' in line
    (line, *_) = _sms_warnings(('name = "Acme"', 'name = "Акме"'))
    assert "name the host of the pages instead" in line
    (line,) = _sms_warnings(('it = "Notizie"', f'it = "{"Notizie " * 5}"'))
    assert "topic acme.news in it has more than 30 characters" in line
    only_mail = parse_catalogue(edited(('name = "Acme"', 'name = "Cafê Acme"')))
    assert "text messages" not in "".join(catalogue_warnings(only_mail))


STOPPED = "%(name)s: you are unsubscribed. You will get no more marketing messages at this number."


@pytest.mark.parametrize(
    "text, warned",
    [
        ("%(name)s: fine, no more marketing to this number.", None),
        ("%(name)s: d’accord, c’est noté.", None),  # the alphabet lacks nothing that matters
        ("%(name)s: " + "thanks " * 20, "takes 2 text messages: one has 160 characters"),
        ("%(name)s: спасибо, " + "больше ничего " * 4, "takes 2 text messages: with с п а in it"),
    ],
)
def test_a_replaced_text_message_of_several_parts_is_warned_of(
    text: str, warned: str | None
) -> None:
    texts = f'[brands.acme.texts.en]\n"{STOPPED}" = "{text}"\n'
    catalogue = parse_catalogue(edited(("[brands.acme]", f"{texts}[brands.acme]")))
    lines = [line for line in catalogue_warnings(catalogue) if "instead of" in line]
    assert len(lines) == (warned is not None)
    assert all(str(warned) in line and "brand acme in en" in line for line in lines)
