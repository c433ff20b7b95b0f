"""What tests of the pages of rights share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.rights.requests import list_requests

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from preference_center.domain.rights.request import RightsRequest


def csrf_token(page: str) -> str:
    """The CSRF token of a page's form, or an empty text."""
    found = re.search(r'name="csrf_token" value="([^"]*)"', page)
    return found[1] if found else ""


def open_form(client: FlaskClient, path: str, fields: Mapping[str, str] | None = None) -> str:
    """The CSRF token of the form at `path`, after its first step if it has two."""
    query = {"what": fields["what"]} if fields and "what" in fields else {}
    first = csrf_token(client.get(path, query_string=query).text)
    if first or not fields or "extent" not in fields:
        return first
    return csrf_token(client.post(path, data={"extent": fields["extent"]}).text)


def press(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Open the form at `path` and post it with these fields."""
    return client.post(path, data={**fields, "csrf_token": open_form(client, path, fields)})


def requests_in(app: Flask) -> list[RightsRequest]:
    """All stored requests, oldest first."""
    with app.app_context():
        return run_in_transaction(list_requests)
