"""What mails about a corrected address say: to the new one, and to the old one."""

from __future__ import annotations

from flask_babel import gettext as _

from preference_center.mailer.email_texts import EmailTexts
from preference_center.storage.mail.outbox import EmailKind, OutgoingEmail

ADDRESS_EMAILS = frozenset({EmailKind.NEW_ADDRESS, EmailKind.ADDRESS_MOVED})
"""The kinds of email that `address_email_texts` writes."""


def address_email_texts(email: OutgoingEmail, sender_name: str, time: str) -> EmailTexts:
    """The sentences of one of ADDRESS_EMAILS; `time` is until when its link works."""
    if email.kind is EmailKind.NEW_ADDRESS:
        return EmailTexts(
            subject=_("Please confirm: %(name)s should write to this address", name=sender_name),
            reason=_(
                "You, or someone using your address, asked %(name)s to write to this address from"
                " now on, and no longer to another one.",
                name=sender_name,
            ),
            button=_("Confirm this address"),
            expiry=_("The link works once, until %(time)s. Please don’t forward it.", time=time),
            disclaimer=_("If it was not you, you can ignore this email. Nothing has changed."),
        )
    return EmailTexts(
        subject=_("%(name)s now writes to your new address", name=sender_name),
        reason=_(
            "You, or someone using your address, gave %(name)s a new address. What you had turned"
            " off stays off there. No marketing is sent to this address any more.",
            name=sender_name,
        ),
        button=_("This wasn’t me"),
        expiry=_("You can undo it until %(time)s.", time=time),
        disclaimer=_("If it was you, there is nothing to do."),
    )
