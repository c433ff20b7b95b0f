"""What emails about a corrected address say: to the new one, and to the old one."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.web.emails import (
    EmailTexts,
    TextsOfEmail,
    ignore_if_not_you,
    valid_until,
    works_once,
)


def _new_address(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Please confirm: %(name)s should write to this address", name=name),
        reason=_(
            "You, or someone using your address, asked %(name)s to write to this address from"
            " now on, and no longer to another one.",
            name=name,
        ),
        button=_("Confirm this address"),
        expiry=works_once(email),
        disclaimer=ignore_if_not_you(),
    )


def _address_moved(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("%(name)s now writes to your new address", name=name),
        reason=_(
            "You, or someone using your address, gave %(name)s a new address. What you had turned"
            " off stays off there. No marketing is sent to this address any more.",
            name=name,
        ),
        button=_("This wasn’t me"),
        expiry=_("You can undo it until %(time)s.", time=valid_until(email)),
        disclaimer=_("If it was you, there is nothing to do."),
    )


ADDRESS_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    EmailKind.NEW_ADDRESS: _new_address,
    EmailKind.ADDRESS_MOVED: _address_moved,
}
