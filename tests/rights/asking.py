"""Requests, as the tests of rights ask them."""

from __future__ import annotations

from typing import Any

from preference_center.core.addresses import Channel, parse_address
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.requests import handle
from preference_center.rights.requests.steps import list_steps
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind, RequestVia

ADA = parse_address("ada@example.com", Channel.EMAIL)
NUMBER = parse_address("+39 333 1234567", Channel.SMS)
CONTROLS = IdentityLevel.CONTROLS_ADDRESS


def new(kind: RequestKind = RequestKind.ACCESS, **given: Any) -> NewRequest:
    fields: dict[str, Any] = {"via": RequestVia.PAGE, "language": "en", "addresses": (ADA,)}
    if kind is RequestKind.ERASE:
        fields["extent"] = Extent.ACCOUNT
    return NewRequest(kind, **fields | given)


def ask(kind: RequestKind = RequestKind.ACCESS, **given: Any) -> RightsRequest:
    return handle.open_request(new(kind, **given), "test")


def actions(request: RightsRequest) -> list[str]:
    return [step.action for step in list_steps(request.id)]


def rows(query: str) -> list[tuple[Any, ...]]:
    return run_in_transaction(lambda connection: connection.execute(query.encode()).fetchall())
