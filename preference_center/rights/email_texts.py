"""Write the texts of emails about requests, corrections and erasures, in the current language.

The emails are about a request, to a person about whom somebody else said something, to the new
and the old address of a correction, and to an erased person as the last one (I6). A refusal names
its ground, the complaint to an authority, and the courts (GDPR art. 12(4)).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never
from zoneinfo import ZoneInfo

from flask_babel import format_date
from flask_babel import gettext as _

from preference_center.catalogue.rules.privacy import Law
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.infra.context import services
from preference_center.infra.outbox import BY_AGENT, EmailKind, OutgoingEmail
from preference_center.rights.person_words import in_words
from preference_center.rights.rules.deadlines import complaint_authority_url
from preference_center.rights.rules.requests import (
    ExtensionReason,
    Extent,
    ReceiptNote,
    RefusalGround,
    RequestKind,
    RequestOutcome,
)
from preference_center.web.emails import (
    EmailTexts,
    TextsOfEmail,
    ignore_if_not_you,
    valid_until,
    works_once,
)


def how_to_complain(email: OutgoingEmail) -> str:
    """How to complain to an authority (GDPR art. 12(4)); `law` may be empty."""
    text: str = _(
        "If you do not agree, reply to this email. You can also complain to an authority"
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


def reference_of(email: OutgoingEmail) -> str:
    """The reference of the request."""
    return email.values["reference"]


def right_of(email: OutgoingEmail) -> str:
    """What is asked for, in the current language."""
    return in_words(RequestKind(email.values["right"]))


def day_of(email: OutgoingEmail, name: str) -> str:
    """A date in the company's time zone, in which deadlines are counted."""
    catalogue = current_catalogue_or_empty()
    zone = ZoneInfo(catalogue.controller.timezone if catalogue.controller else "UTC")
    return str(
        format_date(datetime.fromisoformat(email.values[name]).astimezone(zone).date(), "long")
    )


def _asked_in_your_name(email: OutgoingEmail, name: str, agent: str) -> str:
    text: str = _(
        "Somebody who gave the name “%(agent)s” asked %(name)s in your name for this: %(right)s.",
        agent=agent,
        name=name,
        right=right_of(email),
    )
    return text


def _who_asked(email: OutgoingEmail, name: str) -> str:
    """The person, or somebody in their name, and what for."""
    if agent := email.values.get(BY_AGENT):
        return _asked_in_your_name(email, name, agent)
    text: str = _("You asked %(name)s for this: %(right)s.", name=name, right=right_of(email))
    return text


def _agent_asked(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_(
            "Does somebody act for you? Request %(reference)s", reference=reference_of(email)
        ),
        reason=_asked_in_your_name(email, name, email.values["agent"]),
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


def _received(email: OutgoingEmail, name: str) -> EmailTexts:
    notes = email.values["why"].split()
    if ReceiptNote.WAITS_FOR_PROOF in notes:
        until = _(
            "We need to be sure that it’s you. Write to us and quote the reference. We’ll ask about"
            " your last orders or messages with us, and never for an ID card."
        )
    elif email.values["due"]:
        until = _("You get our answer by %(day)s at the latest.", day=day_of(email, "due"))
    else:
        until = _("First we have to make sure that it is you. The time to answer begins then.")
    return EmailTexts(
        subject=_("We have received your request %(reference)s", reference=reference_of(email)),
        reason=_what_was_received(email, name)
        + (f" {_marketing_off()}" if ReceiptNote.MARKETING_OFF in notes else ""),
        button=_("Track your request"),
        expiry=until,
        disclaimer=_("If it was not you who asked, please tell us: reply to this email."),
    )


def _what_was_received(email: OutgoingEmail, name: str) -> str:
    if email.values.get(BY_AGENT):
        return _who_asked(email, name)
    text: str = _(
        "On %(day)s you asked %(name)s for this: %(right)s. The reference of your request is"
        " %(reference)s.",
        day=day_of(email, "received"),
        name=name,
        right=right_of(email),
        reference=reference_of(email),
    )
    return text


def _marketing_off() -> str:
    text: str = _("All marketing to this address is off.")
    return text


def _done(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Your request %(reference)s is done", reference=reference_of(email)),
        reason=_who_asked(email, name),
        button=_("See what was done"),
        expiry=_what_was_done(email),
        disclaimer=how_to_complain(email),
    )


def _what_was_done(email: OutgoingEmail) -> str:
    """The outcome; of an objection that marketing is off, of an erasure that tools follow."""
    outcome, kind = RequestOutcome(email.values["why"]), RequestKind(email.values["right"])
    if kind is RequestKind.ERASE and email.values["due"]:
        text: str = _(
            "It is done here. The systems that send our messages follow by %(day)s at the latest.",
            day=day_of(email, "due"),
        )
        return text
    text = _outcome(outcome)
    return f"{text} {_marketing_off()}" if kind is RequestKind.OBJECT else text


def _refused(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("We cannot fulfil your request %(reference)s", reference=reference_of(email)),
        reason=_who_asked(email, name),
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


def _new_address(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("Confirm your new email address for %(name)s", name=name),
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


def _account_closed(email: OutgoingEmail, name: str) -> EmailTexts:
    return EmailTexts(
        subject=_("%(name)s has closed your account", name=name),
        reason=_(
            "You, or someone else, asked %(name)s to close the account that this address belongs"
            " to. It is closed: we no longer write to any of its addresses.",
            name=name,
        ),
        button=_("This wasn’t me"),
        expiry=_("You can undo it until %(time)s.", time=valid_until(email)),
        disclaimer=_("If it was you, there is nothing to do."),
    )


ADDRESS_TEXTS: Mapping[EmailKind, TextsOfEmail] = {
    EmailKind.NEW_ADDRESS: _new_address,
    EmailKind.ADDRESS_MOVED: _address_moved,
    EmailKind.ACCOUNT_CLOSED: _account_closed,
}


def _erased(email: OutgoingEmail, sender_name: str) -> EmailTexts:
    """What went, what stays, and that it is the last."""
    return EmailTexts(
        subject=_("%(name)s has deleted your data", name=sender_name),
        reason=_what_went(Extent(email.values["extent"]), sender_name),
        expiry=_(
            "The systems that send our messages have to delete it too. We keep only a mark that"
            " stops messages to you; nobody can read your address from it."
        ),
        disclaimer=_(
            "This is our last message about it. If this was not you, please write to us at once."
        ),
    )


def _what_went(extent: Extent, sender_name: str) -> str:
    match extent:
        case Extent.MARKETING:
            text: str = _(
                "%(name)s has deleted what was stored about the messages that you chose to receive"
                " at this address, and about their history. No marketing is sent to you any more.",
                name=sender_name,
            )
        case Extent.ACCOUNT:
            text = _(
                "%(name)s has deleted your account and what was stored about you with this"
                " address. Nothing is sent to you any more but what the law requires.",
                name=sender_name,
            )
        case _:
            assert_never(extent)
    return text


ERASURE_TEXTS: Mapping[EmailKind, TextsOfEmail] = {EmailKind.ERASED: _erased}
