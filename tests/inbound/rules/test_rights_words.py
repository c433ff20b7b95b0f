"""Which right a mail asks for, in eight languages; what is not clear is for a person."""

from __future__ import annotations

import pytest

from preference_center.inbound.rules.rights_words import find_right, says_under_18
from preference_center.rights.rules.requests import RequestKind

ACCESS, ERASE, RESTRICT = RequestKind.ACCESS, RequestKind.ERASE, RequestKind.RESTRICT
SHARING = RequestKind.DONT_SELL_OR_SHARE
CLEAR = [
    (ACCESS, "Please send me a copy of all personal data you hold about me (Art. 15 GDPR)."),
    (ACCESS, "This is a subject access request."),
    (ACCESS, "What data do you hold about me?"),
    (ACCESS, "Ich bitte um eine Kopie meiner personenbezogenen Daten."),
    (ACCESS, "Hiermit verlange ich Auskunft über meine Daten gemäß Art. 15 DSGVO."),
    (ACCESS, "Welche Daten haben Sie über mich gespeichert?"),
    (ACCESS, "Solicito una copia de mis datos personales."),
    (ACCESS, "¿Qué datos míos tienen?"),
    (ACCESS, "Je souhaite obtenir une copie de mes données personnelles."),
    (ACCESS, "Quelles données avez-vous sur moi ?"),
    (ACCESS, "Vorrei una copia dei miei dati personali."),
    (ACCESS, "Quali dati avete su di me?"),
    (ERASE, "Please delete all my data."),
    (ERASE, "Could you delete my account?"),
    (ERASE, "I exercise my right to be forgotten."),
    (ERASE, "Bitte löschen Sie alle meine Daten."),
    (ERASE, "Ich möchte, dass mein Konto gelöscht wird."),
    (ERASE, "Por favor, eliminen mis datos."),
    (ERASE, "Quiero borrar mi cuenta"),
    (ERASE, "Veuillez supprimer toutes mes données."),
    (ERASE, "Merci d'effacer mon compte."),
    (ERASE, "Vi chiedo di cancellare tutti i miei dati."),
    (ERASE, "Eliminate il mio account, grazie."),
    (ERASE, "Chiedo che tutti i miei dati vengano rimossi dai vostri archivi."),
    (ERASE, "I want my account to be deleted."),
    (ERASE, "Je demande que mes données soient effacées."),
    (ERASE, "Solicito que mis datos sean eliminados."),
    (ERASE, "Venho requerer a eliminação dos meus dados pessoais."),
    (ERASE, "Solicito que os meus dados sejam apagados."),
    (ERASE, "Verwijder al mijn gegevens, alstublieft."),
    (ERASE, "Ik wil mijn account laten verwijderen."),
    (ERASE, "Proszę usunąć moje konto."),
    (RESTRICT, "I request restriction of processing under Article 18 GDPR."),
    (RESTRICT, "Ich verlange die Einschränkung der Verarbeitung."),
    (RESTRICT, "Chiedo la limitazione del trattamento."),
    (SHARING, "Do not sell or share my personal information."),
    (SHARING, "Please don't sell my data"),
    (SHARING, "I want to opt out of the sale of my personal information."),
    (SHARING, "Stop sharing my data, please."),
    (SHARING, "Meine Daten nicht verkaufen, bitte."),
    (SHARING, "Bitte meine Daten nicht weitergeben."),
    (SHARING, "No vendan mis datos personales."),
    (SHARING, "Ne vendez pas mes données."),
    (SHARING, "Non vendete i miei dati."),
]
UNCLEAR = [
    "Please do not delete my account, I only moved.",
    "How can I delete my account?",
    "Wie kann ich mein Konto löschen?",
    "My brother wants you to delete his data.",
    "Delete the data of otto@example.com",
    "Where is my order?",
    "I did not ask you not to share my data.",
    "Why do you sell my data?",
    "Do not sell his data.",
    "Your privacy notice mentions the data you collect.",
    "Send me a copy of my data, and delete my account.",
    "Thanks for the copy of the invoice.",
    "I never asked you to delete my data!",
    "Proszę nie usuwać mojego konta.",
    "I miei dati sono stati cancellati per errore.",
    "Mijn account is per ongeluk verwijderd? Hoe kan dat?",
    "What happens if I delete my account?",
    "I would like to know what happens when I delete my account.",
    "Was passiert, wenn ich mein Konto lösche?",
    "¿Qué pasa si borro mi cuenta?",
    "Cosa succede se elimino il mio account?",
    "Que se passe-t-il si je supprime mon compte ?",
    "O que acontece se eu apagar a minha conta?",
    "Wat gebeurt er als ik mijn account verwijder?",
    "Co się stanie, jeśli usunę konto?",
    "Quelle est la différence entre se désabonner et supprimer son compte ?",
    "",
]


@pytest.mark.parametrize("kind, text", CLEAR)
def test_clear_words_are_understood(kind: RequestKind, text: str) -> None:
    assert find_right("", text) is kind
    if "\n" not in text:
        assert find_right(text, "") is kind


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_not_clear_is_for_a_person(text: str) -> None:
    assert find_right("", text) is None


def test_the_subject_of_the_mail_that_is_answered_is_not_the_writers() -> None:
    assert find_right("Re: How to delete my data", "Thanks!") is None


def test_the_senders_own_address_is_the_senders() -> None:
    text = "Please delete all my data: ada@example.com"
    assert find_right("", text, "ada@example.com") is ERASE


@pytest.mark.parametrize(
    "subject",
    [
        "Under 18", "UNDER 18", "Re: under 18", "Fwd: Re: Under 18!", "AW: Unter 18",
        "unter 18 Jahren", "Minderjährig", "Menor de edad", "menor de 18 años",
        "Moins de 18 ans", "Mineur", "Minorenne", "Minore di 18 anni", "WG: Sotto i 18 anni",
    ],
)  # fmt: skip
def test_usual_words_for_a_minor_are_known(subject: str) -> None:
    assert says_under_18(subject)


@pytest.mark.parametrize(
    "subject", ["18 under par", "Under 18 festival tickets", "", "Re:", "Minor bug in your shop"]
)
def test_other_subjects_are_not_taken_for_them(subject: str) -> None:
    assert not says_under_18(subject)
