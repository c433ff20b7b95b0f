"""What emails about a data-subject request say, in the current language.

A refusal names its ground, the complaint to an authority, and the courts (GDPR art. 12(4)).
"""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.infra.context import services
from preference_center.infra.outbox import EmailKind, OutgoingEmail
from preference_center.rights.email_parts import day_of, how_to_complain, reference_of, right_of
from preference_center.rights.emails_about_others import OTHERS_TEXTS
from preference_center.rights.rules.model import ExtensionReason, RefusalGround, RequestOutcome
from preference_center.web.emails import EmailTexts, TextsOfEmail


def _received(email: OutgoingEmail, name: str) -> EmailTexts:
    if email.values["due"]:
        until = _("You get our answer by %(day)s at the latest.", day=day_of(email, "due"))
    else:
        until = _("First we have to make sure that it is you. The time to answer begins then.")
    return EmailTexts(
        subject=_("We have received your request %(reference)s", reference=reference_of(email)),
        reason=_(
            "On %(day)s you asked %(name)s for this: %(right)s. The reference of your request is"
            " %(reference)s.",
            day=day_of(email, "received"),
            name=name,
            right=right_of(email),
            reference=reference_of(email),
        ),
        button=_("Track your request"),
        expiry=until,
        disclaimer=_("If it was not you who asked, please tell us: reply to this email."),
    )


def _done(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s is done", reference=reference_of(email)),
        reason=_("You asked %(name)s for this: %(right)s.", name=name, right=right_of(email)),
        button=_("See what was done"),
        expiry=_outcome(RequestOutcome(email.values["why"])),
        disclaimer=how_to_complain(email),
    )


def _refused(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("We cannot fulfil your request %(reference)s", reference=reference_of(email)),
        reason=_("You asked %(name)s for this: %(right)s.", name=name, right=right_of(email)),
        button=_("See your request"),
        expiry=_ground(RefusalGround(email.values["why"])),
        disclaimer=how_to_complain(email),
    )


def _extended(email: OutgoingEmail, _name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s takes longer", reference=reference_of(email)),
        reason=_extension(ExtensionReason(email.values["why"])),
        button=_("Track your request"),
        expiry=_("You get our answer by %(day)s at the latest.", day=day_of(email, "due")),
        disclaimer=how_to_complain(email),
    )


def _lapsed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s has ended", reference=reference_of(email)),
        reason=_(
            "You asked %(name)s for this: %(right)s. We did not learn in time that it was you, so"
            " nothing was changed.",
            name=name,
            right=right_of(email),
        ),
        button=_("See your request"),
        expiry=_("You can ask again at any time."),
        disclaimer=how_to_complain(email),
    )


def _reminder(email: OutgoingEmail, _name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Request %(reference)s is waiting", reference=reference_of(email)),
        reason=_(
            "A person asked for this: %(right)s. The answer is due on %(day)s.",
            right=right_of(email),
            day=day_of(email, "due"),
        ),
        expiry=_queue_url(),
    )


def _queue_url() -> str:
    """Where staff work on requests."""
    settings = services().settings
    return f"{(settings.console_url or settings.public_url).rstrip('/')}/console/requests"


def _outcome(outcome: RequestOutcome) -> str:
    texts: dict[RequestOutcome, str] = {
        RequestOutcome.FULFILLED: _("It is done."),
        RequestOutcome.PARTLY: _(
            "It is done in part: the rest we must keep, or we did not find it."
        ),
        RequestOutcome.NOTHING_HELD: _(
            "We hold nothing readable about this address. If marketing to it was stopped, a"
            " mark without the address keeps it stopped."
        ),
        RequestOutcome.ALREADY_SO: _("This was already the case: nothing had to be changed."),
    }
    return texts[outcome]


def _ground(ground: RefusalGround) -> str:
    texts: dict[RefusalGround, str] = {
        RefusalGround.NOT_IDENTIFIED: _(
            "We could not make sure that it was you. You can ask again at any time, best from"
            " the address that it is about: a link emailed to it is proof enough for most"
            " requests."
        ),
        RefusalGround.LEGAL_DUTY: _("The law requires us to keep this data."),
        RefusalGround.CLAIMS: _("We need this data for a legal claim."),
        RefusalGround.UNFOUNDED: _("We found that this is not the case."),
        RefusalGround.EXCESSIVE: _(
            "You asked for the same so often that the law lets us refuse it."
        ),
        RefusalGround.OTHERS_RIGHTS: _("It would harm the rights of other people."),
    }
    return texts[ground]


def _extension(reason: ExtensionReason) -> str:
    texts: dict[ExtensionReason, str] = {
        ExtensionReason.COMPLEX: _("Your request is complex, so we need more time for it."),
        ExtensionReason.MANY_REQUESTS: _(
            "You have made several requests, so we need more time for them."
        ),
    }
    return texts[reason]


RIGHTS_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    EmailKind.RIGHTS_RECEIVED: _received,
    EmailKind.RIGHTS_DONE: _done,
    EmailKind.RIGHTS_REFUSED: _refused,
    EmailKind.RIGHTS_EXTENDED: _extended,
    EmailKind.RIGHTS_LAPSED: _lapsed,
    EmailKind.RIGHTS_REMINDER: _reminder,
    **OTHERS_TEXTS,
}
