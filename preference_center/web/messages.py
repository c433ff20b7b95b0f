"""Render an OutgoingEmail as a MIME message, in the recipient's language.

The plain text part and the HTML part have the same sentences. There are no images and there
is no tracking. The link leads to a page with a button, so that scanners, which only GET, do
not use it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email import policy
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from flask import render_template

from preference_center.catalogue import Wording, shared_wording
from preference_center.core.addresses import Channel, mask_address, parse_address
from preference_center.infra.hooks import Hook
from preference_center.infra.outbox import LANGUAGE_SWITCHED, EmailKind, OutgoingEmail
from preference_center.web.email_texts import TextsOfEmail
from preference_center.web.languages import in_language, locale_of, match_language
from preference_center.web.mailer_sender_identity import SenderIdentity, brands_of, sender_identity
from preference_center.web.unproven_emails import stop_url

_TO_TYPED_ADDRESSES = {EmailKind.ONE_TIME_LINK, EmailKind.RIGHTS_LINK, EmailKind.NEW_ADDRESS}
_ANSWERED_BY_CONTACT = _TO_TYPED_ADDRESSES | {EmailKind.CONFIRM_OPT_IN, EmailKind.ADDRESS_MOVED}
"""Kinds whose answers the contact reads; all others are about rights."""


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
        texts = email_texts()[email.kind](email, sender.name)
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
