"""The service renders and sends its own emails: their sender, texts, limits and MIME form.

An email comes from the contact of its brand, or of the company. It is a MIME message in the
recipient's language.

Anybody can cause some emails, without proof that the mailbox is theirs. Links to typed addresses,
confirmations from forwarded links, and receipts of requests that nobody has proven share one limit
per mailbox. Each has a link to a page that stops them for a time: such a mailbox is stored by keyed
digest only. It is no suppression of the ledger: what senders may send does not change, and no tool
is informed (docs/decisions/0072-unproven-emails.md).

The plain text part and the HTML part have the same sentences. There are no images and there
is no tracking. The link leads to a page with a button, so that scanners, which only GET, do
not use it up.

An email is submitted once, but for one window that SMTP leaves open (RFC 1047): the server
accepted it, and the process, the connection or the database fails before that is recorded.
Then it is sent again, with the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import policy
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from uuid import UUID

import structlog
from flask import render_template
from flask_babel import gettext as _

from preference_center.catalogue import (
    Brand,
    BrandColours,
    Catalogue,
    CompanyContact,
    ContactDetails,
    Wording,
    shared_wording,
)
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.deadlines import email_retry
from preference_center.core.errors import ConfigError
from preference_center.core.keys import Keys
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import restore_address
from preference_center.infra import metrics, outbox
from preference_center.infra.config_sections import MailServer
from preference_center.infra.context import Services, services
from preference_center.infra.db.connections import hold_digest_length
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.infra.hooks import Hook
from preference_center.infra.outbox import (
    LANGUAGE_SWITCHED,
    ClaimedEmail,
    EmailKind,
    OutgoingEmail,
    SendResult,
)
from preference_center.infra.smtp_client import (
    SESSION_TIMEOUT,
    PermanentFailure,
    ServerUnavailable,
    SmtpClient,
    SmtpError,
)
from preference_center.web.languages import (
    format_day_and_time,
    in_language,
    join_names,
    locale_of,
    match_language,
)


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """The sender of an email, with names and pages in its language."""

    name: str
    writer: str
    """Who writes about rights: of several brands the controller, which is one."""
    footers: tuple[str, ...]
    from_address: str
    """With or without a name."""
    contact: CompanyContact | None
    privacy_contact: str | None
    help_url: str
    privacy_notice: str
    """A URL, as `help_url`; both may be empty."""
    colours: BrandColours | None
    dark_colours: BrandColours | None
    radius: int | None
    """Of the button's corners, in CSS pixels."""
    host: str | None
    """Of the brand's pages."""


def sender_identity(email: OutgoingEmail, language: str) -> SenderIdentity:
    """The brand of the email, or all brands together.

    From is the contact, never the sender of marketing: service mail is not to suffer from the
    complaints about marketing, nor be filtered with it (RULES A13). Without a contact it is
    MAIL_FROM. Raises ConfigError when there is neither.
    """
    catalogue, brands = current_catalogue_or_empty(), brands_of(email)
    details = _details(catalogue, brands)
    from_address = details.contact.email if details.contact else services().settings.mail_from
    if from_address is None:
        raise ConfigError("Set MAIL_FROM, or declare a contact in the catalogue.")
    names = [catalogue.localize(each.name, language) for each in brands]
    name = join_names(names) if names else parseaddr(from_address)[1]
    controller = catalogue.controller
    lead = brands[0] if len(brands) == 1 else None
    return SenderIdentity(
        name=name,
        writer=catalogue.localize(controller.name, language)
        if controller and len(brands) > 1
        else name,
        # Brands of one company often share their legal line.
        footers=tuple(dict.fromkeys(_footer(catalogue, each, language) for each in brands)),
        from_address=from_address,
        contact=details.contact,
        privacy_contact=details.privacy_contact,
        help_url=catalogue.localize(details.contact.url, language) if details.contact else "",
        privacy_notice=catalogue.localize(details.privacy_notice, language),
        colours=lead.colours.get("light") if lead else None,
        dark_colours=lead.colours.get("dark") if lead else None,
        radius=lead.radius if lead else None,
        host=lead.host if lead else None,
    )


def brands_of(email: OutgoingEmail) -> tuple[Brand, ...]:
    """The brand of the email, or all brands."""
    brands = current_catalogue_or_empty().brands
    brand = brands.get(email.brand or "")
    return (brand,) if brand else tuple(brands.values())


def _details(catalogue: Catalogue, brands: Sequence[Brand]) -> ContactDetails:
    """Of one brand its own; of several the company's, unless they all have the same."""
    first, *others = [catalogue.contact_details(each) for each in brands] or [ContactDetails()]
    return catalogue.contact_details(None) if any(each != first for each in others) else first


def _footer(catalogue: Catalogue, brand: Brand, language: str) -> str:
    texts = (brand.footer, brand.name)
    return next(filter(None, (catalogue.localize(text, language) for text in texts)), "")


@dataclass(frozen=True, slots=True)
class EmailTexts:
    """The sentences of an email. `button` is the label of the link; empty ones are left out."""

    subject: str
    reason: str
    button: str = ""
    expiry: str = ""
    disclaimer: str = ""


TextsOfEmail = Callable[[OutgoingEmail, str], EmailTexts]
"""The sentences of one kind of email, in the current language, given the name of its sender."""


EMAIL_STOP_DURATION = timedelta(days=30)
"""How long a stop lasts. It ends by itself: a page that is asked for a link says the same whether
there is a stop or not, so a person who forgot theirs could not learn why none arrives."""


_INSERT = """
INSERT INTO email_stop AS s (digest, ends_at) VALUES (%s, %s)
ON CONFLICT (digest) DO UPDATE SET ends_at = GREATEST(s.ends_at, EXCLUDED.ends_at)
"""


def mailbox_digest(keys: Keys, address: Address) -> bytes:
    """The digest of the mailbox that an address reaches, without its tag at any provider (I9).

    At an unknown provider tags may be different people; for what anybody can cause it is better
    that they share a limit than that tags get around it.
    """
    return keys.digest(address.base or address.mailbox)


def stop_emails(connection: Connection, keys: Keys, address: Address, now: datetime) -> None:
    """Stop such emails to this mailbox from now on. To repeat it extends it."""
    hold_digest_length(connection, keys)
    digest = mailbox_digest(keys, address)
    connection.execute(_INSERT, (digest, now + EMAIL_STOP_DURATION))


def allow_emails(connection: Connection, keys: Keys, address: Address) -> None:
    """End the stop, if there is one."""
    hold_digest_length(connection, keys)
    connection.execute("DELETE FROM email_stop WHERE digest = %s", (mailbox_digest(keys, address),))


def find_stop(
    connection: Connection, keys: Keys, address: Address, now: datetime
) -> datetime | None:
    """When the stop of this mailbox ends; None if there is none."""
    row = connection.execute(
        "SELECT ends_at FROM email_stop WHERE digest = %s AND ends_at > %s",
        (mailbox_digest(keys, address), now),
    ).fetchone()
    return row[0] if row else None


def purge_stops(connection: Connection, now: datetime) -> int:
    """Delete those that have ended; returns how many."""
    return connection.execute("DELETE FROM email_stop WHERE ends_at <= %s", (now,)).rowcount


UNPROVEN_EMAIL_RATE = "3 per hour; 10 per day"
"""Per mailbox, all kinds together."""


def may_email(recipient: Address) -> bool:
    """Whether one more such email to this mailbox is within UNPROVEN_EMAIL_RATE; counts it.

    A stop is looked up only when the email is sent, so that asking for it takes the same time.
    """
    context = services()
    digest = mailbox_digest(context.keys, recipient).hex()
    return context.limiter.hit(UNPROVEN_EMAIL_RATE, "email-to", digest)


def emails_stopped(recipient: Address, now: datetime) -> bool:
    """Whether the reader of this mailbox has stopped such emails."""
    keys = services().keys
    return run_autocommit(lambda c: find_stop(c, keys, recipient, now)) is not None


def stop_url(email: OutgoingEmail, host: str | None, now: datetime) -> str:
    """The page, in the language of the email, where the reader stops such emails."""
    links = services().links
    data = {"to": email.recipient.exact}
    token = links.seal_form(FormPurpose.EMAIL_STOP, data, now)
    return f"{links.base_url(host)}/emails/{token}?lang={email.language}"


def read_stop_token(token: str, now: datetime) -> Address:
    """The recipient of the email with this link, of any age. Raises InvalidLink."""
    _, data = services().links.open_form(FormPurpose.EMAIL_STOP, token, None, now)
    return restore_address(data["to"], Channel.EMAIL)


_TO_TYPED_ADDRESSES = {EmailKind.ONE_TIME_LINK, EmailKind.RIGHTS_LINK, EmailKind.NEW_ADDRESS}


_ANSWERED_BY_CONTACT = _TO_TYPED_ADDRESSES | {EmailKind.CONFIRM_OPT_IN, EmailKind.ADDRESS_MOVED}
"""Kinds whose answers the contact reads; all others are about rights."""


_OF_BRANDS = {EmailKind.ONE_TIME_LINK, EmailKind.CONFIRM_OPT_IN}
"""Kinds about what brands send; all others are about rights."""


@Hook
def email_texts() -> Mapping[EmailKind, TextsOfEmail]:
    """What each kind of email says."""
    raise NotImplementedError


def render_email(email: OutgoingEmail, now: datetime) -> EmailMessage:
    """The MIME message for the mail server; the same Message-ID at every attempt.

    Raises ConfigError when there is neither a contact nor MAIL_FROM.
    """
    with in_language(_language(email), _wording(email)) as language:
        sender = sender_identity(email, language)
        name = sender.name if email.kind in _OF_BRANDS else sender.writer
        texts = email_texts()[email.kind](email, name)
        values = {
            "texts": texts,
            "sender": sender,
            "link": email.values.get("link"),
            "recipient": mask_address(email.recipient),
            "stop_link": stop_url(email, sender.host, now) if email.unproven else None,
        }
        text = render_template("web/mail/message.txt", **values)
        html = render_template("web/mail/message.html", language=language, **values)
    from_mailbox = _parse_mailbox(sender.from_address, sender.name)
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = from_mailbox
    message["To"] = _parse_mailbox(email.recipient.exact)
    if reply_to := _reply_to(email, sender):
        message["Reply-To"] = _parse_mailbox(reply_to)
    message["Subject"] = _one_line(texts.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{email.id}@{from_mailbox.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no automatic replies
    # Some servers on the way alter 8-bit text and long lines.
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = language
    return message


def _reply_to(email: OutgoingEmail, sender: SenderIdentity) -> str | None:
    """Who reads an answer: of rights the privacy contact, of everything else the contact."""
    contact = sender.contact.address if sender.contact else None
    is_about_rights = email.kind not in _ANSWERED_BY_CONTACT
    return (is_about_rights and sender.privacy_contact) or contact or sender.privacy_contact


def _language(email: OutgoingEmail) -> str:
    """The contact's language for a link to a typed address, which its page must not look up."""
    if email.kind not in _TO_TYPED_ADDRESSES or LANGUAGE_SWITCHED in email.values:
        return email.language
    return match_language(locale_of(email.recipient)) or email.language


def _wording(email: OutgoingEmail) -> Wording:
    return shared_wording([brand.wording for brand in brands_of(email)])


def _parse_mailbox(text: str, name: str = "") -> Mailbox:
    """A mailbox for a header from `Name <address>`; `name` where it has none."""
    own_name, _address = parseaddr(text)
    local, _at, domain = parse_address(text, Channel.EMAIL).exact.rpartition("@")
    if local.startswith('"'):  # the header quotes it again
        local = local[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return Mailbox(_one_line(own_name or name), local, domain)


def _one_line(text: str) -> str:
    """`text` with each run of white space replaced by a space: a header is one line."""
    return " ".join(text.split())


log = structlog.get_logger()


EMAIL_LEASE_DURATION = timedelta(seconds=SESSION_TIMEOUT + 30)
"""The lease of an email: longer than the SMTP session that sends it may take."""


def send_due_emails(server: MailServer, *, until: datetime, stop: Callable[[], bool]) -> int:
    """Send one email after another until none is due. Returns how many were sent.

    Starts none at or after `until`, once `stop()` is true, or once the server is unavailable.
    """
    context, sent = services(), 0
    with SmtpClient(server, context.settings.public_url) as session:
        while not stop() and context.now() < until:
            session.restart_deadline()  # before the claim, so that it ends before the lease
            lease = context.new_id()
            claim = _claim(lease, context.now())
            if claim is None:
                break
            try:
                result, error = _send(session, context, claim), None
            except Exception as failure:  # noqa: BLE001 - one failure must not delay other emails
                result, error = _result_of(failure), failure
            _settle(context, claim, lease, result)
            _log(claim, result, error)
            metrics.count_email(EmailKind(claim.kind), result)
            sent += result is SendResult.SENT
            if isinstance(error, ServerUnavailable):
                break
    return sent


def _claim(lease: UUID, now: datetime) -> ClaimedEmail | None:
    return run_in_transaction(
        lambda c: outbox.claim_email(c, lease, now=now, until=now + EMAIL_LEASE_DURATION)
    )


def _send(session: SmtpClient, context: Services, claim: ClaimedEmail) -> SendResult:
    """Send an email, unless its reader wants no such emails. Raises what prevented it."""
    email = claim.decrypt(context.keys)
    if email.unproven and emails_stopped(email.recipient, context.now()):
        return SendResult.STOPPED
    session.send(render_email(email, context.now()))
    return SendResult.SENT


def _result_of(error: Exception) -> SendResult:
    return SendResult.REFUSED if isinstance(error, PermanentFailure) else SendResult.RETRY_LATER


def _settle(context: Services, claim: ClaimedEmail, lease: UUID, result: SendResult) -> None:
    now, next_at = context.now(), None
    if result is SendResult.RETRY_LATER:
        jitter = context.random.random()
        next_at = email_retry(claim.attempts + 1, claim.expires_at, now, jitter=jitter)
    run_in_transaction(lambda c: outbox.settle_email(c, claim.id, lease, result, next_at=next_at))


def _log(claim: ClaimedEmail, result: SendResult, error: Exception | None) -> None:
    if result is SendResult.SENT:
        log.info("email_sent", email=str(claim.id), kind=claim.kind)
    elif error is None:
        log.info("email_stopped", email=str(claim.id), kind=claim.kind)
    else:
        log.warning(
            "email_not_sent", email=str(claim.id), result=result, error=_safe_message(error)
        )


def _safe_message(error: Exception) -> str:
    """Our own messages contain no address; those of other errors might (I12)."""
    return (
        f"{type(error).__name__} {error}" if isinstance(error, SmtpError) else type(error).__name__
    )


def valid_until(email: OutgoingEmail) -> str:
    """Until when its link works."""
    return format_day_and_time(email.expires_at)


def works_once(email: OutgoingEmail) -> str:
    """That its link works once, and until when."""
    text: str = _(
        "The link works once, until %(time)s. Please don’t forward it.", time=valid_until(email)
    )
    return text


def ignore_if_not_you() -> str:
    """What to do about an email that somebody else caused."""
    text: str = _("If it was not you, you can ignore this email. Nothing has changed.")
    return text
