"""Opt-outs and consents by rows of a body: all rows are valid, or nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response
from pydantic import AwareDatetime, Field

from preference_center.catalogue.store import current_catalogue
from preference_center.contacts.bodies import EvidenceBody, parse_consent_evidence
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.events import Change
from preference_center.infra.context import services
from preference_center.ledger.recording import RecordResult
from preference_center.ledger.rules import (
    ReceivedVia,
    build_consent_change,
    build_opt_out_change,
    clamp_to_now,
    known_policy,
    topic_for_address,
    validate_opt_out_scope,
)
from preference_center.web.api.bodies import RawAddress, ResponseBody, ScopeName, TopicKey
from preference_center.web.api.endpoint import ApiCall, endpoint, require_scope
from preference_center.web.api.keys import KeyScope
from preference_center.web.api.parsing import RequestBody, RequestRows
from preference_center.web.api.problems import SCOPE_PROBLEMS, FieldErrors


class AddressRow(RequestBody):
    """What is about an address."""

    address: RawAddress
    channel: Channel = Channel.EMAIL


class OptOutRequest(AddressRow):
    """An opt-out."""

    scope: ScopeName
    via: ReceivedVia
    received_at: AwareDatetime
    occurred_at: AwareDatetime | None = None
    policy: str = Field(
        default="",
        description="The version of the privacy policy that was shown. Ignored if unknown.",
    )


class ConsentRequest(AddressRow):
    """A consent."""

    topic: TopicKey
    evidence: EvidenceBody
    own_act: bool = False


class RowResult(ResponseBody):
    """Whether the row recorded something new, and the event if so."""

    recorded: bool
    event: UUID | None = None


@endpoint(
    "POST",
    "/opt-outs",
    KeyScope.WRITE,
    rows=OptOutRequest,
    response=RowResult,
    writes=True,
    errors=SCOPE_PROBLEMS,
    needs_complete_database=False,
)
def post_opt_outs(call: ApiCall, rows: RequestRows[OptOutRequest]) -> Response:
    """Record opt-outs.

    A 200 means that they are committed and count for every decision from now on.
    """
    errors = FieldErrors()
    origin = call.origin
    catalogue, changes = current_catalogue(), list[Change]()
    for pointer, row in rows.with_pointers():
        address = parse_row_address(errors, pointer, row)
        received_at = errors.collect(
            f"{pointer}/received_at", clamp_to_now, row.received_at, origin.now
        )
        occurred_at = received_at
        if row.occurred_at:
            occurred_at = errors.collect(
                f"{pointer}/occurred_at", clamp_to_now, row.occurred_at, origin.now
            )
        if address is None:
            continue
        scope = errors.collect(
            f"{pointer}/scope", validate_opt_out_scope, address, row.scope, catalogue
        )
        if scope and received_at and occurred_at:
            changes.append(
                build_opt_out_change(
                    services().new_id(),
                    address,
                    scope,
                    row.via,
                    origin,
                    received_at=received_at,
                    occurred_at=occurred_at,
                    policy=known_policy(row.policy, catalogue),
                )
            )
    errors.raise_if_any()
    return _record_changes(call, rows, changes)


@endpoint(
    "POST",
    "/consents",
    KeyScope.WRITE,
    rows=ConsentRequest,
    response=RowResult,
    writes=True,
    errors=SCOPE_PROBLEMS,
)
def post_consents(call: ApiCall, rows: RequestRows[ConsentRequest]) -> Response:
    """Record consents.

    With `own_act`, which lifts older opt-outs, the key also needs the scope `lift`.
    """
    if any(row.own_act for row in rows.rows):
        require_scope(call.key, KeyScope.LIFT)
    errors = FieldErrors()
    origin = call.origin
    catalogue, changes = current_catalogue(), list[Change]()
    for pointer, row in rows.with_pointers():
        address = parse_row_address(errors, pointer, row)
        evidence = parse_consent_evidence(
            errors, f"{pointer}/evidence", row.evidence, origin.now, address
        )
        if address is None:
            continue
        topic = errors.collect(f"{pointer}/topic", topic_for_address, address, row.topic, catalogue)
        if topic is None or evidence is None:
            continue
        change = errors.collect(
            f"{pointer}/topic",
            build_consent_change,
            services().new_id(),
            address,
            topic,
            evidence,
            origin,
            own_act=row.own_act,
        )
        if change:
            changes.append(change)
    errors.raise_if_any()
    return _record_changes(call, rows, changes)


def parse_row_address(errors: FieldErrors, pointer: str, row: AddressRow) -> Address | None:
    """The address of a row; None, and an error at its field, if it is none."""
    region = services().settings.phone_region
    return errors.collect(
        f"{pointer}/address", parse_address, row.address, row.channel, region=region
    )


def record_results(changes: Sequence[Change], result: RecordResult) -> list[dict[str, Any]]:
    """Per change whether it was new, and its event if so."""
    new = set(result.events)
    return [
        {"recorded": True, "event": str(change.id)} if change.id in new else {"recorded": False}
        for change in changes
    ]


def _record_changes(call: ApiCall, rows: RequestRows[Any], changes: list[Change]) -> Response:
    return call.record(changes, lambda recorded, _: rows.to_json(record_results(changes, recorded)))


ROUTES = (post_opt_outs, post_consents)
