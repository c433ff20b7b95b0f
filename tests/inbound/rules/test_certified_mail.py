"""Certified mail (PEC): the enclosed message is the mail, and receipts are automatic."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from preference_center.inbound.rules import MailKind, ReviewReason, StatementKind
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.rights.rules.requests import RequestKind

MARIO = "mario.rossi@pec.example.it"
PROVIDER = "posta-certificata@pec.provider.example"
ENVELOPE = "Il giorno 24/11/2026 il messaggio è stato inviato. Non voglio più ricevere pubblicità."


def written(body: str, subject: str = "", **fields: str) -> bytes:
    """The mail that a person wrote."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = MARIO, "replies@acme.example", subject
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail.as_bytes()


def certified(enclosed: bytes, subject: str, *, is_signed: bool = True, **fields: str) -> bytes:
    """The mail that the provider sends about it."""
    parts = MIMEMultipart("mixed")
    parts.attach(MIMEText(ENVELOPE, "plain", "utf-8"))
    parts.attach(MIMEApplication(b"<postacert/>", "xml", name="daticert.xml"))
    parts.attach(MIMEMessage(message_from_bytes(enclosed)))
    outer = parts
    if is_signed:
        outer = MIMEMultipart("signed", protocol="application/pkcs7-signature")
        outer.attach(parts)
        outer.attach(MIMEApplication(b"signature", "pkcs7-signature", name="smime.p7s"))
    outer["From"] = f'"Per conto di: {MARIO}" <{PROVIDER}>'
    outer["To"], outer["Subject"], outer["Reply-To"] = "replies@acme.example", subject, MARIO
    for name, value in fields.items():
        outer[name.replace("_", "-")] = value
    return outer.as_bytes()


@pytest.mark.parametrize("is_signed", [True, False])
@pytest.mark.parametrize("transport", ["posta-certificata", "errore"])
@pytest.mark.parametrize(
    "body, subject",
    [("Cancellatemi dalla newsletter.", "Richiesta"), ("", "Cancellazione newsletter")],
)
def test_an_objection_in_a_certified_mail_is_of_who_wrote_it(
    body: str, subject: str, transport: str, *, is_signed: bool
) -> None:
    mail = certified(
        written(body, subject),
        f"POSTA CERTIFICATA: {subject}",
        is_signed=is_signed,
        X_Trasporto=transport,
    )
    found = interpret_mail(mail, for_reports=False)
    assert [(each.kind, each.recipients) for each in found.statements] == [
        (StatementKind.OPTED_OUT, (MARIO,))
    ]


def test_a_request_in_a_certified_mail_is_of_who_wrote_it() -> None:
    body = "Chiedo la cancellazione di tutti i miei dati personali ai sensi dell'art. 17 GDPR."
    mail = certified(written(body), "POSTA CERTIFICATA: dati", X_Trasporto="posta-certificata")
    found = interpret_mail(mail, for_reports=False)
    assert found.written is not None
    assert (found.written.sender, found.written.right) == (MARIO, RequestKind.ERASE)


def test_the_text_of_the_provider_objects_to_nothing() -> None:
    mail = certified(
        written("Quando arriva il mio ordine?"), "POSTA CERTIFICATA: ordine", X_Trasporto="errore"
    )
    found = interpret_mail(mail, for_reports=False)
    assert (found.statements, found.review_reason) == ((), ReviewReason.UNCLEAR)


def test_an_auto_reply_in_a_certified_mail_is_automatic() -> None:
    enclosed = written("Cancellatemi dalla newsletter.", Auto_Submitted="auto-replied")
    mail = certified(enclosed, "POSTA CERTIFICATA: assente", X_Trasporto="posta-certificata")
    assert interpret_mail(mail, for_reports=False).kind is MailKind.AUTO_REPLY


@pytest.mark.parametrize("for_reports", [True, False])
@pytest.mark.parametrize(
    "receipt",
    ["accettazione", "avvenuta-consegna", "presa-in-carico", "non-accettazione", "errore-consegna",
     "preavviso-errore-consegna"],
)  # fmt: skip
def test_a_receipt_of_certified_mail_is_automatic(receipt: str, *, for_reports: bool) -> None:
    mail = certified(
        written("Cancellatemi dalla newsletter."),
        "CONSEGNA: Cancellazione newsletter",
        X_Ricevuta=receipt,
    )
    found = interpret_mail(mail, for_reports=for_reports)
    assert (found.kind, found.statements) == (MailKind.AUTO_REPLY, ())
