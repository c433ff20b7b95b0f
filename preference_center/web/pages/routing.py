"""A `Route` registers a page, under its paths and methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint

View = Callable[..., Any]
FORM = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class Route:
    """A page or a document."""

    rule: str
    view: View
    methods: tuple[str, ...] = ("GET",)
    endpoint: str = ""
    """The name for `url_for`, if it is not that of the view."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    merge_slashes: bool = False
    """With a redirect, which mail clients refuse (RULES A5)."""

    def register(self, blueprint: Blueprint) -> None:
        """Add it to the blueprint."""
        blueprint.add_url_rule(
            self.rule,
            self.endpoint or None,
            self.view,
            methods=list(self.methods),
            defaults=dict(self.defaults),
            merge_slashes=self.merge_slashes,
        )


def with_token(
    path: str, view: View, methods: tuple[str, ...] = ("GET",), **defaults: str
) -> tuple[Route, Route]:
    """The page of a link, and the same without a token: a broken link gets a page too."""
    return (
        Route(path, view, methods, defaults=defaults),
        Route(f"{path}/<token:token>", view, methods, defaults=defaults),
    )
