"""One account of a tool that is asked differently on each channel (docs/decisions/0047).

Each channel has a connector of its own, a part, which knows the topics of that channel only.
A part whose channel no topic is sent by is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, TypeAlias, cast

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Page, Seen
from preference_center.domain.vendor_events import News
from preference_center.integrations.base.batching import Step, carry_out
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import Connector, Fieldable, Readable, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import ensure_fits

Parts: TypeAlias = Mapping[Channel, Callable[[Setup, Http], Connector]]
Cursors: TypeAlias = dict[str, str | None]


class ByChannel:
    """A Connector made of one for each channel; subclasses say which.

    What `capabilities` says is true of each part, but for `can_hold_link` and `pulls`: parts
    without the method are left out, and have to be Readable if they have no `pull`.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    parts: ClassVar[Parts]
    """In the order in which they are asked. The first answers for a set-up without topics."""

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http
        used = [channel for channel in self.parts if setup.on(channel).topics]
        self._parts = {channel: self.part(channel) for channel in used or [*self.parts][:1]}

    def part(self, channel: Channel) -> Connector:
        """The connector of one channel, whether a topic is sent by it or not."""
        return self.parts[channel](self._setup.on(channel), self._http)

    def check(self) -> Report:
        """See Connector."""
        reports = [part.check() for part in self._parts.values()]
        return Report(
            problems=tuple(dict.fromkeys(each for r in reports for each in r.problems)),
            unmapped=tuple(dict.fromkeys(each for r in reports for each in r.unmapped)),
            hints=tuple(dict.fromkeys(each for r in reports for each in r.hints)),
            rights=tuple(dict.fromkeys(each for r in reports for each in r.rights)),
        )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. A channel that fails for now leaves those before it as they are."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        steps = [
            Step(tuple(item.ref for item in items), partial(part.push, items))
            for part, items in self._split(batch)
        ]
        return carry_out(batch, steps)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable."""
        if batch:
            ensure_fits(batch, self._setup, self.capabilities)
        found: dict[int, frozenset[str] | None] = {}
        for part, items in self._split(batch):
            found |= cast("Readable", part).read(items)
        return found

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, Outcome]:
        """See Fieldable. Only an email address has a contact's field of its own."""
        outcomes: dict[int, Outcome] = {}
        for channel, part in self._parts.items():
            items = [item for item in batch if item.channel is channel]
            if items and hasattr(part, "write_links"):
                outcomes |= cast("Fieldable", part).write_links(items)
        return outcomes

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. The contacts of one channel after those of another."""
        return self._list(cursor, "scan")

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. As `scan`."""
        return self._list(cursor, "pull")

    def _split(self, batch: Sequence[Item]) -> list[tuple[Connector, list[Item]]]:
        split = (
            (part, [item for item in batch if item.channel is channel])
            for channel, part in self._parts.items()
        )
        return [(part, items) for part, items in split if items]

    def _list(self, cursor: str | None, listing: str) -> Page[Any]:
        channels = [channel for channel, part in self._parts.items() if hasattr(part, listing)]
        if not channels:
            return Page((), None, done=True)
        at, cursors = _place(cursor, channels[0])
        if at not in channels:
            at = channels[0]  # the topics of that channel are gone
        page: Page[Any] = getattr(self._parts[at], listing)(cursors.get(at))
        if len(channels) == 1 and not cursors.keys() - {at}:
            return page
        cursors[at] = page.cursor
        after = channels[channels.index(at) + 1 :] if page.done else [at]
        if after:
            return Page(page.rows, _written(after[0], cursors), done=False, again=page.again)
        ended = any(cursors.values())
        return Page(page.rows, _written(channels[0], cursors) if ended else None, done=True)


def part_of(connector: Connector, channel: Channel) -> Connector:
    """The connector that knows the contacts of `channel`."""
    return connector.part(channel) if isinstance(connector, ByChannel) else connector


_MARK = "channels:"


def _place(cursor: str | None, first: Channel) -> tuple[Channel, Cursors]:
    """Whose turn it is, and the cursor of each. One without the mark is of the first alone."""
    if cursor is None or not cursor.startswith(_MARK):
        return first, {first: cursor}
    at, cursors = json.loads(cursor.removeprefix(_MARK))
    return Channel(at), cursors


def _written(at: Channel, cursors: Cursors) -> str:
    return _MARK + json.dumps([at, cursors], separators=(",", ":"))
