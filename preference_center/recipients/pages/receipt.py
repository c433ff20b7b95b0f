"""The receipt to keep: the status page as JSON (docs/receipts.md).

Its JSON Schema is docs/schemas/receipt-2.json.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

from flask import Response
from pydantic import BaseModel, ConfigDict, Field

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address, Channel, mask_address
from preference_center.core.events import RESERVED_SCOPES
from preference_center.destinations.rules.delivery import (
    Blocker,
    CompletionState,
    DeliveryState,
    DeliverySummary,
)
from preference_center.recipients.pages.opt_out_status import (
    OptOutStatus,
    RecordedOptOut,
    SystemStatus,
)
from preference_center.web.languages import current_wording, page_language
from preference_center.web.pages.rendering import CatalogueText, text_version

FORMAT_VERSION: Final = 2
"""Fields may be added; it increases when a field changes its meaning or goes."""


class ReceiptPart(BaseModel):
    """A part of the receipt."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReceiptBrand(ReceiptPart):
    """A brand whose opt-outs these are, and the company behind it."""

    name: str
    legal: str


class ReceiptOptOut(ReceiptPart):
    """One active opt-out."""

    reference: str = Field(description="The code by which support finds it.")
    kind: str = Field(description="Why it is active, such as opted_out or paused.")
    scope: str = Field(description="A topic's key or a reserved scope.")
    title: str | None = Field(description="The topic's title.")
    exempt_topics: list[str] = Field(
        description="Topics that the person has turned on again since, out of a wider scope."
    )
    until: datetime | None = Field(description="The end of a pause.")
    received_via: str | None = Field(description="How it reached the company.")
    received_at: datetime = Field(description="The 72 hours run from here.")
    recorded_at: datetime = Field(description="From when on decisions deny it to every sender.")
    policy: str | None = Field(
        default=None, description="The version of the privacy policy that was shown."
    )


class ReceiptCompletion(ReceiptPart):
    """All systems together."""

    state: CompletionState
    due_at: datetime | None = Field(description="When the last of them is due.")


class ReceiptSystem(ReceiptPart):
    """One system that sends the company's messages."""

    title: str
    state: DeliveryState
    blocker: Blocker | None = Field(description="Why it is not confirmed.")
    at: datetime | None = Field(description="When it responded.")
    due_at: datetime | None
    late: bool


class Receipt(ReceiptPart):
    """The receipt without its hash."""

    format: Literal[2] = FORMAT_VERSION
    issued_at: datetime
    language: str
    text_version: str = Field(description="The version of the pages' texts at that time.")
    channel: Channel
    address: str = Field(description="Masked.")
    brands: list[ReceiptBrand]
    opt_outs: list[ReceiptOptOut] = Field(description="The newest first.")
    completion: ReceiptCompletion | None = Field(
        description="Null if no system sends what was turned off."
    )
    systems: list[ReceiptSystem] | None = Field(
        description="Null where the link did not prove control of the address."
    )
    sha256: str = Field("", description="The hash of the rest in its canonical form.")


def receipt_response(
    address: Address,
    status: OptOutStatus,
    catalogue: Catalogue,
    now: datetime,
    *,
    proves_control: bool,
) -> Response:
    """The receipt as a file to download; the systems one by one only with proof (I9)."""
    receipt = _make_receipt(address, status, catalogue, now, proves_control=proves_control)
    content = receipt.model_dump(mode="json")
    content["sha256"] = receipt_digest(content)
    body = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="{_filename(status, now)}"'
    return response


def receipt_digest(content: dict[str, Any]) -> str:
    """SHA-256 of the receipt without its `sha256`, with keys sorted and no white space.

    For the values of a receipt that is the canonical form of RFC 8785.
    """
    signed = {name: value for name, value in content.items() if name != "sha256"}
    text = json.dumps(signed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _make_receipt(
    address: Address,
    status: OptOutStatus,
    catalogue: Catalogue,
    now: datetime,
    *,
    proves_control: bool,
) -> Receipt:
    text = CatalogueText(catalogue)
    return Receipt(
        issued_at=now,
        language=page_language(),
        text_version=text_version(current_wording()),
        channel=address.channel,
        address=mask_address(address),
        brands=[
            ReceiptBrand(name=text(brand.name), legal=text(brand.footer))
            for brand in catalogue.brands.values()
        ],
        opt_outs=[_receipt_opt_out(each, catalogue, text) for each in status.opt_outs],
        completion=_receipt_completion(status.summary),
        systems=[_receipt_system(each) for each in status.systems] if proves_control else None,
    )


def _receipt_opt_out(
    opt_out: RecordedOptOut, catalogue: Catalogue, text: CatalogueText
) -> ReceiptOptOut:
    suppression = opt_out.suppression
    topic = (
        None if suppression.scope in RESERVED_SCOPES else catalogue.topics.get(suppression.scope)
    )
    return ReceiptOptOut(
        reference=opt_out.reference,
        kind=suppression.kind.value,
        scope=suppression.scope,
        title=text(topic.title) if topic else None,
        exempt_topics=list(suppression.exempt_topics),
        until=suppression.until,
        received_via=opt_out.received_via,
        received_at=opt_out.received_at,
        recorded_at=opt_out.recorded_at,
        policy=opt_out.policy,
    )


def _receipt_completion(summary: DeliverySummary) -> ReceiptCompletion | None:
    if not summary.total:
        return None
    return ReceiptCompletion(state=summary.state, due_at=summary.due_at)


def _receipt_system(system: SystemStatus) -> ReceiptSystem:
    progress = system.progress
    return ReceiptSystem(
        title=system.title,
        state=progress.state,
        blocker=progress.blocker,
        at=progress.confirmed_at,
        due_at=progress.due_at,
        late=progress.late,
    )


def _filename(status: OptOutStatus, now: datetime) -> str:
    name = status.opt_outs[0].reference if status.opt_outs else f"{now:%Y-%m-%d}"
    return f"opt-out-{name}.json"
