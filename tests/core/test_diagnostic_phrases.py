"""What a bounce really means: the words before the code, where they are clear (RULES F11)."""

from __future__ import annotations

import pytest

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.bounces import Bounce, DeliverabilityPolicy, classify_bounce

AT_ONCE, COUNTED, NEVER = 1, 2, 0


def events_needed(bounce: Bounce) -> int:
    """How many such bounces suppress by default (RULES F10); 0 is never."""
    return DeliverabilityPolicy().threshold_for(classify_bounce(bounce).code).events


# Codes and words as Gmail, Outlook.com, Exchange, Yahoo, Postfix, Sendmail, Exim and qmail
# write them; ids and addresses are made up.
WORDS = [
    (AT_ONCE, "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist."),
    (AT_ONCE, "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found by SMTP lookup"),
    (AT_ONCE, "5.1.1", "550 5.1.1 RESOLVER.ADR.RecipNotFound; not found"),
    (AT_ONCE, "5.1.1", "550 5.1.1 <jo@example.com>: Recipient address rejected: User unknown in"),
    (AT_ONCE, "4.1.1", "450 4.1.1 <jo@example.com>: Recipient address rejected: User unknown in"),
    (AT_ONCE, "", "550 5.1.1 <jo@example.com>... User unknown"),
    (AT_ONCE, "5.0.0", "remote mail server after RCPT TO:<jo@a.it>: 550 No such user"),
    (AT_ONCE, "", "550 sorry, no mailbox here by that name. (#5.1.1)"),
    (AT_ONCE, "", "550 5.1.1 Utente sconosciuto"),
    (AT_ONCE, "5.1.1", "550 5.1.1 spam.box@example.com: the address could not be found"),
    (AT_ONCE, "5.1.10", "556 5.1.10 Recipient address has null MX"),
    (AT_ONCE, "5.1.3", "553 5.1.3 bad destination mailbox address syntax"),
    (AT_ONCE, "5.1.6", "551 5.1.6 recipient has moved"),
    (AT_ONCE, "5.7.17", "550 5.7.17 mailbox owner has changed"),
    (AT_ONCE, "5.7.18", "550 5.7.18 domain owner has changed"),
    (AT_ONCE, "5.0.0", "after RCPT TO:<jo@a.it>: 551 jo@a.it has moved to <jo@b.it>"),
    (AT_ONCE, "5.0.0", "after RCPT TO:<jo@a.it>: 550 <jo@a.it> not found"),
    (AT_ONCE, "5.0.0", "554 delivery error: dd This user doesn't have a yahoo.com account"),
    (AT_ONCE, "5.5.0", "550 Requested action not taken: mailbox unavailable (117:13:-21)"),
    (AT_ONCE, "", "after RCPT TO:<jo@a.it>: 550 Requested action not taken: mailbox unavailable"),
    (AT_ONCE, "5.4.1", "550 5.4.1 Recipient address rejected: Access denied (in reply to RCPT TO"),
    (AT_ONCE, "5.1.1", "host mx.antispam.example[192.0.2.1] said: 550 5.1.1 User unknown"),
    (AT_ONCE, "5.1.1", "550 5.1.1 User unknown. Such bounces have an impact on your reputation"),
    (AT_ONCE, "5.1.1", "550 5.1.1 jo not found. This may harm your sender reputation."),
    (COUNTED, "5.1.351", "550 5.1.351 Remote server returned unknown recipient"),
    (AT_ONCE, "5.7.1", "550 5.7.1 No mailbox found (in reply to RCPT TO command)"),
    (AT_ONCE, "5.0.0", "550 jo is not an active address (in reply to RCPT TO command)"),
    (AT_ONCE, "", "User jo not listed in Domino Directory: 550 5.1.1"),
    (COUNTED, "5.0.0", "554 Rcpt <jo@example.com> does not exist (in reply to end of DATA)"),
    (COUNTED, "5.0.0", "550 user unknown"),  # nothing agrees: filters say so too
    (COUNTED, "5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
    (COUNTED, "5.5.0", "550 5.5.0 Requested action not taken: mailbox unavailable"),
    (COUNTED, "5.2.1", "550 5.2.1 The email account that you tried to reach is inactive."),
    (COUNTED, "5.1.1", "550 5.1.1 this account has been disabled or discontinued"),
    (COUNTED, "5.4.4", "550 5.4.4 Host or domain name not found. Name service error"),
    (COUNTED, "", "550 5.1.2 Host unknown (Name server: example.invalid: host not found)"),
    (AT_ONCE, "5.5.0", "550 5.5.0 Adresse destinataire invalide. Invalid recipient. LPN007_416"),
    (AT_ONCE, "5.1.1", "550 5.1.1 Nieznany u\u017cytkownik"),
    (COUNTED, "", "550 Benutzer unbekannt"),
    (COUNTED, "5.0.0", "550 gebruiker onbekend"),
    (COUNTED, "5.0.0", "550 'jo@example.com' is not a registered gateway user"),
    (NEVER, "5.1.1", "Not enough disk space\n550 5.1.1 <jo@example.com>... User Unknown"),
    (NEVER, "5.1.1", "procmail: Couldn't create /var/spool/mail/jo: no such user"),
    (NEVER, "5.1.1", "Command died with status 67: user unknown"),
    (NEVER, "5.1.1", "550 line limit exceeded"),
    (NEVER, "5.1.1", "550 Sender's domain does not exist"),
    (NEVER, "5.1.1", "550 domain of sender address someone does not exist"),
    (NEVER, "5.1.1", "TLS is not available: the handshake failed"),
    (NEVER, "5.1.1", "550 your server has a poor reputation"),
    (NEVER, "5.1.1", "550 the message scored 9 points"),
    (NEVER, "5.1.1", "451 connection was dropped"),
    (NEVER, "5.2.1", "550-5.2.1 is receiving mail at a rate that prevents additional messages"),
    (NEVER, "5.1.1", "552 sorry, user over quota. (#5.1.1)"),
    (NEVER, "5.1.1", "550 5.1.1 User account is overquota"),
    (NEVER, "5.1.1", "550 5.1.1 recipient rejected: temporarily inactive"),
    (NEVER, "5.1.1", "550 5.1.1 mailbox size limit exceeded"),
    (NEVER, "5.1.1", "all hosts have been failing for a long time"),
    (NEVER, "5.1.1", "554 client host rejected: cannot find your hostname"),
    (NEVER, "5.1.1", "550 not a member of this list"),
    (NEVER, "5.1.1", "550 not accepting mail with attachments"),
    (NEVER, "5.0.0", "550 message rejected, see our pages"),
    (NEVER, "5.2.2", "552-5.2.2 The account that you tried to reach is over quota and inactive."),
    (NEVER, "4.2.2", "452-4.2.2 The recipient's inbox is out of storage space."),
    (NEVER, "", "552 Casella di posta piena"),
    (NEVER, "5.1.1", "550 5.1.1 La casella di posta del destinatario è piena"),
    (NEVER, "5.1.1", "550 5.1.1 L'utente ha superato la quota"),
    (NEVER, "5.1.1", "550 5.1.1 El usuario ha superado su cuota"),
    (NEVER, "5.1.1", "550 5.1.1 El buzón del destinatario está lleno"),
    (NEVER, "5.1.1", "550 5.1.1 La boîte aux lettres du destinataire est pleine"),
    (NEVER, "5.1.1", "550 5.1.1 Das Postfach des Empfängers ist leider voll"),
    (NEVER, "5.1.1", "550 5.1.1 Die Quota wurde überschritten"),
    (NEVER, "5.1.1", "550 5.1.1 The recipient has chosen not to accept mail from you"),
    (NEVER, "5.1.1", "550 5.1.1 User does not wish to receive your messages"),
    (NEVER, "5.1.0", "550 5.1.0 192.0.2.1 is not allowed to send from <a.it> per it's SPF"),
    (NEVER, "5.7.26", "550-5.7.26 blocked because the sender is unauthenticated: SPF, DKIM"),
    (NEVER, "5.1.8", "550 5.1.8 Sender address rejected: Domain not found"),
    (NEVER, "5.0.0", "550-5.7.1 Our system has detected that it is likely unsolicited mail."),
    (NEVER, "5.7.1", "550 5.7.1 Relaying denied"),
    (NEVER, "5.7.1", "550 5.7.1 Client host [192.0.2.1] blocked using Spamhaus."),
    (NEVER, "5.3.4", "552 5.3.4 Message size exceeds fixed maximum message size"),
    (NEVER, "4.4.1", "connect to mx.example.com[192.0.2.1]:25: Connection timed out"),
    (NEVER, "4.4.3", "451 4.4.3 Host or domain name not found. Name service error, try again"),
    (NEVER, "4.1.1", "450 4.1.1 unverified address: Address verification in progress"),
    (NEVER, "", "450 4.2.0 Recipient address rejected: Greylisted"),
    (NEVER, "", "554 Too many hops 26 (25 max)"),
    (NEVER, "2.1.5", "250 2.1.5 Ok"),
    (NEVER, "", "250 user unknown to the list, forwarded"),
    (NEVER, "", ""),
]  # fmt: skip


@pytest.mark.parametrize("needed, status, text", WORDS)
def test_clear_words_go_before_the_code(needed: int, status: str, text: str) -> None:  # F11
    assert events_needed(Bounce(status, diagnostic=text)) == needed


@pytest.mark.parametrize(
    "needed, codes",
    [
        (AT_ONCE, "5.1.1 5.1.3 5.1.6 5.1.10 5.7.17 5.7.18"),
        (COUNTED, "5.1.2 5.2.1"),
        (NEVER, "5.2.2 5.2.3 5.3.0 5.3.4 5.4.4 5.4.7 5.5.0 5.6.1 5.7.0 5.7.1 5.7.26"),
        (NEVER, "4.1.1 4.2.1 4.2.2 4.4.7 4.7.17 5.0.0 2.0.0 x"),
    ],
)
def test_without_clear_words_the_code_decides(needed: int, codes: str) -> None:  # F10
    for code in codes.split():
        assert events_needed(Bounce(code)) == needed, code
        assert events_needed(Bounce(code, diagnostic="see our postmaster page")) == needed, code


@pytest.mark.parametrize(
    "needed, bounce",
    [
        (COUNTED, Bounce(permanent=True)),  # the attempt failed; why, nobody says
        (COUNTED, Bounce("", "550", permanent=True)),
        (AT_ONCE, Bounce(permanent=True, bad_address=True)),
        (AT_ONCE, Bounce("5.0.0", diagnostic="something odd", permanent=True, bad_address=True)),
        # The server refused the sender in words that nothing here knows, and the vendor calls
        # that permanent, too.
        (COUNTED, Bounce("5.0.0", diagnostic="something odd", permanent=True)),
        (COUNTED, Bounce("", "554", "554 IP=192.0.2.1 - A problem occurred. (BL)", permanent=True)),
        (COUNTED, Bounce("", "503", "503 Bad sequence of commands", permanent=True)),
        (AT_ONCE, Bounce(diagnostic="550 user unknown", permanent=True)),
        (AT_ONCE, Bounce(diagnostic="mailbox unavailable", permanent=True)),
        (COUNTED, Bounce("5.5.0", permanent=True)),
        (AT_ONCE, Bounce("5.5.0", diagnostic="550 mailbox unavailable", permanent=True)),
        (
            AT_ONCE,
            Bounce("5.4.1", diagnostic="Recipient address rejected: Access denied", permanent=True),
        ),
        (COUNTED, Bounce("5.4.1", diagnostic="Recipient address rejected: Access denied")),
        (NEVER, Bounce("5.5.0", diagnostic="550 connection refused", permanent=True)),
        (NEVER, Bounce("4.5.0", diagnostic="450 mailbox unavailable", permanent=True)),
        (NEVER, Bounce(diagnostic="mailbox is full", permanent=True)),
        (NEVER, Bounce("5.7.1", permanent=True)),  # a code with a meaning stands
        (NEVER, Bounce("4.2.1", permanent=True)),
        (NEVER, Bounce(permanent=False)),
        (COUNTED, Bounce("5.1.1", permanent=False)),
        (COUNTED, Bounce("5.1.1", diagnostic="user unknown", permanent=False)),
    ],
)
def test_a_vendors_classification_settles_what_is_open(needed: int, bounce: Bounce) -> None:
    assert events_needed(bounce) == needed


def test_a_classification_reports_when_it_goes_against_the_code() -> None:
    read = classify_bounce(Bounce("5.1.1", "550", "Mailbox full"))
    assert (read.cause, read.code, read.contradicts_code) == (BounceCause.FULL, "5.2.2", True)
    read = classify_bounce(Bounce("4.2.2", "452", "Mailbox full"))
    assert (read.code, read.contradicts_code) == ("4.2.2", False)
    assert classify_bounce(Bounce("5.1.1")).contradicts_code is False


def test_the_recipient_may_be_known_to_be_what_was_refused() -> None:
    assert events_needed(Bounce("5.0.0", "550", "no such user", rejected_at_rcpt=True)) == AT_ONCE
    assert events_needed(Bounce("5.0.0", "550", "mailbox full", rejected_at_rcpt=True)) == NEVER
    assert events_needed(Bounce("4.0.0", "450", "no such user", rejected_at_rcpt=True)) == NEVER


def test_a_number_of_a_program_is_no_code() -> None:
    assert events_needed(Bounce(diagnostic="sent by Mailer 2.0.12", permanent=True)) == COUNTED


def test_an_address_means_nothing() -> None:
    for address in ("<spam@dmarc.example>", "full.mailbox@example.com", "quota-exceeded@a.it"):
        assert find_cause(f"{address} refused") is None


def test_only_the_beginning_of_a_text_is_looked_at() -> None:  # bounded work, whatever is sent
    assert find_cause("user unknown " + "x" * 1_000_000) is BounceCause.NO_MAILBOX
    assert find_cause("x " * 1_000_000 + "user unknown") is None
