"""The menu: what the person who is signed in may open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request, url_for
from flask_babel import lazy_gettext
from flask_babel.speaklater import LazyString

from preference_center.core.staff import Permission
from preference_center.web.console.access import may


@dataclass(frozen=True, slots=True)
class MenuItem:
    """An entry: the endpoint of its page, and the key that opens it with the browser's access key.

    `section` is the beginning of the paths at which the entry is the current one.
    """

    endpoint: str
    title: LazyString
    permission: Permission
    section: str
    access_key: str


MENU: tuple[MenuItem, ...] = (
    MenuItem("people", lazy_gettext("People"), Permission.VIEW_PEOPLE, "/console/people", "p"),
    MenuItem("review_lists", lazy_gettext("Review"), Permission.REVIEW, "/console/review", "r"),
    MenuItem(
        "request_queue_page",
        lazy_gettext("Requests"),
        Permission.VIEW_REQUESTS,
        "/console/requests",
        "q",
    ),
    MenuItem("window", lazy_gettext("Window"), Permission.VIEW_WINDOW, "/console/window", "w"),
    MenuItem(
        "catalogue_overview",
        lazy_gettext("Catalogue"),
        Permission.VIEW_CATALOGUE,
        "/console/catalogue",
        "c",
    ),
    MenuItem("senders", lazy_gettext("Senders"), Permission.VIEW_SENDERS, "/console/senders", "s"),
    MenuItem("imports", lazy_gettext("Imports"), Permission.IMPORT, "/console/imports", "i"),
    MenuItem("reports", lazy_gettext("Reports"), Permission.VIEW_REPORTS, "/console/reports", "o"),
    MenuItem("staff", lazy_gettext("Staff"), Permission.MANAGE_STAFF, "/console/staff", "t"),
    MenuItem("audit", lazy_gettext("Audit"), Permission.VIEW_AUDIT, "/console/audit", "a"),
)
"""In the order of the menu."""


@dataclass(frozen=True, slots=True)
class MenuLink:
    """An entry as the page shows it."""

    url: str
    title: str
    access_key: str
    is_current: bool


def navigation() -> Sequence[MenuLink]:
    """The entries that the person who is signed in may open."""
    return [
        MenuLink(
            url_for(f"console.{item.endpoint}"),
            str(item.title),
            item.access_key,
            request.path.startswith(item.section),
        )
        for item in MENU
        if may(item.permission)
    ]
