"""Show the requests of one person in the timeline on the person's page."""

from __future__ import annotations

from flask_babel import gettext as _

from preference_center.contacts.rules.statements import RequestEntry
from preference_center.core.addresses import Address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.rights.requests.store import list_of_subject
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.words import kind_words, state_to_others
from preference_center.web.languages import format_short_time


def request_entries(connection: Connection, address: Address) -> list[RequestEntry]:
    """Every request about exactly this address, in words, in the order of recording (I9)."""
    found = list_of_subject(connection, [services().keys.exact_digest(address)])
    return [_entry(each) for each in found]


def _entry(request: RightsRequest) -> RequestEntry:
    return RequestEntry(
        request.received_at,
        _("Data-subject request: %(kind)s", kind=kind_words(request.kind)),
        state_to_others(request.state),
        [(_("Due"), format_short_time(request.deadline))] if request.closed_at is None else [],
        request.reference,
    )
