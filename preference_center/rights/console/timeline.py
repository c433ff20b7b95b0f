"""Show the requests of one person in the timeline on the person's page."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from preference_center.contacts.rules.statements import RequestEntry
from preference_center.core.addresses import Address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.rights.requests.store import list_of_subject
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestState
from preference_center.rights.words import kind_words
from preference_center.web.languages import format_short_time


def request_entries(connection: Connection, address: Address) -> list[RequestEntry]:
    """Every request about exactly this address, in words, in the order of recording (I9)."""
    found = list_of_subject(connection, [services().keys.exact_digest(address)])
    return [_entry(each) for each in found]


def _entry(request: RightsRequest) -> RequestEntry:
    return RequestEntry(
        request.received_at,
        _("Data-subject request: %(kind)s", kind=kind_words(request.kind)),
        _state_words(request.state),
        [(_("Due"), format_short_time(request.deadline))] if request.closed_at is None else [],
        request.reference,
    )


def _state_words(state: RequestState) -> str:
    """How far it is, for somebody who doesn't handle requests."""
    words: Mapping[RequestState, str] = {
        RequestState.RECEIVED: _("received"),
        RequestState.IDENTIFYING: _("waits for proof of identity"),
        RequestState.OPEN: _("in progress"),
        RequestState.DONE: _("done"),
        RequestState.REFUSED: _("refused"),
        RequestState.WITHDRAWN: _("withdrawn"),
        RequestState.LAPSED: _("lapsed, since identity was not proven"),
    }
    return str(words[state])
