"""What tests of the pages of rights share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from preference_center.contacts.rules.contact import ContactRef
from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.erasure.erase import erase_contacts
from preference_center.rights.requests.store import list_requests
from preference_center.rights.rules.requests import Extent
from tests.clock import START

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from preference_center.rights.rules.lifecycle import RightsRequest


def form_fields(
    client: FlaskClient, path: str, fields: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The hidden fields of the form at `path`, after its first step if it has two."""
    query = {"what": fields["what"]} if fields and "what" in fields else {}
    page = client.get(path, query_string=query).text
    if fields and "extent" in fields and 'name="confirm"' not in page:
        page = client.post(path, data={"extent": fields["extent"]}).text
    return dict(re.findall(r'type="hidden" name="(csrf_token|state)" value="([^"]*)"', page))


def press(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Open the form at `path` and post it with these fields."""
    return client.post(path, data=form_fields(client, path, fields) | fields)


def reference_in(client: FlaskClient, answer: TestResponse) -> str:
    """The reference on the page that `answer` leads to."""
    found = re.search(r"<code>(.*)</code>", client.get(answer.location).text)
    assert found
    return found[1]


def requests_in(app: Flask) -> list[RightsRequest]:
    """All stored requests, oldest first."""
    with app.app_context():
        return run_in_transaction(list_requests)


def erase_now(app: Flask, address: str) -> None:
    """Let this address be of an erased person."""
    named = ContactRef(address=parse_address(address, Channel.EMAIL))
    with app.app_context():
        erase_contacts([named], Extent.MARKETING, origin=RequestOrigin("test", "test", START))
