"""What a machine sent opts nobody out, whatever its text (RULES A12)."""

from __future__ import annotations

import pytest

from preference_center.inbound.rules import MailInterpretation, MailKind, ReviewReason
from preference_center.inbound.rules.interpret import interpret_mail
from tests.inbound.rules.reports import reply

WORDS = "Please unsubscribe me from your list"
UTF8 = "Content-Type: text/plain; charset=utf-8\n"
MARKS = {
    "rfc3834": "Auto-Submitted: auto-replied",
    "rfc3834-parameter": "Auto-Submitted: auto-generated; owner-email=x",
    "bulk": "Precedence: bulk",
    "junk": "Precedence: junk",
    "auto-reply": "Precedence: auto_reply",
    "x-autoreply": "X-Autoreply: yes",
    "x-autorespond": "X-Autorespond: Re: Offers",
    "x-vacation": "X-Vacation: yes",
    "null-sender": "Return-Path: <>",
    "receipt": 'Content-Type: multipart/report; report-type=disposition-notification; boundary="x"',
}
TRACES = {
    "list": "Precedence: list",
    "list-id": "List-Id: <sales.example.com>",
    "list-unsubscribe": "List-Unsubscribe: <mailto:leave@lists.example.com>",
    "loop": "X-Loop: support@example.com",
    "suppress": "X-Auto-Response-Suppress: All",
    "been-there": "X-BeenThere: sales@lists.example.com",
}
SUBJECTS = {
    "en": "Automatic reply: Offers of the week|Out of Office: Offers|Out of the office today",
    "it": "Risposta automatica: Offerte|Fuori sede|Assenza dall'ufficio|Fuori ufficio: Offerte",
    "de": "Automatische Antwort: Angebote|Abwesenheitsnotiz|Abwesend: Angebote|Nicht im Büro",
    "fr": "Réponse automatique : Offres|Absence du bureau|Absent jusqu'au 3|En congés",
    "es": "Respuesta automática: Ofertas|Fuera de la oficina|Ausente hasta el lunes",
    "nl": "Automatisch antwoord: Nieuws|Automatisch bericht|Afwezig tot maandag|Niet op kantoor",
    "pl": "Automatyczna odpowiedź: Oferty|Odpowiedź automatyczna|Poza biurem|Nieobecność",
    "pt": "Resposta automática: Ofertas|Fora do escritório|Ausente até segunda",
}
BODIES = {
    "en-away": "I am out of the office until 3 May with limited access to email.",
    "en-ticket": "Your request has been received (#48113). We will reply soon.",
    "en-human": "Please confirm that you are human by clicking the link.",
    "en-list": "Your message to the list awaits moderator approval.",
    "en-read": "Your message was read on 24 November 2026.",
    "en-not-monitored": "This mailbox is not monitored.",
    "it-away": "Sono in ferie fino al 3 maggio.",
    "it-ticket": "La tua richiesta è stata presa in carico.",
    "de-away": "Ich bin derzeit im Urlaub und ab 3. Mai wieder erreichbar.",
    "de-ticket": "Ihre Anfrage ist bei uns eingegangen. Ticketnummer 4711.",
    "fr-away": "Je suis actuellement absent du bureau jusqu'au 3 mai.",
    "fr-ticket": "Votre demande a bien été enregistrée.",
    "es-away": "Estoy de vacaciones hasta el 3 de mayo.",
    "es-ticket": "Hemos recibido su solicitud.",
    "nl-away": "Ik ben momenteel afwezig.",
    "nl-ticket": "Wij hebben uw aanvraag ontvangen.",
    "pl-away": "Jestem obecnie na urlopie.",
    "pl-ticket": "Twoje zgłoszenie zostało przyjęte.",
    "pt-away": "Estou de férias até 3 de maio.",
    "pt-ticket": "Recebemos a sua mensagem.",
}


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_a_mail_that_states_it_is_forgotten(mark: str) -> None:
    assert interpret_mail(
        reply(WORDS, header=f"{mark}\n"), for_reports=False
    ) == MailInterpretation(MailKind.AUTO_REPLY)


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(subject, id=f"{language}-{number}")
        for language, subjects in SUBJECTS.items()
        for number, subject in enumerate(subjects.split("|"))
    ],
)
def test_so_is_a_vacation_notice_by_its_subject(subject: str) -> None:
    assert interpret_mail(reply(WORDS, subject), for_reports=False) == MailInterpretation(
        MailKind.AUTO_REPLY
    )


def not_taken(found: MailInterpretation) -> bool:
    return (found.kind, found.statements, found.review_reason) == (
        MailKind.REPLY,
        (),
        ReviewReason.UNCLEAR,
    )


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_what_a_list_or_a_program_passed_on_is_queued_for_review(trace: str) -> None:
    assert not_taken(interpret_mail(reply(WORDS, header=f"{trace}\n"), for_reports=False))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_so_is_what_reads_like_one(body: str) -> None:
    assert not_taken(interpret_mail(reply(f"{body}\n\n{WORDS}", header=UTF8), for_reports=False))


@pytest.mark.parametrize(
    "subject",
    ["[Acme #48113] Offers", "Re: Offers (#48113)", "[SUP-4711] Offers", "Read: Offers"],
    ids=["ticket", "number", "key", "receipt"],
)
def test_and_what_a_ticket_system_answers(subject: str) -> None:
    assert not_taken(interpret_mail(reply(WORDS, subject), for_reports=False))


@pytest.mark.parametrize(
    "sender", ["no-reply", "noreply", "listserv", "sales-bounces", "mailman", "autoresponder"]
)
def test_and_what_comes_from_an_address_that_nobody_writes_from(sender: str) -> None:
    mail = reply(WORDS).replace(b"jane.doe@example.com", f"{sender}@example.com".encode())
    assert not_taken(interpret_mail(mail, for_reports=False))
