"""What tests of the pages of rights share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.rights.requests import list_requests

if TYPE_CHECKING:
    from flask import Flask

    from preference_center.domain.rights.request import RightsRequest


def csrf_token(page: str) -> str:
    """The CSRF token of a page's form, or an empty text."""
    found = re.search(r'name="csrf_token" value="([^"]*)"', page)
    return found[1] if found else ""


def requests_in(app: Flask) -> list[RightsRequest]:
    """All stored requests, oldest first."""
    with app.app_context():
        return run_in_transaction(list_requests)
