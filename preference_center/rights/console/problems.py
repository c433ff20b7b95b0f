"""Why something about a request could not be done, in the language of the page."""

from __future__ import annotations

from flask_babel import gettext as _

from preference_center.core.errors import (
    AddressConflict,
    ForbiddenTransition,
    InvalidAddress,
    InvalidInput,
    UnderHold,
    UnknownEvent,
)
from preference_center.rights.rules.decisions import (
    OwnDecision,
    ProposalChanged,
    SecondPersonRequired,
)


def problem_words(error: InvalidInput) -> str:
    """What to fix. Of what is rare the error's own words, which are English."""
    match error:
        case OwnDecision():
            text = _("You proposed or placed this yourself: another person has to decide.")
        case SecondPersonRequired():
            text = _("Two people decide this: one proposes it, then another one decides.")
        case ProposalChanged():
            text = _("Something else is proposed now: read it below, then decide.")
        case ForbiddenTransition():
            text = _("This can’t be done now: the request is closed, or identity is not proven.")
        case UnderHold():
            text = _("A legal hold keeps this person from being erased.")
        case InvalidAddress():
            text = _("This is no address that can be used: check it.")
        case AddressConflict():
            text = _("The new address is another person’s: merge the two first.")
        case UnknownEvent():
            text = _("No event of this person has this reference.")
        case _:
            text = str(error)
    return str(text)
