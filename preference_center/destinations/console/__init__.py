"""The console's pages of destinations: the window, one tool, its settings."""

from preference_center.core.staff import Permission
from preference_center.destinations.console.add import (
    add_destination,
    add_kind,
    add_settings,
    add_topics,
)
from preference_center.destinations.console.destination import (
    check_destination,
    confirm_action,
    destination,
    preview,
)
from preference_center.destinations.console.settings import change_destination
from preference_center.web.console.frame import Route

__all__ = ["ROUTES"]

_VIEW, _MANAGE = Permission.VIEW_WINDOW, Permission.MANAGE_DESTINATIONS
_BOTH = ("GET", "POST")

# A name has no underscore, so no destination hides these.
ROUTES: tuple[Route, ...] = (
    Route("/window/add_destination", add_kind, _MANAGE),
    Route("/window/add_destination/settings", add_settings, _MANAGE, _BOTH),
    Route("/window/add_destination/topics", add_topics, _MANAGE, ("POST",)),
    Route("/window/add_destination/store", add_destination, _MANAGE, ("POST",)),
    Route("/window/<name>", destination, _VIEW),
    Route("/window/<name>/check", check_destination, _MANAGE, ("POST",)),
    Route("/window/<name>/preview", preview, _MANAGE, ("POST",)),
    Route("/window/<name>/settings", change_destination, _MANAGE, _BOTH),
    Route("/window/<name>/confirm/<action>", confirm_action, _MANAGE, _BOTH),
)
