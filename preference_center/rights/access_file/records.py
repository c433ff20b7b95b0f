"""Describe what `data.json` holds, and which of its parts has the rows of which table.

Its JSON Schema is docs/schemas/access-file-1.json. Fields may be added; VERSION grows when one
changes its meaning or goes. Codes, such as `kind`, stay the same in every language; what people
read, such as `what`, is in `language`. Times are UTC.

Tests compare IN_FILE and NOT_IN_FILE with `rights.erasure.personal_data`, so that a new table can't
be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION: Final = 1


class Record(BaseModel):
    """A part of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AuthorityRecord(Record):
    """An authority to complain to."""

    name: str
    url: str


class ControllerRecord(Record):
    """The company that is responsible for the data."""

    name: str
    address: str
    privacy_contact: str
    officer: str | None
    privacy_notice: str | None
    authorities: list[AuthorityRecord]


class AddressRecord(Record):
    """One address that the request is about."""

    number: int = Field(description="What other parts of this file name the address by.")
    channel: str
    address: str | None = Field(description="Null where nothing readable is held.")
    known_since: datetime | None = Field(description="Null where nothing at all is held.")
    erased_at: datetime | None
    off_since: datetime | None = Field(
        description="Since when a mark keeps marketing off, where there is one."
    )
    what: str


class ContactRecord(Record):
    """The person behind the addresses, as the company knows them."""

    account: str
    account_in_words: str
    restricted_at: datetime | None
    language: str | None
    created_at: datetime
    changed_at: datetime
    external_ids: list[str] | None = Field(
        description="The company's own ids of the person; null where the request was proven for"
        " one address only."
    )
    addresses: list[int] = Field(description="Those of this file that are the contact's.")


class ChoiceRecord(Record):
    """What is on and off now, of one topic or of all marketing."""

    address: int
    scope: str
    title: str
    state: str
    until: datetime | None
    what: str
    frequency: str | None = Field(
        description="How often it is sent while it is on; null where that can't be chosen."
    )
    frequency_in_words: str | None


class SuppressionRecord(Record):
    """A "do not send" in force."""

    address: int
    scope: str
    title: str
    kind: str
    what: str
    since: datetime
    until: datetime | None
    reference: str


class ConsentRecord(Record):
    """The newest consent of an address to a topic, with the words that were agreed to."""

    address: int
    topic: str
    title: str
    given_at: datetime
    source: str
    wording: str | None
    language: str | None
    text_version: str | None
    policy: str | None = Field(description="The version of the privacy policy that was shown.")
    reference: str


class EventRecord(Record):
    """One entry of the ledger, which only grows."""

    address: int
    reference: str
    kind: str
    what: str
    scope: str
    title: str
    occurred_at: datetime
    received_at: datetime
    recorded_at: datetime
    counts_from: datetime
    until: datetime | None
    frequency: str | None = Field(description="Of a choice of how often: what was chosen.")
    frequency_in_words: str | None
    source: str
    source_in_words: str
    evidence: dict[str, str]
    evidence_erased: bool = Field(description="It was erased on request, or has expired.")
    retracted: bool


class DeliveryRecord(Record):
    """What was reported to a tool about an address, and what it answered."""

    address: int
    tool: str
    at: datetime
    outcome: str
    what: str
    acknowledgement: str | None


class RecipientRecord(Record):
    """A tool that gets data, and who is behind it; null where the company has not stated it."""

    title: str
    company: str | None
    country: str | None = Field(description="ISO 3166-1 alpha-2.")
    role: str | None
    role_in_words: str
    topics: list[str]
    addresses: list[int] = Field(description="Those that were reported to it, or are to be.")


class TopicRecord(Record):
    """Why an address is used for a topic."""

    topic: str
    title: str
    purpose: str | None
    legal_basis: str | None
    legal_basis_in_words: str


class BounceRecord(Record):
    """A message that came back, counted for some days."""

    address: int
    at: datetime
    code: str


class StepRecord(Record):
    """One step of a request."""

    at: datetime
    action: str
    what: str
    by: str = Field(description="you, company or service")


class RequestRecord(Record):
    """A request by which the person used a right."""

    reference: str
    kind: str
    what: str
    extent: str | None
    law: str | None
    received_at: datetime
    due_at: datetime
    extended_to: datetime | None
    state: str
    state_in_words: str
    outcome: str | None
    refusal: str | None
    closed_at: datetime | None
    text: str | None = Field(description="The person's own words.")
    steps: list[StepRecord]


class ErasureTaskRecord(Record):
    """An erasure at one tool."""

    tool: str
    suppressed_at: datetime | None
    erased_at: datetime | None
    confirmed_at: datetime | None
    by_hand_since: datetime | None


class ErasureRecord(Record):
    """An erasure of one address."""

    address: int
    extent: str
    begun_at: datetime
    finished_at: datetime | None
    tools: list[ErasureTaskRecord]


class MoveRecord(Record):
    """A correction of one address to another; null where the other is not proven."""

    from_address: int | None
    to_address: int | None
    moved_at: datetime
    undone_at: datetime | None


class HoldRecord(Record):
    """Why an address can't be erased for now."""

    address: int
    ground: str
    placed_at: datetime
    ends_at: datetime | None
    ended_at: datetime | None


class PolicyNoticeRecord(Record):
    """A version of the privacy policy that the person is informed of."""

    address: int | None = Field(description="Null where it is another of the contact's.")
    version: str
    reach: str
    noticed_at: datetime | None = Field(description="Null where it was not sent yet.")
    via: str | None


class StaffLookRecord(Record):
    """Somebody of the company's staff was shown everything about an address."""

    address: int
    at: datetime
    reason: str
    reason_in_words: str
    reference: str | None = Field(description="The number of a ticket or a case.")
    by: str = Field(description="With what they did it, e.g. console; never who.")


class RetentionRecord(Record):
    """How long a kind of data is kept."""

    kind: str
    what: str
    days: int
    ground: str


class AccessFileHead(Record):
    """Everything but the parts that may be long."""

    format: Literal["access-file"] = "access-file"
    version: Literal[1] = VERSION
    made_at: datetime
    expires_at: datetime
    language: str
    reference: str
    controller: ControllerRecord | None
    addresses: list[AddressRecord]
    contacts: list[ContactRecord]
    choices: list[ChoiceRecord]
    suppressions: list[SuppressionRecord]
    consents: list[ConsentRecord]
    topics: list[TopicRecord]
    recipients: list[RecipientRecord]
    bounces: list[BounceRecord]
    requests: list[RequestRecord]
    erasures: list[ErasureRecord]
    moves: list[MoveRecord]
    holds: list[HoldRecord]
    policy_notices: list[PolicyNoticeRecord]
    retention: list[RetentionRecord]
    looks_by_staff: list[StaffLookRecord]
    notes: list[str]


class AccessFile(AccessFileHead):
    """The whole file."""

    events: list[EventRecord]
    deliveries: list[DeliveryRecord]


IN_FILE: Mapping[str, tuple[str, ...]] = {
    "address": ("addresses",),
    "event": ("events",),
    "event_evidence": ("events", "consents"),
    "event_repeat": ("events",),
    "retraction": ("events",),
    "suppression": ("suppressions", "choices"),
    "consent": ("consents",),
    "contact": ("contacts",),
    "contact_address": ("contacts",),
    "contact_external_id": ("contacts",),
    "sync_state": ("recipients",),
    "delivery": ("deliveries",),
    "delivery_ack": ("deliveries",),
    "pending_mail_opt_out": ("suppressions",),
    "counted_bounce": ("bounces",),
    "rights_request": ("requests",),
    "rights_step": ("requests",),
    "erasure": ("erasures",),
    "erasure_task": ("erasures",),
    "address_move": ("moves",),
    "hold": ("holds",),
    "policy_notice": ("policy_notices",),
    "person_access": ("looks_by_staff",),
}
"""Table -> the parts of `AccessFile` that have its rows."""


NOT_IN_FILE: Mapping[str, str] = {
    "address_key": "digests of the address itself, by which it is found",
    "deferred_form": "digests of a mailbox for minutes, until tools are informed",
    "outgoing_mail": "sealed until it is sent, then wiped; the person receives it",
    "email_stop": "digests of mailboxes, for 30 days: the link that made one shows it",
    "review_queue": "opening each would show whose it is; the file says so",
    "webhook_inbox": "opening each would show whose it is; the file says so",
    "undecided_event": "of a sealed webhook request, which the file mentions",
    "used_webhook_token": "of a sealed webhook request: a digest of its token",
    "burst": "a suspicion about a domain's link scanner, not about a person",
    "burst_event": "that an event belongs to such a suspicion; the event is in the file",
    "list_import_part": "sealed until the list is imported; the file says so",
    "idempotent_response": "an answer to a sender, sealed for a day",
    "rights_proof": "an agent's document, by the agent",
    "rights_file": "the file itself",
    "rights_webhook": "that the company was informed of a request, which is in the file",
}
"""Table -> why none of its rows is in the file."""
