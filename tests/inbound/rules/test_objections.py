"""What people write when they object, and what is none: a table for each of eight languages.

tests/corpus/replies has the tables. docs/evidence/objections.md has what was measured.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from preference_center.inbound.rules import ReviewReason
from preference_center.inbound.rules.clear_objection import (
    MAX_REPLY_LENGTH,
    ObjectionLocation,
    find_clear_objection,
)
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.inbound.rules.sms_keywords import classify_sms
from preference_center.integrations.base.vendor_events import SmsIntent
from tests.inbound.rules.reports import reply

CORPUS = Path(__file__).parents[2] / "corpus" / "replies"
TABLES = {path.stem: tomllib.loads(path.read_text()) for path in sorted(CORPUS.glob("*.toml"))}
STOPS = {SmsIntent.STOP, SmsIntent.STOP_ALL}
by_language = pytest.mark.parametrize("language", TABLES)
UTF8 = "Content-Type: text/plain; charset=utf-8\n"


def mail(text: str) -> bytes:
    """The text as a mail; one that begins with a subject has its own."""
    head, _, rest = text.partition("\n\n")
    if head.startswith("Subject: "):
        return reply(rest, head.removeprefix("Subject: "), UTF8)
    return reply(text, header=UTF8)


def country_of(language: str) -> str:
    """A country in which the language is spoken."""
    return {"en": "GB"}.get(language, language.upper())


def as_text_message(language: str, text: str) -> SmsIntent | None:
    """The meaning of a text from where the language is spoken; None if nobody would text it."""
    if "\n" in text or len(text.split()) < 2:
        return None
    return classify_sms(text, country_of(language))


@by_language
def test_an_objection_is_recorded_at_once(language: str) -> None:  # RULES E7
    assert not [
        text
        for text in TABLES[language]["taken"]
        if not interpret_mail(mail(text), for_reports=False).statements
        or as_text_message(language, text) not in {None, SmsIntent.UNCLEAR, *STOPS}
    ]


@by_language
def test_an_objection_counts_by_mail_and_by_text_message(language: str) -> None:
    assert not [
        text
        for text in TABLES[language]["stops"]
        if not interpret_mail(mail(text), for_reports=False).statements
        or classify_sms(text, country_of(language)) not in STOPS
    ]


@by_language
def test_an_objection_that_comes_with_something_else_is_queued_for_review_too(
    language: str,
) -> None:
    for text in TABLES[language]["taken_and_queued"]:
        found = interpret_mail(mail(text), for_reports=False)
        reason = ReviewReason.HAS_FURTHER_REQUEST
        assert (len(found.statements), found.review_reason) == (1, reason), text
        assert as_text_message(language, text) is SmsIntent.UNCLEAR, text


@by_language
def test_nothing_else_is_taken_for_one(language: str) -> None:  # RULES F4
    for text in TABLES[language]["not_taken"]:
        found = interpret_mail(mail(text), for_reports=False)
        assert (found.statements, found.review_reason) == ((), ReviewReason.UNCLEAR), text
        assert find_clear_objection(text, "") is None, text
        assert as_text_message(language, text) not in STOPS, text


@by_language
def test_case_accents_and_spacing_do_not_matter(language: str) -> None:
    for text in TABLES[language]["taken"]:
        if not text.startswith("Subject: ") and "\n" not in text:
            shouted = f"\u200b {text.upper()}  ".replace(" ", "  ")
            assert find_clear_objection("Re: Offers", shouted), text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Please unsubsribe me", id="en-left-out"),
        pytest.param("Please unsubcsribe me", id="en-exchanged"),
        pytest.param("Please unsubscrribe me", id="en-doubled"),
        pytest.param("Newsletter abbestelllen", id="de-doubled"),
        pytest.param("bitte abmelen", id="de-left-out"),
        pytest.param("disicrivetemi dalla newsletter", id="it-left-out"),
        pytest.param("cancelatemi dalla lista", id="it-single"),
        pytest.param("Merci de me desincrire", id="fr-left-out"),
        pytest.param("suprimez moi de vos fichiers", id="fr-single"),
        pytest.param("retirrez-moi de votre liste", id="fr-doubled"),
        pytest.param("delet me from youre list", id="en-last-left-out"),
        pytest.param("quitenme de su lista por fabor", id="es-by-sound"),
        pytest.param("Cancelar suscripsion", id="es-wrong"),
        pytest.param("Graag uitschijven", id="nl-left-out"),
        pytest.param("prosze mnie wypisc z newslettera", id="pl-left-out"),
        pytest.param("descadatrar", id="pt-left-out"),
    ],
)
def test_a_typing_error_does_not_matter(text: str) -> None:
    assert find_clear_objection("Re: Offers", text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Ich möchte mich anmelden", id="de"),
        pytest.param("Ik wil me aanmelden voor de nieuwsbrief", id="nl"),
        pytest.param("I unsubscribed myself from your newsletter", id="en"),
        pytest.param("Disiscrivetevi dalla newsletter", id="it"),
        pytest.param("Non arrivano altre mail", id="it-mood"),
    ],
)
def test_another_word_is_no_typing_error(text: str) -> None:
    assert find_clear_objection("Re: Offers", text) is None


@pytest.mark.parametrize(
    "text, expected",
    [
        pytest.param("Please take jane.doe@example.com off your list", True, id="own"),
        pytest.param("Please take JANE.DOE@example.com off your list", True, id="own-upper-case"),
        pytest.param("Please take paul@example.org off your list", False, id="somebody-else's"),
    ],
)
def test_who_names_their_own_address_means_themselves(text: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    assert bool(find_clear_objection("Re: Offers", text, "jane.doe@example.com")) is expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("I do not want you to\nunsubscribe me", id="wrapped"),
        pytest.param("Please do not, ever, unsubscribe me.", id="interrupted"),
        pytest.param("Unsubscribe me. No, keep me on the list!", id="taken-back"),
        pytest.param('Your mail says "unsubscribe me here".', id="quoted"),
        pytest.param("Great!\n\nUnsubscribe from this list | Update preferences", id="our-footer"),
        pytest.param("If you no longer wish to receive our mails, unsubscribe here.", id="footer"),
        pytest.param("Unsubscribe me. " + "I have more to tell. " * 200, id="too-long"),
    ],
)
def test_what_is_negated_quoted_or_taken_back_is_none(text: str) -> None:
    assert find_clear_objection("Re: Offers", text) is None
    assert len(text) < 2 * MAX_REPLY_LENGTH


@pytest.mark.parametrize("word", ["stop", "basta", "stopp", "alto", "parem", "koniec", "assez"])
def test_a_word_that_ends_anything_counts_only_if_there_is_nothing_else(word: str) -> None:
    assert find_clear_objection("Re: Offers", f"{word}!")
    assert (
        find_clear_objection("Re: Offers", f"{word}! The parcel went to the wrong place.") is None
    )


@pytest.mark.parametrize("subject", ["unsubscribe", "STOP", "Disiscrizione", "BAJA", "Abmelden"])
def test_a_subject_of_the_writers_own_is_enough(subject: str) -> None:
    found = find_clear_objection(subject, "")
    assert found is not None
    assert found.location is ObjectionLocation.SUBJECT
    assert find_clear_objection(subject, "Jane Doe") is not None


@pytest.mark.parametrize("address, expected", [("jane@example.com", True), ("x@y.example", False)])
def test_a_subject_may_name_the_writers_own_address(address: str, *, expected: bool) -> None:
    subject = f"Please remove {address.upper()} from your mailing list"
    assert bool(find_clear_objection(subject, "", "jane@example.com")) is expected


@pytest.mark.parametrize(
    "subject, own",
    [
        ("Re: Stop", ""),  # the subject of our own mail
        ("AW: Abmelden", ""),
        ("Unsubscribe?", ""),
        ("unsubscribe", "Only from the weekly one"),
        ("unsubscribe", "I do not want that"),
        ("", "unsubscribe\n\n" + "I have more to tell. " * 200),
        ("", ""),
    ],
)
def test_a_subject_is_not_enough_if_it_is_not_theirs_or_the_body_contains_more(
    subject: str, own: str
) -> None:
    assert find_clear_objection(subject, own) is None


@pytest.mark.parametrize(
    "label",
    [
        "hier abmelden",
        "Newsletter hier abmelden!",
        "Abmelden hier",
        "hier afmelden",
        "Uitschrijven kan hier.",
        "Se désabonner ici",
        "Désinscription ici",
        "Darse de baja aquí",
        "Cancelar la suscripción aquí",
        "Cancelar inscrição aqui",
        "Unsubscribe here",
        "cancellati qui",
    ],
)
def test_the_label_of_a_link_that_was_pasted_is_for_a_person_to_read(label: str) -> None:
    assert find_clear_objection("Re: Offers", label) is None


@pytest.mark.parametrize(
    "text",
    [
        "Ich möchte mich hier abmelden",
        "Bitte mich hier abmelden.",
        "Abmelden",
        "hier abmelden, danke",
        "Ik wil mij hier uitschrijven",
        "me désabonner ici",
        "Quiero darme de baja aquí",
    ],
)
def test_who_speaks_of_themselves_may_say_here(text: str) -> None:
    assert find_clear_objection("Re: Offers", text)


@pytest.mark.parametrize(
    "text",
    [
        "Retirez-le de vos listes, ce produit.",
        "Supprimez-la de votre liste, cette offre.",
        "Take it off your list, this product.",
        "Nehmt es aus der Liste, dieses Produkt.",
        "Haal het van de lijst, dit product.",
        "Retirem-no da lista, este produto.",
    ],
)
def test_what_is_named_after_the_comma_is_what_they_mean(text: str) -> None:
    assert find_clear_objection("Re: Offers", text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Retirez-la de vos listes, cette adresse.",
        "Retirez-le de vos listes.",
        "Retirez-moi de vos listes, cette fois.",
        "Take me off your list, this time.",
        "Stop the emails, this minute.",
    ],
)
def test_but_not_where_they_speak_of_themselves_of_mail_or_of_an_address(text: str) -> None:
    assert find_clear_objection("Re: Offers", text)
