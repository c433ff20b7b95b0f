"""A clear "no" in a reply, and what is none."""

from __future__ import annotations

import pytest

from preference_center.inbound.rules.interpret import ObjectionLocation, find_clear_objection

CLEAR = {
    "en": r"""STOP
stop!
Please unsubscribe me
Unsubscribe me from this list please.
Remove me from your list. Thanks!
take me off this list
Please stop sending me emails
Stop these emails
don't email me again
Do not send me any more emails
no more emails please
opt-out
Please opt me out of all marketing
I would like to be removed from your mailing list
I'd like to unsubscribe from your newsletter
Hi, please unsubscribe me. Thanks, Jane
Hello,\n\nplease unsubscribe me from your newsletter.\n\nKind regards\nJane Doe
Dear Sir or Madam,\nPlease remove my address from your database.\nRegards, J. Doe
STOP\n\nJane Doe\nExample Ltd, +44 20 7946 0000
Please unsubscribe me from\nthis mailing list
Unsubscribe please, I get too many.""",
    "it": r"""cancellami
Cancellatemi dalla vostra mailing list, grazie
Buongiorno,\nvorrei essere cancellato dalla vostra lista.\nCordiali saluti\nMario Rossi
Disiscrivetemi
disiscrizione
Basta email
Non voglio più ricevere le vostre mail
Gentili signori, chiedo la cancellazione dalla newsletter
Revoco il consenso""",
    "de": r"""Abmelden!
Bitte abmelden
Bitte melden Sie mich vom Newsletter ab.
Bitte keine weiteren E-Mails mehr
Bitte streichen Sie mich aus Ihrem Verteiler
Sehr geehrte Damen und Herren,\n\nbitte nehmen Sie mich aus dem Verteiler.\n\nMfG Jane
Ich möchte keine E-Mails mehr erhalten
Bitte löschen Sie meine E-Mail-Adresse aus Ihrem Verteiler""",
    "fr": r"""désinscrire
De\u0301sinscription
Désabonnement
Me désinscrire SVP
Je souhaite me désinscrire de votre newsletter
Bonjour,\nmerci de me désinscrire
Je ne souhaite plus recevoir vos emails
Ne m’envoyez plus de mails""",
    "es": r"""BAJA
Darme de baja por favor
Hola, quiero darme de baja. Gracias
No quiero recibir más correos
Cancelar suscripción""",
    "pt": "descadastrar",
    "nl": "Uitschrijven aub",
}
UNCLEAR = r"""I love your mails
Stop sending the weekly offers, but keep the monthly news
Unsubscribe me from the weekly newsletter only
How do I unsubscribe?
Unsubscribe?
Don't unsubscribe me
Please don't stop
non stop
cancel
I want to cancel my order
Where is my order?
We never stop
Please remove item 3 from my order
Baja California
Stop by our shop!
Can you stop the delivery on Friday
don't send it
Nimm die Angebote
Löschen Sie die Mails
elimini le offerte
retirer
Abmelden? Nein danke
Kündigung
Cancellate il mio ordine
Arrêtez la livraison
dar de baja mi linea
I would like to opt out of the trial
No quiero
Thanks!"""


def unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\u0301", "\u0301")


@pytest.mark.parametrize(
    "language, own",
    [(language, own) for language, lines in CLEAR.items() for own in lines.split("\n")],
)
def test_is_clear(language: str, own: str) -> None:
    found = find_clear_objection("Re: Offers", unescaped(own))
    assert found is not None
    # Two words mean the same in several languages.
    assert found.language == language or own.casefold().startswith(("stop", "basta"))


@pytest.mark.parametrize("own", UNCLEAR.split("\n"))
def test_is_left_to_a_person(own: str) -> None:
    assert find_clear_objection("Re: Offers", unescaped(own)) is None


@pytest.mark.parametrize("subject", ["unsubscribe", "STOP", "Disiscrizione", "BAJA", "Abmelden"])
def test_a_subject_of_the_writers_own_is_enough(subject: str) -> None:
    found = find_clear_objection(subject, "")
    assert found is not None
    assert found.location is ObjectionLocation.SUBJECT
    assert find_clear_objection(subject, "Jane Doe") is not None


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
