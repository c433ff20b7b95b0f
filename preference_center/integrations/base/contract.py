"""What a connector is: the contract between the sync loop and one kind of tool.

A connector knows one tool's API and nothing of our database, Flask or RQ. The sync
loop hands it the state an address should have; the connector makes the tool agree
and returns the outcome of each address.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import ClassVar, Protocol, runtime_checkable

from preference_center.core.addresses import Channel
from preference_center.integrations.base.capabilities import Capabilities
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.sync_contract import (
    ContactPage,
    ContactSnapshot,
    EraseItem,
    FieldItem,
    PushItem,
    PushOutcome,
)
from preference_center.integrations.base.vendor_events import VendorEvent

CREATE_CONTACTS = "create_contacts"
LINK_FIELD = "link_field"
FREQUENCY_FIELDS = "frequency_fields"
"""Settings of every connector with `can_create`, `can_hold_link` and `can_write_fields`; see
`ConnectorSpec`."""


@dataclass(frozen=True, slots=True)
class DestinationConfig:
    """One destination's settings as a connector sees them."""

    name: str
    settings: Mapping[str, str]
    """Account settings and secrets; the names are the connector's own."""
    topics: Mapping[str, str] = field(default_factory=dict)
    """Our topic -> the tool's own id of its group, list or subscription type."""
    sends_service: bool = False
    """Whether service mail goes out through this account too (I10)."""
    channels: Mapping[str, Channel] = field(default_factory=dict)
    """Our topic -> the channel it is sent by; email where none is given."""

    def for_channel(self, channel: Channel) -> DestinationConfig:
        """The same with the topics of one channel only."""
        topics = {
            topic: target
            for topic, target in self.topics.items()
            if self.channels.get(topic, Channel.EMAIL) is channel
        }
        return replace(self, topics=topics)

    @property
    def create_contacts(self) -> bool:
        """Whether an address that the tool doesn't know is to be added there, suppressed.

        Off unless the setting is "yes": tools bill for contacts, and pushing every opt-out to
        every processor is not data minimisation.
        """
        return self.settings.get(CREATE_CONTACTS) == "yes"

    @property
    def link_field(self) -> str | None:
        """The tool's own name or id of the custom field for permanent links, if any."""
        return self.settings.get(LINK_FIELD)

    @property
    def contact_fields(self) -> dict[str, str]:
        """The custom fields that are written, each with the setting that names it."""
        fields = dict.fromkeys(self.frequency_fields.values(), FREQUENCY_FIELDS)
        return fields | ({self.link_field: LINK_FIELD} if self.link_field else {})

    @property
    def frequency_fields(self) -> dict[str, str]:
        """Topic -> the field that holds how often it is wanted."""
        return parse_frequency_fields(self.settings)

    def link_value(self, contact_fields: Mapping[str, object]) -> str | None:
        """The value of a contact's field for links, "" if empty; None without a field."""
        field = self.link_field
        return str(contact_fields.get(field) or "") if field else None


def parse_frequency_fields(settings: Mapping[str, str]) -> dict[str, str]:
    """Topic -> field, of a setting such as "acme.news=News frequency; acme.offers=OFFERS".

    What has no topic or no field is left out; see `frequency_field_problems`.
    """
    parts = (part.partition("=") for part in settings.get(FREQUENCY_FIELDS, "").split(";"))
    pairs = ((topic.strip(), name.strip()) for topic, _, name in parts)
    return {topic: name for topic, name in pairs if topic and name}


class DeliveryError(Exception):
    """The whole push failed.

    `permanent` means the destination fails until a person changes it (bad credentials, a target
    that is gone); `retry_after` is how long the tool asks to wait.
    """

    def __init__(
        self, message: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class EndpointGone(DeliveryError):
    """The receiver asked us to stop (HTTP 410): the destination pauses."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class UnsupportedByDestination(Exception):
    """This tool can't hold exactly what is asked for; the message states the remedy."""


class Connector(Protocol):
    """One destination's connector, made by `registry.make_connector(kind, config, http)`."""

    @property
    def kind(self) -> str:
        """The connector's name in the registry; mostly an attribute of the class."""
        ...

    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    """Setting name -> what it is, for `--help` and messages. A name that ends in
    `?` is optional. Those of capabilities or a webhook are added by the registry."""

    def check(self) -> CheckReport:
        """Verify credentials and that every mapped target exists; changes nothing."""
        ...

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """Make the tool reflect `batch` (at most `capabilities.batch_size`).

        Idempotent. An outcome for every `ref`; a ref left out counts as RETRY_LATER.
        Raises DeliveryError when nothing of the batch is known to have happened, and
        always when it is permanent or the lease has expired: part may then have happened.
        Raises UnsupportedByDestination, before anything is sent, for a batch that the
        tool can't hold exactly (a topic that isn't mapped, a lift where none can be).
        """
        ...


class SupportsRead(Protocol):
    """A connector with `can_read`."""

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """Ref -> all topics of its channel that are off there now; None if it is absent.

        Changes nothing. A ref that is left out could not be read: it is asked again later.
        A switch that stops more than topics (a global unsubscribe) counts as all mapped topics
        off. Raises DeliveryError like `push`.
        """
        ...


class SupportsScan(Protocol):
    """A connector with `scans`: which contacts the tool has (I13)."""

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """The next contacts; with ListingMode.CHANGES, those added or changed since `cursor`.

        One request or a few, so that a page ends inside a lease. None begins with all there
        are, and such a pass may run at the same time as one by change. A contact may come twice,
        but is never left out: let windows of time overlap by more than the tool's index lags
        behind. Raises DeliveryError.
        """
        ...


class SupportsScanBackfill(Protocol):
    """A connector with `backfills_by_scan`."""

    def push_scanned(
        self, batch: Sequence[tuple[PushItem, ContactSnapshot]]
    ) -> Mapping[int, PushOutcome]:
        """Bring contacts that `scan` has just listed to their state, many at once.

        Returns outcomes like `push`, but may return RETRY_LATER for what it leaves to `push`, and
        for what the tool will do later: then `retry_after` is when to push it after all, unless
        a later pass shows that it was done. Raises RateLimited when the tool is busy with what
        it was given before.
        """
        ...


class SupportsPull(Protocol):
    """A connector with `pulls`: opt-outs that people made in the tool itself (I13)."""

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """The next opt-outs (and complaints and hard bounces, if it lists those too).

        Cursors as in `scan`. `VendorEvent.target` is the tool's id, as mapped, None for all that
        the account sends. Targets that no topic maps to may be left out. What we pushed ourselves
        may be listed too: the caller recognizes it.
        """
        ...


class SupportsFind(Protocol):
    """A connector of a tool whose webhooks name contacts by id instead of address."""

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """Contact id -> address, for at most 100; those that are gone or have none left out."""
        ...


class SupportsContactFields(Protocol):
    """A connector with `can_write_fields`."""

    def write_field(self, field: str, batch: Sequence[FieldItem]) -> Mapping[int, PushOutcome]:
        """Write each value into the contact's custom field of this name.

        At most `batch_size`. Idempotent. ABSENT for an address that the tool has no
        contact of; none is ever created for this. Returns and raises like `push`.
        """
        ...


class SupportsErase(Protocol):
    """A connector with `can_erase`: it deletes a person's data in the tool (GDPR art. 17, 19)."""

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """Delete what the tool holds about each address, at most `batch_size`, but no suppression.

        Idempotent. REFLECTED: it is deleted. ABSENT: the tool has no such person. REFUSED: it
        can't be deleted by the API, and becomes a task for a person; the `ack` says why. A
        deletion that takes time is RETRY_LATER, with `job` and when to ask again: the next call
        gets that `job`, and reports how it went or, where the tool lost it, begins again.
        Nobody else's data is touched, however alike the addresses are. Raises like `push`.
        """
        ...

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        """Ref -> whether the tool still holds the person, apart from the suppression.

        Called only with `confirms_erasure`. Changes nothing. A ref that is left out could not be
        read: it is asked again later. Raises DeliveryError like `push`.
        """
        ...


@runtime_checkable
class SupportsMapping(Protocol):
    """A connector that evaluates its mapping of topics itself, apart from the rest of `check`."""

    def mapping_problems(self) -> Iterable[str]:
        """What is wrong with it, each with its remedy; without a request."""
        ...
