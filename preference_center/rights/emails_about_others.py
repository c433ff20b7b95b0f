"""What emails say to a person about whom somebody else said something, in the current language."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.rights.email_parts import day_of, how_to_complain, reference_of, right_of
from preference_center.web.emails import EmailTexts, TextsOfEmail


def _agent_asked(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_(
            "Does somebody act for you? Request %(reference)s", reference=reference_of(email)
        ),
        reason=_(
            "Somebody who gave the name “%(agent)s” asked %(name)s in your name for this:"
            " %(right)s.",
            agent=email.values["agent"],
            name=name,
            right=right_of(email),
        ),
        button=_("Confirm or refuse"),
        expiry=_(
            "Nothing is done before you confirm it. You can until %(day)s.",
            day=day_of(email, "until"),
        ),
        disclaimer=_(
            "If you do not know of this, refuse it there, or do nothing. What we answer goes to"
            " you."
        ),
    )


def _minor_reported(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Is this the address of a child? %(reference)s", reference=reference_of(email)),
        reason=_(
            "Somebody informed %(name)s that this address belongs to a child. Until our staff have"
            " looked at it, we send no marketing to it. Nothing else has changed.",
            name=name,
        ),
        button=_("Tell us if this is wrong"),
        expiry=_("You can tell us until %(day)s.", day=day_of(email, "until")),
        disclaimer=_("We do not say who informed us, and you don’t have to prove anything."),
    )


def _minor_confirmed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your account is closed: %(reference)s", reference=reference_of(email)),
        reason=_(
            "%(name)s learned that this address belongs to a child. So we have closed the account"
            " and deleted its data. We no longer write to this address.",
            name=name,
        ),
        disclaimer=how_to_complain(email),
    )


def _minor_dismissed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Everything is as before: %(reference)s", reference=reference_of(email)),
        reason=_(
            "Somebody had informed %(name)s that this address belongs to a child. Our staff found"
            " that this is not so: you receive again what you have chosen.",
            name=name,
        ),
    )


def _minor_reviewed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("We have looked at your report %(reference)s", reference=reference_of(email)),
        reason=_(
            "You informed %(name)s about the address of a child. Our staff have looked at it and"
            " done what is needed. We can tell nobody but that person what we found.",
            name=name,
        ),
    )


OTHERS_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    EmailKind.RIGHTS_AGENT_ASKED: _agent_asked,
    EmailKind.MINOR_REPORTED: _minor_reported,
    EmailKind.MINOR_CONFIRMED: _minor_confirmed,
    EmailKind.MINOR_DISMISSED: _minor_dismissed,
    EmailKind.MINOR_REVIEWED: _minor_reviewed,
}
