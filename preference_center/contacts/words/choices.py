"""What the forms about people offer to choose from, in the language of the page."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.contacts.rules.statements import StatementKind
from preference_center.core.staff import AccessReason
from preference_center.ledger.rules import ReceivedVia
from preference_center.web.languages import once_per_language


@once_per_language
def access_reasons() -> Mapping[AccessReason, str]:
    """Why somebody looks a person up, in the order of the list."""
    return {
        AccessReason.CALLED: _("They called"),
        AccessReason.WROTE: _("They wrote"),
        AccessReason.IN_PERSON: _("They are here in person"),
        AccessReason.DATA_REQUEST: _("For a data-subject request"),
        AccessReason.COMPLAINT: _("For a complaint"),
        AccessReason.INVESTIGATION: _("To find out what went wrong"),
        AccessReason.AUTHORITY: _("An authority or a court asked"),
        AccessReason.OWN_ADDRESS: _("It is my own address"),
    }


@once_per_language
def received_via() -> Mapping[ReceivedVia, str]:
    """How something reached the company, as staff choose it."""
    return {
        ReceivedVia.PHONE: _("by phone"),
        ReceivedVia.POSTAL_MAIL: _("by letter"),
        ReceivedVia.CERTIFIED_MAIL: _("by certified email (PEC)"),
        ReceivedVia.IN_PERSON: _("in person"),
        ReceivedVia.REPLY: _("by email"),
        ReceivedVia.CHAT: _("in a chat"),
    }


@once_per_language
def statement_kinds() -> Mapping[StatementKind, str]:
    """What staff record of what a person said."""
    return {
        StatementKind.OPT_OUT: _("Opt-out: the person wants it no more"),
        StatementKind.OPT_IN: _("Opt-in: the person asks for it"),
        StatementKind.PAUSE: _("Pause: the person wants a break"),
        StatementKind.FREQUENCY: _("Frequency: the person wants it more or less often"),
    }
