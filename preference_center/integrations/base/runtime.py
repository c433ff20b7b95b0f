"""The names that a vendor's file uses, as `from ...base import runtime`: the connector runtime.

Each is explained where it is defined; docs/adding-connectors.md states how to begin, and
`preference_center/integrations/postmark/connector.py` is the example.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base.api_connector import (
    ApiConnector,
    ContactFieldConnector,
    ReadableApiConnector,
)
from preference_center.integrations.base.batching import PushStep, read_each, run_steps
from preference_center.integrations.base.bisecting import Bisector
from preference_center.integrations.base.capabilities import (
    Capabilities,
    EraseMode,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.integrations.base.check_report import Permission
from preference_center.integrations.base.contract import (
    Connector,
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.cursors import TimeWindow, decode_cursor, encode_cursor
from preference_center.integrations.base.erasing_connector import (
    ErasingConnector,
    RequestedErasureConnector,
)
from preference_center.integrations.base.http import (
    HttpContext,
    HttpSession,
    RequestRejected,
    Response,
    UnexpectedResponse,
    basic_auth_headers,
)
from preference_center.integrations.base.mapped_connector import MappedConnector, ReadableConnector
from preference_center.integrations.base.mapped_push import chunked
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    MultiChannelConnector,
)
from preference_center.integrations.base.outcomes import (
    absent,
    acknowledged,
    deferred,
    outcome_for_status,
    reflected,
    refused,
    retry_later,
    worst,
)
from preference_center.integrations.base.paging import (
    ChangeSource,
    last_row_id,
    list_all,
    next_changes_page,
    next_full_page,
    next_offset,
    next_window_page,
)
from preference_center.integrations.base.pydantic_types import (
    CamelModel,
    IsoDatetime,
    LenientModel,
    MailDatetime,
    PascalModel,
)
from preference_center.integrations.base.rate_limit import EndpointRateLimit, parse_reset_headers
from preference_center.integrations.base.self_hosted import NETWORKS_OF_TOOL, open_session
from preference_center.integrations.base.sms_switch import MappedSmsConnector, sms_contact
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.sync_contract import (
    ContactPage,
    ContactSnapshot,
    EraseItem,
    FieldItem,
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.integrations.base.targets import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
)
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    ALL_SMS,
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook_only import build_webhook_only

Session: TypeAlias = HttpSession
Items: TypeAlias = Sequence[PushItem]
FieldItems: TypeAlias = Sequence[FieldItem]
EraseItems: TypeAlias = Sequence[EraseItem]
Changes: TypeAlias = Sequence[TargetChange]
Outcomes: TypeAlias = Mapping[int, PushOutcome]
OffTopics: TypeAlias = Mapping[int, frozenset[str] | None]
"""Ref -> the topics that are off, None if the address is absent; see `SupportsRead`."""
RemoteContacts: TypeAlias = Mapping[str, RemoteContact | None]
"""Address -> what the tool holds, None if nothing; see `MappedConnector.fetch_contacts`."""
EventPage: TypeAlias = ContactPage[VendorEvent]
SnapshotPage: TypeAlias = ContactPage[ContactSnapshot]

__all__ = [
    "ALL_EMAIL",
    "ALL_SMS",
    "NETWORKS_OF_TOOL",
    "WHOLE_LIST",
    "ApiConnector",
    "Bisector",
    "Bounce",
    "CamelModel",
    "Capabilities",
    "ChangeSource",
    "Changes",
    "Channel",
    "Connector",
    "ConnectorFactories",
    "ConnectorRules",
    "ConnectorSpec",
    "ContactFieldConnector",
    "ContactPage",
    "ContactSnapshot",
    "DeliveryError",
    "DestinationConfig",
    "EndpointRateLimit",
    "EraseItem",
    "EraseItems",
    "EraseMode",
    "ErasingConnector",
    "EventPage",
    "FieldItem",
    "FieldItems",
    "HttpContext",
    "HttpSession",
    "IsoDatetime",
    "Items",
    "LenientModel",
    "ListingMode",
    "LookupMode",
    "MailDatetime",
    "MappedConnector",
    "MappedSmsConnector",
    "MultiChannelConnector",
    "OffState",
    "OffTopics",
    "Outcomes",
    "PascalModel",
    "Permission",
    "PushItem",
    "PushOutcome",
    "PushResult",
    "PushStep",
    "RateLimit",
    "ReadableApiConnector",
    "ReadableConnector",
    "RemoteContact",
    "RemoteContacts",
    "RequestRejected",
    "RequestedErasureConnector",
    "Response",
    "Session",
    "SnapshotPage",
    "SupportedScope",
    "Target",
    "TargetChange",
    "TargetCheck",
    "TestedAgainst",
    "TimeWindow",
    "UnexpectedResponse",
    "UnsupportedByDestination",
    "VendorEvent",
    "VendorEventKind",
    "absent",
    "acknowledged",
    "basic_auth_headers",
    "build_webhook_only",
    "chunked",
    "decode_cursor",
    "deferred",
    "encode_cursor",
    "last_row_id",
    "list_all",
    "next_changes_page",
    "next_full_page",
    "next_offset",
    "next_window_page",
    "open_session",
    "outcome_for_status",
    "parse_reset_headers",
    "read_each",
    "reflected",
    "refused",
    "retry_later",
    "run_steps",
    "sms_contact",
    "worst",
]
