"""A vendor's file imports from here the names that make up the connector runtime.

It does so by `from ...base import runtime`. Each name is explained where it is defined;
docs/adding-connectors.md states how to begin, and
`preference_center/integrations/postmark/connector.py` is the example. The models of tools'
responses and the types of their fields, for pydantic, are defined here. What is imported here is
exported: pyproject.toml says so to mypy and ruff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel, to_pascal

from preference_center.core.addresses import Channel
from preference_center.core.bounces import Bounce
from preference_center.integrations.base.api_connector import (
    ApiConnector,
    Client,
    ContactFieldConnector,
    ReadableApiConnector,
)
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    Connector,
    ContactPage,
    ContactSnapshot,
    DeliveryError,
    DestinationConfig,
    EndpointGone,
    EraseItem,
    EraseMode,
    FieldItem,
    ListingMode,
    Permission,
    PushItem,
    PushOutcome,
    PushResult,
    RateLimit,
    RequestRejected,
    SupportedScope,
    TopicOffReason,
    UnexpectedResponse,
    UnsupportedByDestination,
)
from preference_center.integrations.base.erasing_connector import (
    ErasingConnector,
    RequestedErasureConnector,
)
from preference_center.integrations.base.http import (
    X_RATELIMIT_HEADERS,
    EndpointRateLimit,
    HttpContext,
    HttpSession,
    Response,
    basic_auth_headers,
    parse_reset_headers,
)
from preference_center.integrations.base.integration import (
    NETWORKS_OF_TOOL,
    ConnectorSpec,
    TestedAgainst,
)
from preference_center.integrations.base.mapped_connector import (
    MappedConnector,
    ReadableConnector,
    chunked,
)
from preference_center.integrations.base.mapping import (
    ConnectorRules,
    LookupMode,
    OffState,
    RemoteContact,
    Target,
    TargetChange,
    TargetCheck,
    validate_batch,
)
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    ListedNumber,
    ListedSmsConnector,
    MappedSmsConnector,
    MultiChannelConnector,
    sms_contact,
)
from preference_center.integrations.base.paging import (
    ChangeSource,
    TimeWindow,
    decode_cursor,
    encode_cursor,
    last_row_id,
    list_all,
    next_changes_page,
    next_full_page,
    next_offset,
    next_window_page,
)
from preference_center.integrations.base.push_results import (
    Bisector,
    PushStep,
    absent,
    acknowledged,
    deferred,
    outcome_for_status,
    push_bisecting,
    read_each,
    reflected,
    refused,
    retry_later,
    run_steps,
    worst,
)
from preference_center.integrations.base.vendor_events import (
    ALL_EMAIL,
    ALL_SMS,
    WHOLE_LIST,
    VendorEvent,
    VendorEventKind,
)
from preference_center.integrations.base.webhook import parse_iso_time, parse_mail_date
from preference_center.integrations.base.webhook_only import build_webhook_only

IsoDatetime = Annotated[datetime | None, BeforeValidator(parse_iso_time)]
"""A time of ISO 8601 (UTC). None for an invalid time and for one without a zone: a date that
can't be read must not fail the rows around it; its row counts from receipt."""


MailDatetime = Annotated[datetime | None, BeforeValidator(parse_mail_date)]
"""The same of a time as in a mail's header (RFC 5322, 3.3)."""


class LenientModel(BaseModel):
    """A model in which null means the same as a missing field.

    Vendors send either; a field that is required is declared without a default.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: each for name, each in value.items() if each is not None}
        return value


class CamelModel(LenientModel):
    """The same with fields named `likeThis` in JSON."""

    model_config = ConfigDict(alias_generator=to_camel)


class PascalModel(LenientModel):
    """The same with fields named `LikeThis` in JSON."""

    model_config = ConfigDict(alias_generator=to_pascal)


PROBE_ADDRESS = "preference-center-check@example.com"
"""An address that nobody has, for a `check` that looks one up."""


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
