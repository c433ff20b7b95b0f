"""Deleting a person's data in a vendor's tool, alike for every vendor (GDPR art. 17, 19).

- `ErasingConnector`: the vendor deletes at once, or in a job that can be asked about.
- `RequestedErasureConnector`: the vendor accepts the request and deletes later. There is nothing
  to ask about but whether the person is still there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import ClassVar

from preference_center.integrations.base.api_connector import ApiConnector, Client, write_groups
from preference_center.integrations.base.contract import EraseItem, PushItem, PushOutcome
from preference_center.integrations.base.push_results import (
    absent,
    read_each,
    reflected,
    retry_later,
)

RECHECK_DELAY = timedelta(minutes=10)
"""How long until a requested deletion is looked for."""
_JOB_FORMAT = "%Y%m%dT%H%M%SZ"


class ErasingConnector(ApiConnector[Client]):
    """An ApiConnector with `can_erase`. A vendor writes `erase_contact`, or `erase_group`.

    With `confirms_erasure` also `holds_contact`, or `find_held_contacts`.
    """

    erase_group_size: ClassVar[int] = 1
    """The most addresses that one `erase_group` is given."""

    def erase_group(self, client: Client, items: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """Delete what is held about these, as in `SupportsErase.erase`.

        Raises RequestRejected like `write_changes`.
        """
        return {item.ref: self.erase_contact(client, item) for item in items}

    def erase_contact(self, client: Client, item: EraseItem) -> PushOutcome:
        """The same of one address, for a vendor with an `erase_group_size` of 1."""
        raise NotImplementedError

    def find_held_contacts(self, client: Client, items: Sequence[EraseItem]) -> Mapping[int, bool]:
        """Ref -> `holds_contact`, for a vendor that is asked about several at a time.

        A ref that is left out could not be read.
        """
        held = read_each(items, partial(self.holds_contact, client))
        return {item.ref: is_held for item, is_held in held.items()}

    def holds_contact(self, client: Client, item: EraseItem) -> bool:
        """Whether the vendor still holds the person, apart from the suppression."""
        raise NotImplementedError

    def erase(self, batch: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """See SupportsErase."""
        if not batch:
            return {}
        self._ensure_erasable(batch)
        with self.open_client() as client:
            self.prepare(client, [item.address for item in batch])
            return write_groups(batch, self.erase_group_size, partial(self.erase_group, client))

    def find_held(self, batch: Sequence[EraseItem]) -> Mapping[int, bool]:
        """See SupportsErase."""
        if not batch:
            return {}
        self._ensure_erasable(batch)
        with self.open_client() as client:
            self.prepare(client, [item.address for item in batch])
            return self.find_held_contacts(client, batch)

    def _ensure_erasable(self, batch: Sequence[EraseItem]) -> None:
        self.ensure_supported([PushItem(item.ref, item.address, item.channel) for item in batch])


class RequestedErasureConnector(ErasingConnector[Client]):
    """An ErasingConnector of a vendor that deletes later. It writes `request_erasures`.

    `EraseItem.job` is when the deletion was requested. One that has not happened after
    `repeat_after` is requested again.
    """

    repeat_after: ClassVar[timedelta] = timedelta(days=1)

    def request_erasures(
        self, client: Client, items: Sequence[EraseItem]
    ) -> Mapping[int, PushOutcome]:
        """Request that these are deleted, at most `erase_group_size`; all are held there.

        Returns the outcomes of those whose deletion was not accepted.
        """
        raise NotImplementedError

    def erase_group(self, client: Client, items: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """See ErasingConnector."""
        now = self.http.now()
        held = self.find_held_contacts(client, items)
        outcomes = {
            item.ref: reflected("gone") if item.job else absent("nobody")
            for item in items
            if held.get(item.ref) is False
        }
        remaining = [item for item in items if held.get(item.ref)]
        due = [item for item in remaining if self._is_due(item.job, now)]
        outcomes |= {item.ref: _requested(item.job) for item in remaining if item not in due}
        if due:
            outcomes |= dict.fromkeys((item.ref for item in due), _requested(_format_job(now)))
            outcomes |= self.request_erasures(client, due)
        return outcomes

    def _is_due(self, job: str, now: datetime) -> bool:
        try:
            requested_at = datetime.strptime(job, _JOB_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return True
        return now >= requested_at + self.repeat_after


def _format_job(now: datetime) -> str:
    return f"{now.astimezone(UTC):{_JOB_FORMAT}}"


def _requested(job: str) -> PushOutcome:
    return replace(retry_later("requested", RECHECK_DELAY), job=job)
