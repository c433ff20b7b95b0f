"""Certified mail (PEC) from a pipe, a maildir and SMTP to the ledger, or to a person."""

from __future__ import annotations

import os
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clock import START
from tests.inbound.mail.fixtures import REPLIES, REPORTS, MakeTo, Take
from tests.inbound.mail.mails import DOMAIN, send
from tests.inbound.rules.certified import MARIO, PROVIDER, certified, renamed, written
from tests.ledger.tables import Ledger

if TYPE_CHECKING:
    from flask import Flask

ASKED = "Cancellatemi dalla newsletter."
OUT = ("opted_out", "all_marketing")

pytestmark = pytest.mark.usefixtures("mailboxes")


def posta_certificata(body: str = ASKED, transport: str = "posta-certificata") -> bytes:
    """What the provider delivers to us; `errore` encloses a mail that is not certified."""
    prefix = "POSTA CERTIFICATA" if transport == "posta-certificata" else "ANOMALIA MESSAGGIO"
    mail = written(body, "Richiesta", Reply_To=MARIO)
    return certified(mail, f"{prefix}: Richiesta", X_Trasporto=transport)


def receipt(kind: str, subject: str) -> bytes:
    """A receipt, which encloses the mail that it is about."""
    return certified(written(ASKED, "Cancellazione newsletter"), subject, X_Ricevuta=kind)


def opaque(subject: str, **fields: str) -> bytes:
    """A mail inside its signature (smime.p7m): RFC 8551 3.5.2."""
    mail = MIMEApplication(b"\x30\x80 signed", "pkcs7-mime", name="smime.p7m")
    mail["From"], mail["To"] = f'"Per conto di: {MARIO}" <{PROVIDER}>', REPLIES
    mail["Subject"] = subject
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    return mail.as_bytes()


@pytest.mark.parametrize("transport", ["posta-certificata", "errore"])
def test_the_enclosed_writer_is_opted_out_and_the_provider_is_not(
    take: Take, ledger: Ledger, allowed: Callable[..., bool], transport: str
) -> None:  # RULES E7
    taken = take(posta_certificata(transport=transport), REPLIES)
    assert (taken.recorded, taken.queued_for_review) == (1, 0)
    assert ledger.kinds() == [OUT]
    assert not allowed(MARIO)
    assert allowed(PROVIDER)
    (event,) = ledger.events()
    assert (event["source"], event["actor"], event["own"]) == ("reply", "recipient", True)


def test_so_it_is_from_a_maildir(
    app: Flask, ledger: Ledger, allowed: Callable[..., bool], tmp_path: Path
) -> None:
    from preference_center.inbound.ingest import process_new

    for name in ("new", "cur"):
        (tmp_path / name).mkdir()
    path = tmp_path / "new" / "1.a"
    path.write_bytes(f"Delivered-To: {REPLIES}\n".encode() + posta_certificata())
    os.utime(path, (START.timestamp() - 3600, START.timestamp() - 3600))
    with app.app_context():
        assert [each.is_ours for each in process_new(tmp_path)] == [True]
    (event,) = ledger.events()
    assert (START - event["received_at"]).total_seconds() == 3600  # I3
    assert not allowed(MARIO)
    assert allowed(PROVIDER)


def test_so_it_is_from_a_pipe(app: Flask, allowed: Callable[..., bool]) -> None:
    result = app.test_cli_runner().invoke(
        args=["inbound", "receive", "--recipient", REPLIES, "-"], input=posta_certificata()
    )
    assert result.exit_code == 0
    assert not allowed(MARIO)
    assert allowed(PROVIDER)


def test_so_it_is_by_smtp(smtp: int, allowed: Callable[..., bool]) -> None:
    assert send(smtp, posta_certificata(), REPLIES, sender=PROVIDER) == {}
    assert not allowed(MARIO)
    assert allowed(PROVIDER)


def test_the_enclosed_writer_is_found_in_a_gateways_type(
    take: Take, allowed: Callable[..., bool]
) -> None:
    assert take(renamed(written(ASKED), "application/octet-stream"), REPLIES).recorded == 1
    assert not allowed(MARIO)
    assert allowed(PROVIDER)


def test_a_token_in_the_address_decides_whatever_the_envelope(
    take: Take, make_to: MakeTo, allowed: Callable[..., bool]
) -> None:  # RULES A11
    token = make_to("jane.doe@example.com", "all_marketing").partition("@")[0]
    assert take(posta_certificata(), f"{token}@{DOMAIN}").pending == 1
    assert not allowed("jane.doe@example.com")
    assert allowed(PROVIDER)


@pytest.mark.parametrize("to", [REPLIES, REPORTS])
@pytest.mark.parametrize(
    "kind, subject",
    [
        ("accettazione", "ACCETTAZIONE: Cancellazione newsletter"),
        ("non-accettazione", "AVVISO DI NON ACCETTAZIONE: Cancellazione newsletter"),
        ("presa-in-carico", "PRESA IN CARICO: Cancellazione newsletter"),
        ("avvenuta-consegna", "CONSEGNA: Cancellazione newsletter"),
        ("errore-consegna", "AVVISO DI MANCATA CONSEGNA: Cancellazione newsletter"),
        ("preavviso-errore-consegna", "AVVISO DI MANCATA CONSEGNA PER SUPERAMENTO TEMPO"),
        ("rilevazione-virus", "PROBLEMA DI SICUREZZA: Cancellazione newsletter"),
    ],
)
def test_a_receipt_does_nothing(
    take: Take,
    ledger: Ledger,
    review_reasons: Callable[[], list[str]],
    kind: str,
    subject: str,
    to: str,
) -> None:  # RULES A12
    take(receipt(kind, subject), to)
    assert (ledger.kinds(), review_reasons()) == ([], [])


@pytest.mark.parametrize("fields", [{}, {"X_Trasporto": "posta-certificata"}])
def test_what_cannot_be_opened_is_read_by_a_person(
    take: Take,
    ledger: Ledger,
    review_reasons: Callable[[], list[str]],
    fields: dict[str, str],
) -> None:
    take(opaque("POSTA CERTIFICATA: Cancellazione newsletter", **fields), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])


def test_a_receipt_that_cannot_be_opened_does_nothing(
    take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
) -> None:
    take(opaque("CONSEGNA: Cancellazione newsletter", X_Ricevuta="avvenuta-consegna"), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], [])


def test_a_signed_mail_inside_is_read_too(take: Take, allowed: Callable[..., bool]) -> None:
    signed = MIMEMultipart("signed", protocol="application/pkcs7-signature")
    signed["From"], signed["Subject"] = MARIO, "Richiesta"
    signed.attach(MIMEText(ASKED, "plain", "utf-8"))
    signed.attach(MIMEApplication(b"signature", "pkcs7-signature", name="smime.p7s"))
    mail = certified(signed.as_bytes(), "POSTA CERTIFICATA", X_Trasporto="posta-certificata")
    take(mail, REPLIES)
    assert not allowed(MARIO)
    assert allowed(PROVIDER)
