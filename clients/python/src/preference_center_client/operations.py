"""Every operation as a `Call`. Reading needs no idempotency key, and writing always has one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from preference_center_client.errors import PreferenceCenterError, Rejected
from preference_center_client.exchange import Call, T, new_idempotency_key
from preference_center_client.models import (
    UNANSWERED,
    ChangesPage,
    Channel,
    Consent,
    ContactResult,
    Decision,
    DigestsPage,
    Json,
    LinkRequest,
    MessageLinks,
    OptOut,
    WriteResult,
    read_changes_page,
    read_contact_result,
    read_decisions,
    read_digests_page,
    read_message_links,
    read_object,
    read_write_result,
)

log = logging.getLogger(__name__)

MAX_ROWS = 10_000
"""Rows of one request; more are sent in several."""


def decide_many(
    message_type: str, recipients: Sequence[str], channel: Channel
) -> Call[list[Decision]]:
    """May this message be sent to these addresses, MAX_ROWS at most?"""
    body = {"message_type": message_type, "recipients": list(recipients), "channel": channel}
    return Call("POST", "/v1/decisions", partial(read_decisions, count=len(recipients)), body)


def unanswered(
    message_type: str, count: int, *, service: bool, error: PreferenceCenterError
) -> list[Decision]:
    """Decisions that the service did not make; `advisory` names the error, and it is logged.

    Raises the error if it is a Rejected and this is no service mail.
    """
    if isinstance(error, Rejected) and not service:
        raise error
    log.warning("no decision about %s: %s", message_type, error)
    return [Decision(service, UNANSWERED, advisory=type(error).__name__)] * count


def record_opt_outs(opt_outs: Sequence[OptOut], key: str | None) -> Call[list[WriteResult]]:
    """Record opt-outs: all of them or, if one has an error, none."""
    return _batch("/v1/opt-outs", [each.to_json() for each in opt_outs], read_write_result, key)


def record_consents(consents: Sequence[Consent], key: str | None) -> Call[list[WriteResult]]:
    """Record consents: all of them or, if one has an error, none."""
    return _batch("/v1/consents", [each.to_json() for each in consents], read_write_result, key)


def make_links(requests: Sequence[LinkRequest], key: str | None) -> Call[list[MessageLinks]]:
    """Links for messages."""
    return _batch("/v1/links", [each.to_json() for each in requests], read_message_links, key)


def save_contact(contact: Mapping[str, Any], key: str | None) -> Call[ContactResult]:
    """Create or update a contact."""
    return _write("/v1/contacts", dict(contact), read_contact_result, key)


def deactivate_contact(selector: Mapping[str, Any], key: str | None) -> Call[ContactResult]:
    """Close an account."""
    return _write("/v1/contacts/deactivate", dict(selector), read_contact_result, key)


def make_portal_link(address: str, channel: Channel, language: str | None) -> Call[str]:
    """The URL of the preference page of a customer who is signed in with you."""
    body = {"address": address, "channel": channel} | ({"language": language} if language else {})
    return _write("/v1/portal-links", body, lambda answer: str(answer["url"]), None)


def get_preferences(address: str, channel: Channel) -> Call[Json]:
    """The preferences of exactly this address."""
    body = {"address": address, "channel": channel}
    return Call("POST", "/v1/preferences/query", read_object, body)


def put_preferences(update: Mapping[str, Any], key: str | None) -> Call[Json]:
    """What a signed-in customer changed."""
    key = key or new_idempotency_key()
    return Call("PUT", "/v1/preferences", read_object, dict(update), idempotency_key=key)


def list_changes(after: str | None, limit: int) -> Call[ChangesPage]:
    """A page of the change feed."""
    params = {"limit": str(limit)} | ({"after": after} if after else {})
    return Call("GET", "/v1/changes", read_changes_page, params=params)


def read_digests(after: str | None) -> Call[DigestsPage]:
    """Digests for a local filter."""
    params = {"after": after} if after else {}
    path = "/v1/changes/digests"
    return Call("GET", path, read_digests_page, params=params, lines=True, patient=after is None)


def list_suppressions(query: Mapping[str, str]) -> Call[Json]:
    """A page of active suppressions."""
    return Call("GET", "/v1/suppressions", read_object, params=query)


def any_call(method: str, path: str, body: Any, params: Mapping[str, str] | None) -> Call[Any]:
    """Any other operation. Whatever is not a GET gets an idempotency key."""
    key = None if method.upper() == "GET" else new_idempotency_key()
    return Call(method.upper(), path, lambda answer: answer, body, params or {}, key)


def chunks(rows: Sequence[T]) -> list[Sequence[T]]:
    """Rows by request."""
    return [rows[start : start + MAX_ROWS] for start in range(0, len(rows), MAX_ROWS)]


def _write(path: str, body: Any, parse: Any, key: str | None) -> Call[Any]:
    return Call("POST", path, parse, body, idempotency_key=key or new_idempotency_key())


def _batch(path: str, rows: list[Json], read_row: Any, key: str | None) -> Call[Any]:
    def read(body: Any) -> list[Any]:
        if len(body) != len(rows):
            raise ValueError("there is not one result per row")
        return [read_row(each) for each in body]

    return _write(path, rows, read, key)
