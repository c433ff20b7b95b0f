"""`register` mounts the console, with the pages of all subjects."""

from __future__ import annotations

from apiflask import APIFlask

from preference_center.catalogue import console as catalogue_console
from preference_center.contacts import console as contacts_console
from preference_center.contacts.console.timeline import find_bursts, list_requests
from preference_center.destinations import console as destinations_console
from preference_center.inbound import console as inbound_console
from preference_center.inbound.bursts import find_bursts_by_event
from preference_center.lists import console as lists_console
from preference_center.monitoring import console as monitoring_console
from preference_center.recipients import console as recipients_console
from preference_center.reports import console as reports_console
from preference_center.rights import console as rights_console
from preference_center.rights.console.queue import request_entries
from preference_center.senders import console as senders_console
from preference_center.web.console import audit, sign_in, staff
from preference_center.web.console import blueprint as console
from preference_center.web.console.frame import Route as ConsoleRoute
from preference_center.web.console.frame import csrf

CONSOLE_PAGES: tuple[ConsoleRoute, ...] = (
    *sign_in.ROUTES,
    *sign_in.OIDC_ROUTES,
    *staff.ROUTES,
    *audit.ROUTES,
    *catalogue_console.ROUTES,
    *destinations_console.ROUTES,
    *contacts_console.ROUTES,
    *lists_console.ROUTES,
    *rights_console.ROUTES,
    *inbound_console.ROUTES,
    *senders_console.ROUTES,
    *recipients_console.ROUTES,
    *monitoring_console.ROUTES,
    *reports_console.ROUTES,
)
"""Every page of the console."""


def register(app: APIFlask) -> None:
    """Mount it in an application that has the pages for people, to which it links.

    Its forms are protected from other sites. What is mounted already is reached by no cookie:
    mail clients have no token (RULES A4), a vendor or a sender authenticates in its own way, and
    the form of preferences checks its own.
    """
    csrf.init_app(app)
    for public in app.blueprints.values():
        csrf.exempt(public)
    list_requests.register(app, request_entries)
    find_bursts.register(app, find_bursts_by_event)
    app.register_blueprint(console.create_blueprint(CONSOLE_PAGES))
