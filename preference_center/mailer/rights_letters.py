"""What mails about a data-subject request say, in the current language.

A refusal names its ground, the complaint to an authority, and the courts (GDPR art. 12(4)).
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask_babel import format_date
from flask_babel import gettext as _

from preference_center.domain.rights.laws import complaint_authority_url
from preference_center.domain.rights.model import (
    ExtensionReason,
    Law,
    RefusalGround,
    RequestKind,
    RequestOutcome,
)
from preference_center.mailer.email_texts import EmailTexts
from preference_center.mailer.right_titles import right_title
from preference_center.storage.catalogues import current_catalogue_or_empty
from preference_center.storage.mail.outbox import EmailKind, OutgoingEmail

RIGHTS_LETTERS = frozenset(
    {
        EmailKind.RIGHTS_RECEIVED,
        EmailKind.RIGHTS_DONE,
        EmailKind.RIGHTS_REFUSED,
        EmailKind.RIGHTS_EXTENDED,
        EmailKind.RIGHTS_LAPSED,
        EmailKind.RIGHTS_REMINDER,
    }
)
"""The kinds of email that `rights_letter_texts` writes; replies go to the privacy contact."""


def rights_letter_texts(email: OutgoingEmail, sender_name: str) -> EmailTexts:
    """The sentences of one of RIGHTS_LETTERS."""
    match email.kind:
        case EmailKind.RIGHTS_RECEIVED:
            return _received(email, sender_name)
        case EmailKind.RIGHTS_DONE:
            return _done(email, sender_name)
        case EmailKind.RIGHTS_REFUSED:
            return _refused(email, sender_name)
        case EmailKind.RIGHTS_EXTENDED:
            return _extended(email)
        case EmailKind.RIGHTS_LAPSED:
            return _lapsed(email, sender_name)
        case _:
            return _reminder(email)


def _received(email: OutgoingEmail, name: str) -> EmailTexts:
    if email.values["due"]:
        until = _("You get our answer by %(day)s at the latest.", day=_day(email, "due"))
    else:
        until = _("First we have to make sure that it is you. The time to answer begins then.")
    return EmailTexts(
        subject=_("We have received your request %(reference)s", reference=_reference(email)),
        reason=_(
            "On %(day)s you asked %(name)s for this: %(right)s. The reference of your request is"
            " %(reference)s.",
            day=_day(email, "received"),
            name=name,
            right=_right(email),
            reference=_reference(email),
        ),
        button=_("See how far it is"),
        expiry=until,
        disclaimer=_("If it was not you who asked, please tell us: answer this mail."),
    )


def _done(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s is done", reference=_reference(email)),
        reason=_("You asked %(name)s for this: %(right)s.", name=name, right=_right(email)),
        button=_("See what was done"),
        expiry=_outcome(RequestOutcome(email.values["why"])),
        disclaimer=_how_to_complain(email),
    )


def _refused(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("We cannot fulfil your request %(reference)s", reference=_reference(email)),
        reason=_("You asked %(name)s for this: %(right)s.", name=name, right=_right(email)),
        button=_("See your request"),
        expiry=_ground(RefusalGround(email.values["why"])),
        disclaimer=_how_to_complain(email),
    )


def _extended(email: OutgoingEmail) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s takes longer", reference=_reference(email)),
        reason=_extension(ExtensionReason(email.values["why"])),
        button=_("See how far it is"),
        expiry=_("You get our answer by %(day)s at the latest.", day=_day(email, "due")),
        disclaimer=_how_to_complain(email),
    )


def _lapsed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s has ended", reference=_reference(email)),
        reason=_(
            "You asked %(name)s for this: %(right)s. We did not learn in time that it was you, so"
            " nothing was changed.",
            name=name,
            right=_right(email),
        ),
        button=_("See your request"),
        expiry=_("You can ask again at any time."),
        disclaimer=_how_to_complain(email),
    )


def _reminder(email: OutgoingEmail) -> EmailTexts:
    return EmailTexts(
        subject=_("Request %(reference)s is waiting", reference=_reference(email)),
        reason=_(
            "A person asked for this: %(right)s. The answer is due on %(day)s.",
            right=_right(email),
            day=_day(email, "due"),
        ),
        expiry=f"flask rights show {_reference(email)}",
    )


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
        RequestOutcome.ALREADY_SO: _("It was so already: nothing had to be changed."),
    }
    return texts[outcome]


def _ground(ground: RefusalGround) -> str:
    texts: dict[RefusalGround, str] = {
        RefusalGround.NOT_IDENTIFIED: _(
            "We could not make sure that it was you. You can ask again at any time, best from"
            " the address that it is about: a link mailed to it is proof enough for most"
            " requests."
        ),
        RefusalGround.LEGAL_DUTY: _("A law obliges us to keep these data."),
        RefusalGround.CLAIMS: _("The data are needed for legal claims."),
        RefusalGround.EXCESSIVE: _("The same was asked so often that the law lets us refuse it."),
        RefusalGround.OTHERS_RIGHTS: _("It would violate the rights of other people."),
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


def _how_to_complain(email: OutgoingEmail) -> str:
    text: str = _(
        "If you do not agree, answer this mail. You can also complain to an authority"
        " (%(authorities)s) or go to court.",
        authorities=_authorities(email.values["law"]),
    )
    return text


def _authorities(law: str) -> str:
    """The authorities of the request's law, or of all configured ones, by the company's names."""
    catalogue = current_catalogue_or_empty()
    named = catalogue.controller.authorities if catalogue.controller else {}
    return ", ".join(
        f"{named[each].name}: {named[each].url}" if each in named else complaint_authority_url(each)
        for each in ([Law(law)] if law else catalogue.rights.laws)
    )


def _reference(email: OutgoingEmail) -> str:
    return email.values["reference"]


def _right(email: OutgoingEmail) -> str:
    return right_title(RequestKind(email.values["right"]))


def _day(email: OutgoingEmail, name: str) -> str:
    """A date in the company's time zone, in which deadlines are counted."""
    catalogue = current_catalogue_or_empty()
    zone = ZoneInfo(catalogue.controller.timezone if catalogue.controller else "UTC")
    return str(
        format_date(datetime.fromisoformat(email.values[name]).astimezone(zone).date(), "long")
    )
