"""`/w/<token>` shows the status of one's opt-outs, as a page and as a receipt.

The page is read only (I7). The status is the active opt-outs of exactly the address of the link
(I9), and how far each tool has applied them. A link so old that the address may have changed hands
shows only the scopes that it can itself turn off. Only a link that proves control of the address
shows the systems one by one: others can be forwarded (docs/decisions/0074).

The receipt to keep is the status page as JSON (docs/receipts.md); its JSON Schema is
docs/schemas/receipt-2.json.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal

from flask import Response
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field

from preference_center.catalogue import Catalogue
from preference_center.contacts.choices import is_opt_out_only
from preference_center.contacts.consents import build_consent_records, state_consents
from preference_center.cookies.signal import render_gpc_page
from preference_center.core.addresses import Address, Channel, mask_address
from preference_center.core.errors import ExpiredLink
from preference_center.core.events import (
    ALL_MARKETING,
    DESTINATION_SOURCE,
    RESERVED_SCOPES,
    SHARING,
    Event,
    format_receipt_code,
)
from preference_center.core.links.tokens import Link
from preference_center.destinations.rules.delivery import (
    ActiveSuppression,
    Blocker,
    CompletionState,
    DeliveryState,
    DeliveryStatus,
    DeliverySummary,
    active_suppressions,
    compute_delivery_status,
    summarize_delivery,
)
from preference_center.destinations.set_up import load_system_titles
from preference_center.destinations.store.deliveries import find_address_id, list_address_progress
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.store.events import load_events_by_id
from preference_center.ledger.store.lookup import load_exact_facts
from preference_center.recipients.pages.preferences import old_link_page
from preference_center.web.languages import current_wording, page_language
from preference_center.web.pages.rendering import (
    CatalogueText,
    catalogue_or_empty,
    text_version,
    use_link_language,
)


@dataclass(frozen=True, slots=True)
class RecordedOptOut:
    """One active opt-out, with the event that recorded it.

    `event` is None for an opt-out that came by mail while its address was unknown.
    """

    suppression: ActiveSuppression
    event: Event | None

    @property
    def reference(self) -> str:
        """The code by which support finds it."""
        return format_receipt_code(self.suppression.event_id)

    @property
    def received_at(self) -> datetime:
        """When it reached the company."""
        return self.event.received_at if self.event else self.suppression.since

    @property
    def recorded_at(self) -> datetime:
        """From when on decisions deny it (I2)."""
        return self.event.recorded_at if self.event else self.suppression.since

    @property
    def received_via(self) -> str | None:
        """How it reached the company: a ReceivedVia, a method of evidence or `destination`.

        No other source: it may name a system of the company.
        """
        if self.event is None:
            return "mailto"
        evidence = self.event.evidence
        found_in_tool = self.event.source == DESTINATION_SOURCE
        source = DESTINATION_SOURCE if found_in_tool else None
        return evidence.get("via") or evidence.get("method") or source

    @property
    def policy(self) -> str | None:
        """The version of the privacy policy that was shown, such as `privacy/2027-01`."""
        return self.event.evidence.get("policy") if self.event else None


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """How far one connected tool is, by the title that people read for it."""

    title: str
    progress: DeliveryStatus


@dataclass(frozen=True, slots=True)
class OptOutStatus:
    """All that the page and the receipt show about one address."""

    opt_outs: Sequence[RecordedOptOut]
    systems: Sequence[SystemStatus]

    @property
    def summary(self) -> DeliverySummary:
        """The systems taken together: all that a forwarded link shows of them."""
        return summarize_delivery(each.progress for each in self.systems)

    @property
    def concerned_systems(self) -> list[SystemStatus]:
        """Those that send something of what was turned off."""
        return [
            each for each in self.systems if each.progress.state is not DeliveryState.NOT_APPLICABLE
        ]


def load_opt_out_status(
    address: Address, catalogue: Catalogue, now: datetime, scopes: Collection[str] | None = None
) -> OptOutStatus:
    """The active opt-outs of exactly this address, and each connected tool's status.

    With `scopes`, only those of these scopes.
    """
    active = active_suppressions(load_exact_facts([address])[0], now)
    if scopes is not None:
        active = [each for each in active if each.scope in scopes]
    if not active:
        return OptOutStatus((), ())
    return run_in_transaction(lambda connection: _load(connection, address, active, catalogue, now))


def _load(
    connection: Connection,
    address: Address,
    suppressions: Sequence[ActiveSuppression],
    catalogue: Catalogue,
    now: datetime,
) -> OptOutStatus:
    events = load_events_by_id(connection, [each.event_id for each in suppressions])
    opt_outs = [RecordedOptOut(each, events.get(each.event_id)) for each in suppressions]
    address_id = find_address_id(connection, services().keys.exact_digest(address), address.channel)
    if address_id is None:
        return OptOutStatus(opt_outs, ())
    dated = [(each.suppression, each.received_at) for each in opt_outs]
    topics = {SHARING, *(t.key for t in catalogue.topics_for_channel(address.channel))}
    titles = load_system_titles(connection, catalogue)
    systems = [
        SystemStatus(
            titles(each.tool.name),
            compute_delivery_status(each.tool, each.sync_row, each.deliveries, dated, now),
        )
        for each in list_address_progress(connection, address_id, topics)
    ]
    return OptOutStatus(opt_outs, systems)


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


def opt_out_status(token: str = "") -> ResponseReturnValue:
    """The page; for a revoked link only that it was revoked."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        return old_link_page(token, link)
    return render_gpc_page(
        "recipients/opt_out_status",
        token,
        link,
        opt_out_status=_load_status(link, catalogue, now),
        catalogue=catalogue,
        now=now,
        shows_all=_shows_all(link, now),
        proves_control=link.proves_control,
        has_consented=link.proves_control and _has_consented(link, catalogue, now),
        channel=link.address.channel,
    )


def receipt_json(token: str = "") -> Response:
    """The receipt as JSON, to download (docs/receipts.md). Raises ExpiredLink if revoked."""
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        raise ExpiredLink("this link was revoked")
    return receipt_response(
        link.address,
        _load_status(link, catalogue, now),
        catalogue,
        now,
        proves_control=link.proves_control,
    )


def consent_json(token: str = "") -> Response:
    """The consents as JSON, to download (docs/policies.md). Raises ExpiredLink if revoked.

    A link that does not prove control of the address says nothing of them: others may have it.
    """
    now, catalogue = services().now(), catalogue_or_empty()
    link = services().links.read_token(token, now)
    use_link_language(link)
    if link.revoked:
        raise ExpiredLink("this link was revoked")
    facts = load_exact_facts([link.address])[0]
    records = run_in_transaction(
        lambda connection: build_consent_records(
            connection,
            link.address,
            catalogue,
            facts,
            page_language(),
            now,
            proves_control=link.proves_control,
        )
    )
    body = records.model_dump_json(indent=2) + "\n"
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="consent-{now:%Y-%m-%d}.json"'
    return response


def _has_consented(link: Link, catalogue: Catalogue, now: datetime) -> bool:
    facts = load_exact_facts([link.address])[0]
    return bool(state_consents(catalogue, link.address.channel, facts, now))


def _load_status(link: Link, catalogue: Catalogue, now: datetime) -> OptOutStatus:
    scopes = None if _shows_all(link, now) else {link.scope, ALL_MARKETING}
    return load_opt_out_status(link.address, catalogue, now, scopes)


def _shows_all(link: Link, now: datetime) -> bool:
    return not link.expired and not is_opt_out_only(link, now)
