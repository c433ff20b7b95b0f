"""Sentences and values that several kinds of email have, in the current language."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask_babel import format_date
from flask_babel import gettext as _

from preference_center.catalogue.rules.privacy import Law
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.infra.outbox import OutgoingEmail
from preference_center.rights.rules.laws import complaint_authority_url
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.titles import right_title


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
    return right_title(RequestKind(email.values["right"]))


def day_of(email: OutgoingEmail, name: str) -> str:
    """A date in the company's time zone, in which deadlines are counted."""
    catalogue = current_catalogue_or_empty()
    zone = ZoneInfo(catalogue.controller.timezone if catalogue.controller else "UTC")
    return str(
        format_date(datetime.fromisoformat(email.values[name]).astimezone(zone).date(), "long")
    )
