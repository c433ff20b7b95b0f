"""What people write when they object, in eight languages: tests/corpus/replies.

"First" was written before the tables, the other sets after them, and each was tried before the
tables were corrected by it. docs/inbound.md has what was found then.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from preference_center.inbound.rules import ReviewReason
from preference_center.inbound.rules.interpret import (
    MAX_REPLY_LENGTH,
    find_clear_objection,
    interpret_mail,
)
from tests.inbound.rules.reports import reply

CORPUS = Path(__file__).parents[2] / "corpus" / "replies"
LANGUAGES = ("en", "it", "de", "fr", "es", "nl", "pl", "pt")
MISSED = {"nl-b05", "mixed-d013", "mixed-d015", "mixed-d131"}
"""Those that a person has to read."""
UTF8 = "Content-Type: text/plain; charset=utf-8\n"


def rows(kind: str) -> Sequence[object]:
    """The texts of one kind, in all languages and sets."""
    found: list[object] = []
    for language in (*LANGUAGES, "mixed"):
        sets = tomllib.loads((CORPUS / f"{language}.toml").read_text())
        for each in sets.values():
            found += [pytest.param(text, id=name) for name, text in each[kind].items()]
    return found


def mail(text: str) -> bytes:
    """The text as a mail; one that begins with a subject has its own."""
    head, _, rest = text.partition("\n\n")
    if head.startswith("Subject: "):
        return reply(rest, head.removeprefix("Subject: "), UTF8)
    return reply(text, header=UTF8)


@pytest.mark.parametrize("text", rows("objections"))
def test_an_objection_is_recorded_at_once(
    text: str, request: pytest.FixtureRequest
) -> None:  # RULES E7
    missed = request.node.callspec.id in MISSED
    assert bool(interpret_mail(mail(text), for_reports=False).statements) is not missed


@pytest.mark.parametrize("text", rows("both"))
def test_an_objection_that_comes_with_something_else_is_queued_for_review_too(text: str) -> None:
    found = interpret_mail(mail(text), for_reports=False)
    assert (len(found.statements), found.review_reason) == (1, ReviewReason.HAS_FURTHER_REQUEST)


@pytest.mark.parametrize("text", rows("others"))
def test_nothing_else_is_taken_for_one(text: str) -> None:  # RULES F4
    found = interpret_mail(mail(text), for_reports=False)
    assert (found.statements, found.review_reason) == ((), ReviewReason.UNCLEAR)


@pytest.mark.parametrize("language", LANGUAGES)
def test_case_accents_and_spacing_do_not_matter(language: str) -> None:
    sets = tomllib.loads((CORPUS / f"{language}.toml").read_text())
    for name, text in sets["first"]["objections"].items():
        if not text.startswith("Subject: "):
            shouted = f"\u200b {text.upper()}  ".replace(" ", "  ")
            assert find_clear_objection("Re: Offers", shouted), name


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
