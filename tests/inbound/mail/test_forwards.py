"""A mail that somebody forwards as an attachment: the words are of who wrote them.

The forward is a new mail of who forwards it (RFC 5322 3.6.6), and what it encloses was written by
somebody else (RFC 2046 5.2.1), whom nothing proves.
"""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from tests.inbound.mail.fixtures import REPLIES, MakeTo, Take
from tests.inbound.rules.certified import MARIO, certified, written
from tests.ledger.tables import Ledger

ANNA, JANE = "anna@acme.example", "jane.doe@example.com"
ASKED = "Please remove me from your mailing list."
OUT = ("opted_out", "all_marketing")

pytestmark = pytest.mark.usefixtures("mailboxes")


def wrote(sender: str, body: str, subject: str = "My address", **fields: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, "info@acme.example", subject
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(body)
    return mail.as_bytes()


def forward(
    sender: str, covering: str | None, *enclosed: bytes, subject: str = "Fwd: My address"
) -> bytes:
    """What a mail program makes of "Forward as attachment"; some leave out an empty text."""
    mail = MIMEMultipart("mixed")
    mail["From"], mail["To"], mail["Subject"] = sender, REPLIES, subject
    if covering is not None:
        mail.attach(MIMEText(covering, "plain", "utf-8"))
    for each in enclosed:
        mail.attach(MIMEMessage(message_from_bytes(each)))
    return mail.as_bytes()


FROM_JANE = wrote(JANE, ASKED, "Unsubscribe")
NEWSLETTER = wrote("news@acme.example", "Offers. If you no longer want this: unsubscribe", "Offers")


@pytest.mark.parametrize("covering", [None, "", "FYI, please see below.\n", "Anna Bianchi"])
@pytest.mark.parametrize(
    "subject", ["Fwd: Unsubscribe", "Unsubscribe", "[Fwd: Unsubscribe]", "[jane: Unsubscribe]", ""]
)
def test_the_enclosed_words_opt_nobody_out_and_a_person_reads_them(
    take: Take,
    ledger: Ledger,
    review_reasons: Callable[[], list[str]],
    covering: str | None,
    subject: str,
) -> None:  # I13
    take(forward(ANNA, covering, FROM_JANE, subject=subject), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])


def test_the_covering_text_is_the_forwarders_own(
    take: Take, allowed: Callable[..., bool], review_reasons: Callable[[], list[str]]
) -> None:
    """Jane asked, too: a person reads that."""
    take(forward(ANNA, "Please unsubscribe me.", FROM_JANE), REPLIES)
    assert not allowed(ANNA)
    assert allowed(JANE)
    assert review_reasons() == ["further_request"]


def test_a_subject_that_ends_as_the_enclosed_one_is_the_forwarders_own(
    take: Take, allowed: Callable[..., bool]
) -> None:
    newsletter = wrote("news@acme.example", "Offers", "Newsletter")
    take(forward(ANNA, None, newsletter, subject="Unsubscribe me from the newsletter"), REPLIES)
    assert not allowed(ANNA)


@pytest.mark.parametrize("covering", [None, ""])
@pytest.mark.parametrize("subject", ["Fwd: Unsubscribe", "Unsubscribe"])
def test_a_persons_own_earlier_mail_is_their_own_words(
    take: Take,
    allowed: Callable[..., bool],
    review_reasons: Callable[[], list[str]],
    covering: str | None,
    subject: str,
) -> None:
    take(forward(f"Jane Doe <{JANE}>", covering, FROM_JANE, subject=subject), REPLIES)
    assert not allowed(JANE)
    assert review_reasons() == []


@pytest.mark.parametrize(
    "covering", ["I wrote this three weeks ago. Why?", "Sorry, wrong: I stay!"]
)
def test_with_words_above_it_a_person_reads_both(
    take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]], covering: str
) -> None:
    take(forward(JANE, covering, FROM_JANE), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])


def test_who_forwards_our_mail_is_who_it_was_sent_to(
    take: Take, make_to: MakeTo, allowed: Callable[..., bool], store: Callable[[str], None]
) -> None:  # the alias that was mailed
    alias = "jane@alias.example"
    store(alias)
    ours = wrote("news@acme.example", f"Offers. To stop: {make_to(alias)}", "Offers")
    take(forward(JANE, "Please unsubscribe me.", ours), REPLIES)
    assert not allowed(alias)
    assert allowed(JANE)


def test_a_link_in_the_mail_of_somebody_else_is_theirs(
    take: Take, make_to: MakeTo, allowed: Callable[..., bool], store: Callable[[str], None]
) -> None:
    store(JANE)
    answer = wrote(
        JANE, f"Hello?\n\n> stop: {make_to(JANE)}", "Re: Offers", In_Reply_To="<1@acme.example>"
    )
    take(forward(ANNA, "Please unsubscribe me.", answer), REPLIES)
    assert not allowed(ANNA)
    assert allowed(JANE)


def test_our_newsletter_forwarded_without_a_word_is_read_by_a_person(
    take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
) -> None:
    take(forward(JANE, None, NEWSLETTER, subject="Fwd: Offers"), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])


def test_an_auto_reply_of_their_own_asks_for_nothing(
    take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
) -> None:
    away = wrote(JANE, ASKED, "Away", Auto_Submitted="auto-replied")
    take(forward(JANE, None, away), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])


def test_a_certified_mail_is_forwarded_like_any_other(
    take: Take, ledger: Ledger, review_reasons: Callable[[], list[str]]
) -> None:
    pec = certified(
        written("Cancellatemi dalla newsletter.", "Cancellazione newsletter"),
        "POSTA CERTIFICATA: Cancellazione newsletter",
        X_Trasporto="posta-certificata",
    )
    subject = "POSTA CERTIFICATA: Cancellazione newsletter"
    take(forward(ANNA, "", pec, subject=subject), REPLIES)
    assert (ledger.kinds(), review_reasons()) == ([], ["unclear"])
    take(forward(MARIO, "", pec, subject=subject), REPLIES)
    assert ledger.kinds() == [OUT]


def test_a_hostile_chain_of_forwards_ends(take: Take, ledger: Ledger) -> None:
    mail = FROM_JANE
    for _ in range(20):
        mail = forward(JANE, None, mail)
    take(mail, REPLIES)
    assert ledger.kinds() == []


@pytest.mark.parametrize("content_type", ["pkcs7-mime", "x-pkcs7-mime"])
def test_the_subject_counts_of_a_mail_that_is_inside_its_signature(
    take: Take,
    allowed: Callable[..., bool],
    review_reasons: Callable[[], list[str]],
    content_type: str,
) -> None:
    """Its text can't be read, so a person reads it (RFC 8551 3.5.2)."""
    mail = MIMEApplication(b"\x30\x80 signed", content_type, name="smime.p7m")
    mail["From"], mail["To"], mail["Subject"] = MARIO, REPLIES, "Cancellazione newsletter"
    take(mail.as_bytes(), REPLIES)
    assert not allowed(MARIO)
    assert review_reasons() == ["further_request"]
