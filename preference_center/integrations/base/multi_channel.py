"""One account of a tool whose API differs for each channel (docs/decisions/0047).

Each channel has a connector of its own, which knows the topics of that channel only. One whose
channel no topic is sent by is not used.

`MappedSmsConnector` serves text messages of a tool that can only stop all of them (I10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    Connector,
    ContactPage,
    ContactSnapshot,
    DestinationConfig,
    EraseItem,
    FieldItem,
    PushItem,
    PushOutcome,
    SupportsContactFields,
    SupportsErase,
    SupportsMapping,
    SupportsRead,
)
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.integration import ConnectorClass
from preference_center.integrations.base.mapped_connector import Client, ReadableConnector
from preference_center.integrations.base.mapping import (
    OffState,
    RemoteContact,
    Target,
    single_switch_problems,
    validate_batch,
)
from preference_center.integrations.base.paging import decode_cursor, encode_cursor
from preference_center.integrations.base.push_results import PushStep, refused, run_steps
from preference_center.integrations.base.vendor_events import ALL_SMS, VendorEvent, VendorEventKind

ConnectorFactories: TypeAlias = Mapping[
    Channel, Callable[[DestinationConfig, HttpContext], Connector]
]
ChannelCursors: TypeAlias = dict[str, str | None]


Item = TypeVar("Item", PushItem, EraseItem)


class MultiChannelConnector:
    """A Connector made of one for each channel; subclasses state which.

    Mostly by their classes: `class Both(MultiChannelConnector, email=Email, sms=Sms)`. The email
    connector's kind, settings and, of both channels, capabilities are then those of the account.
    `capabilities` hold for each of them, except `can_write_fields`, `pulls` and `erase`: those
    without the method are left out, and have to be SupportsRead if they have no `pull`.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    connector_factories: ClassVar[ConnectorFactories]
    """In the order in which they are called. The first is checked for a set-up without topics."""

    def __init_subclass__(
        cls, *, email: ConnectorClass | None = None, sms: ConnectorClass | None = None
    ) -> None:
        if email and sms:
            channels = frozenset({Channel.EMAIL, Channel.SMS})
            cls.kind, cls.settings = email.kind, email.settings
            cls.capabilities = replace(email.capabilities, channels=channels)
            if "connector_factories" not in vars(cls):
                cls.connector_factories = {Channel.EMAIL: email, Channel.SMS: sms}

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        used = [
            channel for channel in self.connector_factories if config.for_channel(channel).topics
        ]
        self._connectors = {
            channel: self.connector_for(channel)
            for channel in used or [*self.connector_factories][:1]
        }

    def connector_for(self, channel: Channel) -> Connector:
        """The connector of one channel, whether a topic is sent by it or not."""
        return self.connector_factories[channel](self._config.for_channel(channel), self._http)

    def check(self) -> CheckReport:
        """See Connector."""
        reports = [connector.check() for connector in self._connectors.values()]
        return CheckReport(
            problems=tuple(dict.fromkeys(each for r in reports for each in r.problems)),
            unmapped_targets=tuple(
                dict.fromkeys(each for r in reports for each in r.unmapped_targets)
            ),
            hints=tuple(dict.fromkeys(each for r in reports for each in r.hints)),
            permissions=tuple(dict.fromkeys(each for r in reports for each in r.permissions)),
        )

    def mapping_problems(self) -> Iterable[str]:
        """See SupportsMapping."""
        for connector in self._connectors.values():
            if isinstance(connector, SupportsMapping):
                yield from connector.mapping_problems()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Outcomes of the channels before one that fails stay."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        steps = [
            PushStep(tuple(item.ref for item in items), partial(connector.push, items))
            for connector, items in self._split_by_channel(batch)
        ]
        return run_steps(batch, steps)

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead."""
        if batch:
            validate_batch(batch, self._config, self.capabilities)
        found: dict[int, frozenset[str] | None] = {}
        for connector, items in self._split_by_channel(batch):
            found |= cast("SupportsRead", connector).read(items)
        return found

    def write_field(self, field: str, batch: Sequence[FieldItem]) -> Mapping[int, PushOutcome]:
        """See SupportsContactFields. Only an email address has a contact's fields of its own."""
        outcomes: dict[int, PushOutcome] = {}
        for channel, connector in self._connectors.items():
            items = [item for item in batch if item.channel is channel]
            if items and hasattr(connector, "write_field"):
                outcomes |= cast("SupportsContactFields", connector).write_field(field, items)
        return outcomes

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """See SupportsErase. REFUSED for a channel whose connector can't."""
        steps = [
            PushStep(tuple(item.ref for item in items), partial(_erase, connector, items))
            for connector, items in self._split_by_channel(batch)
        ]
        outcomes = run_steps([PushItem(i.ref, i.address, i.channel) for i in batch], steps)
        return {ref: outcomes[ref] for step in steps for ref in step.refs}

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        """See SupportsErase."""
        held: dict[int, bool] = {}
        for connector, items in self._split_by_channel(batch):
            if hasattr(connector, "find_held"):
                held |= cast("SupportsErase", connector).find_held(items)
        return held

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan. The contacts of one channel after those of another."""
        return self._next_page(cursor, "scan")

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. As `scan`."""
        return self._next_page(cursor, "pull")

    def _split_by_channel(self, batch: Sequence[Item]) -> list[tuple[Connector, list[Item]]]:
        split = (
            (connector, [item for item in batch if item.channel is channel])
            for channel, connector in self._connectors.items()
        )
        return [(connector, items) for connector, items in split if items]

    def _next_page(self, cursor: str | None, listing: str) -> ContactPage[Any]:
        channels = [
            channel
            for channel, connector in self._connectors.items()
            if hasattr(connector, listing)
        ]
        if not channels:
            return ContactPage((), None, done=True)
        at, cursors = _parse_cursor(cursor, channels[0])
        if at not in channels:
            at = channels[0]  # the topics of that channel are gone
        page: ContactPage[Any] = getattr(self._connectors[at], listing)(cursors.get(at))
        if len(channels) == 1 and not cursors.keys() - {at}:
            return page
        cursors[at] = page.cursor
        after = channels[channels.index(at) + 1 :] if page.done else [at]
        if after:
            return ContactPage(
                page.rows,
                _serialize_cursor(after[0], cursors),
                done=False,
                poll_after=page.poll_after,
            )
        ended = any(cursors.values())
        return ContactPage(
            page.rows, _serialize_cursor(channels[0], cursors) if ended else None, done=True
        )


def _erase(connector: Connector, items: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
    if hasattr(connector, "erase"):
        return cast("SupportsErase", connector).erase(items)
    return {item.ref: refused(f"can't be deleted by {item.channel}") for item in items}


def connector_for_channel(connector: Connector, channel: Channel) -> Connector:
    """The connector that knows the contacts of `channel`."""
    return (
        connector.connector_for(channel)
        if isinstance(connector, MultiChannelConnector)
        else connector
    )


@dataclass(frozen=True, slots=True)
class _ChannelCursors:
    """Which channel is listed next, and the cursor of each."""

    channel: Channel
    cursors: ChannelCursors


def _parse_cursor(cursor: str | None, first: Channel) -> tuple[Channel, ChannelCursors]:
    """The same; a cursor of another form is that of the first channel alone."""
    decoded = decode_cursor(_ChannelCursors, cursor)
    return (decoded.channel, decoded.cursors) if decoded else (first, {first: cursor})


def _serialize_cursor(at: Channel, cursors: ChannelCursors) -> str:
    return encode_cursor(_ChannelCursors(at, cursors))


class MappedSmsConnector(ReadableConnector[Client]):
    """Phone numbers of one account, of a `MultiChannelConnector`: its one topic is mapped to `sms`.

    A change's only target is ALL_SMS.
    """

    settings: ClassVar[Mapping[str, str]] = {}
    """Those of the account are the email connector's."""

    def mapping_problems(self) -> Iterable[str]:
        """See ApiConnector."""
        return single_switch_problems(self.config, ALL_SMS, "text message")

    def list_targets(self, client: Client) -> Iterator[Target]:  # noqa: ARG002 - every account has it
        """See ApiConnector."""
        for target in set(self.config.topics.values()):
            yield Target(target, "all text messages")


@dataclass(frozen=True, slots=True)
class ListedNumber:
    """A phone number, in E.164, as a listing shows it; "" of a contact without one."""

    number: str
    is_off: bool
    is_opt_out: bool
    """Whether it is off by an opt-out: a number that never subscribed is off, too."""
    changed_at: datetime | None
    is_archived: bool = False
    """Whether it is no contact any more: its opt-out counts all the same."""


class ListedSmsConnector(MappedSmsConnector[Client]):
    """A MappedSmsConnector of a tool that lists numbers: one with `scans` and `pulls`."""

    def list_numbers(self, cursor: str | None) -> ContactPage[ListedNumber]:
        """The next numbers that were added or changed; cursors as in SupportsScan."""
        raise NotImplementedError

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan."""
        return self.list_numbers(cursor).expand(self._to_snapshots)

    def _to_snapshots(self, row: ListedNumber) -> Iterator[ContactSnapshot]:
        if row.number and not row.is_archived:
            off = frozenset(self.config.topics if row.is_off else ())
            yield ContactSnapshot(row.number, Channel.SMS, off=off)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Who acted is not reported."""
        return self.list_numbers(cursor).expand(_to_vendor_events)


def _to_vendor_events(row: ListedNumber) -> Iterator[VendorEvent]:
    if row.number and row.is_opt_out:
        kind, at = VendorEventKind.OPTED_OUT, row.changed_at
        yield VendorEvent(kind, row.number, ALL_SMS, at, channel=Channel.SMS)


def sms_contact(reason: str | None) -> RemoteContact:
    """What the tool holds of a number; `reason` is why the switch is off, None if it is on."""
    return RemoteContact({ALL_SMS: OffState(reason)} if reason else {})
