"""The window: how far every destination is, and destinations themselves."""

from preference_center.console.routing import Route
from preference_center.console.window.board import window
from preference_center.domain.staff import Permission

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = (Route("/window", window, Permission.VIEW_WINDOW),)
