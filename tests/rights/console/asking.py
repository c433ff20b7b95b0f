"""Requests about people, as the tests of the console's pages need them."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING, Any

from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.requests import handle
from preference_center.rights.requests.steps import list_steps, load_request
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import RequestKind, RequestVia
from tests.rights.asking import ADA, new

if TYPE_CHECKING:
    from flask import Flask

    from tests.web.console.staff import Staff

SCRIPT = "<script>alert(1)</script>"


def ask(app: Flask, kind: RequestKind = RequestKind.CORRECT, **given: Any) -> RightsRequest:
    with app.app_context():
        made: NewRequest = new(kind, **{"via": RequestVia.PHONE, "addresses": (ADA,)} | given)
        return handle.open_request(made, "test")


def all_pages(member: Staff, path: str) -> Iterator[str]:
    """The HTML of a list from `path` on, page by page."""
    while path:
        html = member.get(path).get_data(as_text=True)
        yield html
        before, link, _ = html.partition('rel="next"')
        path = unescape(before.rpartition('href="')[2].partition('"')[0]) if link else ""


def load(app: Flask, request: RightsRequest) -> RightsRequest:
    with app.app_context():
        return load_request(request.id)


def actions(app: Flask, request: RightsRequest) -> list[tuple[str, str]]:
    """Who did what."""
    with app.app_context():
        return [(step.actor, step.action) for step in list_steps(request.id)]


def rows(app: Flask, query: str) -> list[tuple[Any, ...]]:
    with app.app_context():
        return run_in_transaction(lambda c: c.execute(query.encode()).fetchall())
