"""Certified mail (PEC) as its providers send it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

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


def renamed(enclosed: bytes, content_type: str) -> bytes:
    """A certified mail whose gateway has changed the type of the enclosed mail."""
    parts = MIMEMultipart("mixed")
    parts.attach(MIMEText(ENVELOPE, "plain", "utf-8"))
    attached = MIMEApplication(enclosed, "octet-stream", name="postacert.eml")
    attached.replace_header("Content-Type", f'{content_type}; name="postacert.eml"')
    parts.attach(attached)
    parts["From"], parts["Subject"] = f'"Per conto di: {MARIO}" <{PROVIDER}>', "Cancellazione"
    parts["X-Trasporto"] = "posta-certificata"
    return parts.as_bytes()
