"""How a brand writes: the form of address, and texts of its own."""

from __future__ import annotations

import pytest

from preference_center.catalogue import (
    INFORMAL_LANGUAGES,
    PAGE_LANGUAGES,
    Wording,
    diff_catalogues,
    parse_catalogue,
    shared_wording,
)
from preference_center.catalogue.rules.wording import text_fault
from preference_center.core.errors import CatalogueError
from tests.catalogue.catalogues import SMALL, edited

KNOWN = {"Save", "Send", "Unsubscribe from %(title)s", "<strong>%(address)s</strong> is out"}


def acme(settings: str) -> str:
    return edited(('name = "Acme"', f'name = "Acme"\n{settings}'))


def wording(settings: str) -> Wording:
    return parse_catalogue(acme(settings), KNOWN).brands["acme"].wording


def problems(settings: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(acme(settings), KNOWN)
    return caught.value.problems


def test_a_brand_that_says_nothing_is_formal_and_english_is_the_last_resort() -> None:
    assert parse_catalogue(SMALL).brands["acme"].wording == Wording()


@pytest.mark.parametrize(
    "settings, informal",
    [
        ('address = "informal"', set(INFORMAL_LANGUAGES)),
        ('address = "formal"', set()),
        ('address.it = "informal"', {"it"}),
        ('address = { it = "informal", de = "formal", fr = "informal" }', {"it", "fr"}),
    ],
)
def test_a_brand_is_informal_in_every_language_or_in_some(
    settings: str, informal: set[str]
) -> None:
    assert wording(settings).informal == informal


@pytest.mark.parametrize(
    "settings, problem",
    [
        ('address = "casual"', 'line 9: address can\'t be "casual"; choose one of formal'),
        ('address.it = "informl"', 'line 9: it can\'t be "informl"; did you mean "informal"?'),
        ('address.en = "informal"', "has an unknown key"),  # English has one form
        ("address = 1", "address is a number"),
        ('fallback_language = "pt"', "is none of our pages' languages; choose one of it, en"),
        ('texts.pt."Save" = "Salvar"', "has an unknown key"),
        ('texts.de."Saev" = "Merken"', 'there is no text "Saev"; did you mean "Save"?'),
        ('texts.de."Zzz" = "Merken"', "`flask catalogue texts` lists the keys"),
        ('texts.de."Save" = ""', "Save is empty"),
        ('texts.de."Save" = 1', "Save is a number, not text"),
        ("texts.de = 1", "de is a number, not a table"),
        ('texts.de."Save" = "Merken: %(what)s"', "other placeholders than its key; use exactly"),
        ('texts.de."Unsubscribe from %(title)s" = "Ab"', "use exactly these: %(title)s"),
        ('texts.de."Unsubscribe from %(title)s" = "Ab von %(titel)s"', "other placeholders"),
        ('texts.de."Save" = "<b>Merken</b>"', "other tags than its key"),
        ('texts.de."<strong>%(address)s</strong> is out" = "%(address)s raus"', "other tags"),
        ('texts.de."Save" = "100 %"', "has a % that begins no placeholder"),
        ('texts.de."Save" = \'Sag "Ja"\'', "write “ ” for quotes"),
        ('texts.de."Save" = "Merken & gut&nbsp;"', "has one of < >"),
        ('texts.de."Save" = "Merken <img src=x>"', "has one of < >"),
        (f'texts.de."Save" = "{"M" * 81}"', "has 81 characters; shorten it to 80"),
    ],
)
def test_a_fault_says_where_and_what_to_do(settings: str, problem: str) -> None:
    found = problems(settings)
    assert len(found) == 1
    assert problem in found[0]
    assert found[0].startswith("line 9: ")


def test_a_text_is_replaced_by_its_english_original() -> None:
    found = wording('[brands.acme.texts.fr]\n"Save" = "Valider\u00a0!"\n"Send" = "Envoyer & finir"')
    assert found.replaced_texts("fr") == {("Save", "Valider\u00a0!"), ("Send", "Envoyer & finir")}
    assert found.replaced_texts("de") == frozenset()


def test_a_catalogue_in_force_outlives_a_text_that_a_new_version_rephrased() -> None:
    # Otherwise an upgrade would leave the service without a catalogue.
    text = acme('texts.de."Gone" = "Weg"')
    assert parse_catalogue(text).brands["acme"].wording.replaced_texts("de") == {("Gone", "Weg")}


@pytest.mark.parametrize("key", sorted(KNOWN))
def test_every_text_may_stay_as_it_is(key: str) -> None:
    assert text_fault(key, key) is None


def test_several_brands_speak_as_they_all_do() -> None:
    one = wording(
        'fallback_language = "it"\naddress = "informal"\n'
        'texts.de = { "Save" = "Merken", "Send" = "Los" }\ntexts.fr."Save" = "Valider"'
    )
    other = wording(
        'fallback_language = "it"\naddress.de = "informal"\n'
        'texts.de = { "Save" = "Merken", "Send" = "Weg damit" }'
    )
    both = shared_wording([one, other])
    assert both == Wording("it", frozenset({"de"}), {"de": frozenset({("Save", "Merken")})})
    assert shared_wording([one, Wording()]) == Wording()
    assert shared_wording([one]) == one
    assert shared_wording([]) == Wording()


def test_a_change_of_words_is_shown_before_it_is_applied() -> None:
    before = parse_catalogue(acme('address.it = "informal"\ntexts.de."Save" = "Merken"'))
    after = parse_catalogue(acme('fallback_language = "de"\ntexts.de."Save" = "Sichern"'))
    lines = [line.strip() for line in diff_catalogues(before, after).format_lines()]
    assert lines == [
        "changed brand acme",
        "address.it: informal -> none",
        'texts.de."Save": "Merken" -> "Sichern"',
        "fallback_language: none -> de",
    ]


def test_only_page_languages_have_forms() -> None:
    assert set(INFORMAL_LANGUAGES) < set(PAGE_LANGUAGES)
