"""Certified mail (PEC): the enclosed message is the mail, and receipts are automatic."""

from __future__ import annotations

from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from preference_center.inbound.rules import MailKind, ReviewReason, StatementKind
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.rights.rules.requests import RequestKind
from tests.inbound.rules.certified import MARIO, PROVIDER, certified, renamed, written


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


ASKED = "Cancellatemi dalla newsletter."
CERTIFIED = certified(written(ASKED), "POSTA CERTIFICATA", X_Trasporto="posta-certificata")
IN_HTML = written(f"<p>Buongiorno,</p><p>{ASKED}</p>").replace(b"text/plain", b"text/html")
IN_SIGNED = MIMEMultipart("signed", protocol="application/pkcs7-signature")
IN_SIGNED["From"] = MARIO
IN_SIGNED.attach(MIMEText(ASKED, "plain", "utf-8"))
IN_SIGNED.attach(MIMEApplication(b"signature", "pkcs7-signature", name="smime.p7s"))


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(certified(IN_HTML, "x", X_Trasporto="posta-certificata"), id="html"),
        pytest.param(
            certified(IN_SIGNED.as_bytes(), "x", X_Trasporto="posta-certificata"), id="signed"
        ),
        pytest.param(certified(CERTIFIED, "x", X_Trasporto="posta-certificata"), id="nested"),
        pytest.param(renamed(written(ASKED), "application/octet-stream"), id="octets"),
        pytest.param(renamed(written(ASKED), "message/rfc822"), id="base64"),
        pytest.param(certified(written(ASKED), "x", X_REM_Msg_Type="Dispatch"), id="REM"),
        pytest.param(
            certified(written(ASKED, X_TipoRicevuta="breve"), "x", X_Trasporto="errore"),
            id="short-receipt-wanted",
        ),
    ],
)
def test_the_enclosed_mail_is_read_in_whatever_form(mail: bytes) -> None:
    found = interpret_mail(mail, for_reports=False)
    assert [each.recipients for each in found.statements] == [(MARIO,)]


@pytest.mark.parametrize("envelope", ["X-Trasporto: posta-certificata", "X-REM-Msg-Type: Dispatch"])
@pytest.mark.parametrize("sender", [PROVIDER, "mario@provider.example"])
def test_an_envelope_that_encloses_nothing_readable_is_read_by_a_person(
    sender: str, envelope: str
) -> None:
    mail = f"From: {sender}\nSubject: Cancellazione newsletter\n{envelope}\n\n".encode()
    found = interpret_mail(mail, for_reports=False)
    assert (found.statements, found.review_reason) == ((), ReviewReason.UNCLEAR)


@pytest.mark.parametrize("field", ["X-TipoRicevuta: consegna", "X-REM-Msg-Type: Message"])
def test_so_are_receipts_automatic_that_have_another_field(field: str) -> None:
    mail = f"From: {PROVIDER}\nSubject: Cancellazione newsletter\n{field}\n\n".encode()
    assert interpret_mail(mail, for_reports=False).kind is MailKind.AUTO_REPLY


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
