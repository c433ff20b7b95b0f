"""The console's pages of people: search, timeline, recording an opt-out, sending a link."""

from __future__ import annotations

from preference_center.contacts.console.find import open_other_address, people
from preference_center.contacts.console.links import retract_entry, send_link
from preference_center.contacts.console.person import person
from preference_center.contacts.console.record import record_statement
from preference_center.core.staff import Permission
from preference_center.web.console.frame import Route

_PERSON = "/people/<uuid:access_id>"

ROUTES = (
    Route("/people", people, Permission.VIEW_PEOPLE, ("GET", "POST")),
    Route(_PERSON, person, Permission.VIEW_PEOPLE),
    Route(f"{_PERSON}/addresses", open_other_address, Permission.VIEW_PEOPLE, ("POST",)),
    Route(f"{_PERSON}/record", record_statement, Permission.CHANGE_PEOPLE, ("GET", "POST")),
    Route(f"{_PERSON}/link", send_link, Permission.CHANGE_PEOPLE, ("GET", "POST")),
    Route(
        f"{_PERSON}/retract/<uuid:event_id>",
        retract_entry,
        Permission.CHANGE_PEOPLE,
        ("GET", "POST"),
    ),
)
