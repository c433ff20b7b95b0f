"""The sync loop and a connector exchange these values, by the contract defined here.

A connector knows one tool's API and nothing of our database, Flask or RQ. The sync loop hands it
the state an address should have; the connector makes the tool agree and returns the outcome of
each address.

- `Capabilities` states what an integration can do, as data: set-up checks, refusals and docs are
  made from it.
- `CheckReport` holds what `Connector.check` finds: problems, and what the credentials may do in
  the tool. Permissions are asked for and never tried: to try one is to write (I7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Generic, Protocol, TypeVar, runtime_checkable
from uuid import UUID

from preference_center.core.addresses import Channel
from preference_center.integrations.base.vendor_events import VendorEvent

T = TypeVar("T")


Row = TypeVar("Row")


class PushResult(StrEnum):
    """The outcome of one address in one push."""

    REFLECTED = "reflected"
    """The tool has acknowledged the state."""
    ABSENT = "absent"
    """The tool does not know the address, so it can't mail it; checked again later, and
    not created there unless `DestinationConfig.create_contacts`."""
    RETRY_LATER = "later"
    """This address failed for now; try again."""
    DEFERRED = "deferred"
    """Nothing of it was sent: one push takes only so many. The next one follows at once, and this
    was no attempt."""
    REFUSED = "refused"
    """The tool will never accept this address (e.g. it calls it invalid)."""


@dataclass(frozen=True, slots=True)
class TopicOffReason:
    """Why a topic is off: the decision about it, and when a pause ends (UTC)."""

    rule: str
    scope: str
    event: UUID
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PushItem:
    """The state one address should have in the tool.

    `off` are topics that must be off. `lift` are topics that *we* turned off there
    before and that must be on again; empty unless `can_lift`. A topic in neither
    must stay as it is (I13).
    """

    ref: int
    """Opaque to the connector: names the row in the outcome."""
    address: str
    """An email address, or on the other channels a phone number in E.164."""
    channel: Channel
    off: frozenset[str] = frozenset()
    lift: frozenset[str] = frozenset()
    all_off: bool = False
    """The opt-out covers all marketing, not just the topics this destination sends."""
    version: int = 0
    """Ledger version of this state; larger is newer."""
    since: datetime | None = None
    """When the newest opt-out of it was received (UTC)."""
    reasons: Mapping[str, TopicOffReason] = field(default_factory=dict, hash=False)
    """Topic -> why it is off, for a tool that can use it."""
    frequencies: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Topic -> how often the person wants it, where somebody chose; only for tools that hold it."""


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """The outcome of one item. `ack` is the tool's own acknowledgement (id or status).

    It is stored, for an erasure for good: nothing of ours that is made from the address (I6).
    """

    result: PushResult
    ack: str = ""
    retry_after: timedelta | None = None
    """When to try again; of REFLECTED, when to push the same once more: a part of it that is no
    opt-out failed."""
    job: str = ""
    """Of an erasure that the tool does later, RETRY_LATER until then: what `EraseItem.job` is to
    be at the next call. The tool's own id of it, at most 200 characters, never an address."""

    @property
    def is_open(self) -> bool:
        """Whether this has to be pushed again."""
        return self.result in {PushResult.RETRY_LATER, PushResult.DEFERRED}


@dataclass(frozen=True, slots=True)
class ContactPage(Generic[T]):
    """One page of a listing.

    `cursor` is opaque, at most 2,000 characters, holds no address (it is stored and
    logged), and stays good for days. With `done` there is nothing more now: a
    listing of changes goes on from `cursor` minutes later, and a sweep, whose last cursor is
    None, starts again. `poll_after`: the next page is not ready yet, since the tool prepares it
    in a job, whose id is in the cursor; it is requested no sooner than after that.
    """

    rows: tuple[T, ...]
    cursor: str | None
    done: bool
    poll_after: timedelta | None = None

    def expand(self, rows_of: Callable[[T], Iterable[Row]]) -> ContactPage[Row]:
        """The page with what `rows_of` makes of each row: none, one or several."""
        rows = tuple(row for each in self.rows for row in rows_of(each))
        return ContactPage(rows, self.cursor, self.done, self.poll_after)


@dataclass(frozen=True, slots=True)
class ContactSnapshot:
    """A contact of the tool.

    `off` as `read` would return it, and `link` the value of the field for links ("" if empty),
    each None where the listing doesn't contain it. A connector that is SupportsContactFields
    returns `link`, since links are only written where they are missing. `all_off` is
    `VendorEvent.unsubscribed_from_all`: a connector whose `pull` reports it without a date must
    also show here where it is on (I13).
    """

    address: str
    channel: Channel = Channel.EMAIL
    off: frozenset[str] | None = None
    link: str | None = None
    all_off: bool | None = None
    connector_data: object = None
    """What the connector itself needs of the contact for `push_scanned`."""


@dataclass(frozen=True, slots=True)
class FieldItem:
    """A value for a custom field of a contact; "" empties that."""

    ref: int
    address: str
    channel: Channel
    value: str


@dataclass(frozen=True, slots=True)
class EraseItem:
    """An address whose data the tool is to delete. The tool reflects its opt-out already."""

    ref: int
    address: str
    channel: Channel
    job: str = ""
    """What the latest outcome had as `job`; "" where no deletion was begun."""
    request: str = ""
    """Tells this request to delete from an earlier one about the same address, and is the same
    for its retries. Made of ids and times, never of an address."""


class SupportedScope(StrEnum):
    """Which opt-outs a tool can hold without approximation (I10)."""

    TOPIC = "topic"
    ALL = "all"


class ListingMode(StrEnum):
    """How a tool's contacts, or its opt-outs, can be listed."""

    CHANGES = "changes"
    """What was added or changed since a cursor: read every few minutes. Contacts are also listed
    from the beginning at night."""
    FULL = "full"
    """Only everything from the beginning: done at night, within the rate limit."""


class EraseMode(StrEnum):
    """Whether a person's data in a tool can be deleted from here, and what becomes of the opt-out.

    Whatever the mode, the opt-out is pushed first (I6).
    """

    KEEPS_OPT_OUT = "keeps"
    """Deleted; the opt-out stays, in a list that the deletion leaves alone, or since the tool
    never takes the address again."""
    FORGETS_OPT_OUT = "forgets"
    """Deleted together with the opt-out. Anyone who is added there again is suppressed once a scan,
    a webhook or the next push finds them (I13)."""
    NOTHING_HELD = "nothing held"
    """The tool holds nothing by address but the suppression, which stays."""
    BY_HAND = "by hand"
    """Its API can't: a person deletes the data there."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A vendor's documented limit: `requests` in every `seconds`, for the whole account.

    `burst` requests may be sent at once after a pause; where the vendor documents none, leave
    it at 1: requests are then spread evenly, which satisfies every way of counting them.
    """

    requests: int
    seconds: float
    burst: int = 1

    def __str__(self) -> str:
        per = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86_400.0: "day"}
        named = per.get(float(self.seconds), f"{self.seconds:g} seconds")
        return f"{self.requests:,} request{'s' * (self.requests != 1)} per {named}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A connector's abilities. Each `can_…` and listing goes with a protocol of `base`."""

    can_lift: bool
    """Whether the API can turn a topic back on. If not, pauses are not pushed."""
    batch_size: int
    """The most addresses that one `push`, `read`, `write_field` or `erase` may be given."""
    channels: frozenset[Channel] = frozenset({Channel.EMAIL})
    """The channels it holds opt-outs for. A connector with several is a `ByChannel`, and the
    other fields apply to each of them."""
    scopes: frozenset[SupportedScope] = frozenset({SupportedScope.TOPIC})
    rate_limit: RateLimit | None = None
    """The documented limit, shared by all workers; None if there is none."""
    can_read: bool = False
    """`SupportsRead`: the state of given addresses can be read."""
    scans: ListingMode | None = None
    """`SupportsScan`: how its contacts can be listed, if they can."""
    pulls: ListingMode | None = None
    """`SupportsPull`: how the opt-outs that people made in it can be listed, if they can."""
    erase: EraseMode = EraseMode.BY_HAND
    """`SupportsErase`, where it is KEEPS_OPT_OUT or FORGETS_OPT_OUT."""
    erase_note: str = ""
    """A sentence for the docs and for the person with the task. BY_HAND: why, and what is to be
    deleted where. Else what is deleted, and what stays there for how long."""
    erase_setting: str = ""
    """The optional setting without which it is BY_HAND all the same: a credential of its own."""
    confirms_erasure: bool = False
    """Whether the tool can be asked if it still holds a person: `SupportsErase.find_held`."""
    can_write_fields: bool = False
    """`SupportsContactFields`: whether a custom field of a contact can be written, so that it can
    hold how often the person wants a topic."""
    can_hold_link: bool = False
    """The same of its permanent link: then `scan` returns what the field holds."""
    pushes_frequency: bool = False
    """Whether `push` itself passes `PushItem.frequencies` on."""
    can_create: bool = False
    """Whether `push` can add an address that the tool doesn't know, suppressed from the
    start. Done only with the destination's setting `create_contacts`, else ABSENT."""
    off_means_opt_out: bool = True
    """Whether a topic that `read` and `scan` show as off is an opt-out made there.

    Not so where a topic is off for everybody who never joined its list: then only `pull` and
    the tool's own events report opt-outs (I13)."""
    backfills_by_scan: bool = False
    """`SupportsScanBackfill`: lists (back-fills, imports) are not pushed address by address,
    which the tool is too slow for: each pass over the contacts updates those that it shows,
    and an address that it does not show is absent. Requires scans=ListingMode.FULL."""
    checks_permissions: bool = False
    """Whether `check` asks the tool what the credentials may do; else a missing permission to
    write is found at the first push only."""
    shares_only: bool = False
    """Whether it holds audiences for advertising and sends nothing: SHARING is all that can be
    mapped to it."""
    needs_mapping: bool = True
    """Whether every topic must be mapped to a target in the tool."""

    @property
    def webhook_only(self) -> bool:
        """Whether nothing can be pushed to it: it only reports what people did in it."""
        return not self.channels

    @property
    def can_erase(self) -> bool:
        """Whether a person's data can be deleted there from here."""
        return self.erase in {EraseMode.KEEPS_OPT_OUT, EraseMode.FORGETS_OPT_OUT}

    def for_settings(self, settings: Mapping[str, str]) -> Capabilities:
        """Those of a destination with these settings."""
        if self.erase_setting and not settings.get(self.erase_setting):
            return replace(self, erase=EraseMode.BY_HAND)
        return self

    @property
    def can_scan(self) -> bool:
        """Whether its contacts can be listed at all."""
        return self.scans is not None

    @property
    def can_pull(self) -> bool:
        """Whether the opt-outs made in it can be listed at all."""
        return self.pulls is not None


WEBHOOK_ONLY = Capabilities(
    channels=frozenset(),
    scopes=frozenset(),
    can_lift=True,
    batch_size=1,
    needs_mapping=False,
    erase_note="It is not called: find the address there, and delete what is held about it.",
)
"""Of a tool that reports by its webhook, and that nothing is pushed to."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One permission, and whether the credentials have it, as the tool reports it.

    Without one that is `is_required` nothing may be sent to the destination; without another it
    works, but can't do its `purpose`.
    """

    name: str
    """The tool's own name of it."""
    purpose: str
    """What it is for, to follow "to": `turn topics off`."""
    is_granted: bool
    remedy: str
    """How to grant it."""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` found.

    `problems` forbid sending, each with its remedy; `unmapped_targets` are labels of targets in
    the tool that no topic maps to; `hints` are what it can't do as it is set up. `permissions`
    are what the credentials may do, if the tool can be asked: see `with_permissions`.
    """

    problems: tuple[str, ...] = ()
    unmapped_targets: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether anything may be sent to the destination."""
        return not self.problems

    def with_permissions(self, permissions: Iterable[Permission]) -> CheckReport:
        """The same with `permissions`; those that are missing become problems or hints."""
        found = tuple(permissions)
        missing = [permission for permission in found if not permission.is_granted]
        problems = [
            f"the right {right.name} is missing, needed to {right.purpose}: {right.remedy}"
            for right in missing
            if right.is_required
        ]
        hints = [
            f"the right {right.name} is missing, so it can't {right.purpose}: {right.remedy}"
            for right in missing
            if not right.is_required
        ]
        return replace(
            self,
            problems=(*self.problems, *problems),
            hints=(*self.hints, *hints),
            permissions=(*self.permissions, *found),
        )


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

    What has no topic or no field is left out; see
    `destinations.validate.frequency_problems`.
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


class TooManyRequests(DeliveryError):
    """The tool takes no more requests for now (HTTP 429): it works, and is slower than we are."""


class RateLimited(DeliveryError):
    """The rate limit permits no request within this lease: nothing was sent.

    No failure of the tool. `retry_after` is when a request will be permitted.
    """


class LeaseExpired(DeliveryError):
    """The worker's lease ends too soon to send anything more; another has the rows."""


class NoResponse(DeliveryError):
    """No complete response arrived: the request may have taken effect, or may do so yet."""


class UnexpectedResponse(DeliveryError):
    """A 2xx response whose body is not what the tool's API documents."""


class RequestRejected(DeliveryError):
    """The tool understood this request and rejected it (a 4xx about its content)."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


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
