"""How a page of the console is registered: with who may open it, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from preference_center.core.staff import Permission
from preference_center.web.console.access import require

View = Callable[..., ResponseReturnValue]


class Access(StrEnum):
    """Who may open a page that needs no permission."""

    ANYONE = "anyone"
    """The pages for signing in."""
    STAFF = "staff"
    """Everybody who is signed in."""


@dataclass(frozen=True, slots=True)
class Route:
    """A page: its path below /console, its view, and who may open it.

    The endpoint is the name of the view, so views have names of their own in the whole package.
    """

    rule: str
    view: View
    access: Permission | Access
    methods: tuple[str, ...] = ("GET",)

    @property
    def endpoint(self) -> str:
        """The name for `url_for`, without the blueprint's."""
        return self.view.__name__


def register(blueprint: Blueprint, route: Route) -> None:
    """Add a page to the blueprint."""
    blueprint.add_url_rule(route.rule, route.endpoint, _guard(route), methods=list(route.methods))


def _guard(route: Route) -> View:
    if route.access is Access.ANYONE:
        return route.view
    permission = None if isinstance(route.access, Access) else route.access

    @wraps(route.view)
    def guarded(**values: Any) -> ResponseReturnValue:
        require(permission)
        return route.view(**values)

    return guarded
