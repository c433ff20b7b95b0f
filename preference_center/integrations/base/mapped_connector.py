"""The connector of a vendor that holds each topic in a target of its own.

What all of them do alike is here, in `api_connector` and in `mapped_push`: the check of the
mapping, batches, the isolation of an address that the vendor rejects, one outcome for each
address, read-back. A vendor's class states what differs: `rules` as data, and a few methods that
each make one kind of request.

In a stack trace: `push` -> `MappedPush.run` -> `MappedPush._run_group` -> the vendor's
`fetch_contact(s)` or `write_change(s)`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

from preference_center.integrations.base.api_connector import ApiConnector, ReadableApiConnector
from preference_center.integrations.base.batching import read_each
from preference_center.integrations.base.contract import DeliveryError
from preference_center.integrations.base.mapped_push import MappedPush, fetch_contacts_by_ref
from preference_center.integrations.base.sync_contract import PushItem, PushOutcome
from preference_center.integrations.base.targets import RemoteContact, TargetChange

Client = TypeVar("Client")


class MappedConnector(ApiConnector[Client]):
    """An ApiConnector whose push is a change of targets.

    A vendor writes `write_changes` or `write_change`, and the same of `fetch_contacts`.
    """

    def write_changes(
        self, client: Client, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """Make the tool hold `changes`, at most `rules.group_size`; an outcome for each ref.

        A ref that is left out was not acknowledged, and is tried again. Raises RequestRejected
        where the vendor rejects the content: the address at fault is then found by halving.
        """
        return {change.ref: self.write_change(client, change) for change in changes}

    def write_change(self, client: Client, change: TargetChange) -> PushOutcome:
        """The same of one address, for a vendor with a `rules.group_size` of 1."""
        raise NotImplementedError

    def fetch_contacts(
        self, client: Client, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """What the tool holds of each address, at most `rules.group_size`; None if unknown there.

        Of `target_ids` at least, where a target is a request of its own. An address that is left
        out could not be looked up. Needed to read back, and for `rules.lookups`. Raises
        RequestRejected like `write_changes`.
        """
        fetch = partial(self.fetch_contact, client, target_ids=target_ids)
        if len(addresses) == 1:
            return {addresses[0]: fetch(addresses[0])}
        return read_each(addresses, fetch)

    def fetch_contact(
        self, client: Client, address: str, target_ids: Collection[str]
    ) -> RemoteContact | None:
        """The same of one address, for a vendor that is asked about one at a time."""
        raise NotImplementedError

    def ensure_targets(self, client: Client, target_ids: Collection[str]) -> None:
        """Raise DeliveryError (permanent) when one of these targets can't be used."""
        needed = set(target_ids) - {self.rules.account_target}
        if not needed:
            return
        targets = {target.id: target for target in self.list_targets(client)}
        usable = {id_ for id_, target in targets.items() if not target.unusable_reason}
        gone = {t: id_ for t, id_ in sorted(self.config.topics.items()) if id_ in needed - usable}
        if gone:
            reasons = {targets[id_].unusable_reason for id_ in gone.values() if id_ in targets}
            raise DeliveryError(
                f"{self.config.name}: {', '.join(gone)} is mapped to no {self.rules.target_noun} "
                f"that can be used any more: {'; '.join(sorted(reasons)) or 'map it again'}",
                permanent=True,
            )

    def push_batch(self, client: Client, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See ApiConnector. Opt-outs go before lifts."""
        return MappedPush(self, client, batch).run()


class ReadableConnector(MappedConnector[Client], ReadableApiConnector[Client]):
    """A MappedConnector with `can_read`: it has `fetch_contacts` or `fetch_contact`."""

    def read_batch(
        self, client: Client, batch: Sequence[PushItem]
    ) -> Mapping[int, frozenset[str] | None]:
        """See ReadableApiConnector. What is off by nobody's act counts only where it is wanted."""
        contacts = fetch_contacts_by_ref(self, client, batch[: self._max_reads()])
        return {
            item.ref: self.off_topics(contact, item.off) if contact else None
            for item in batch
            if (contact := contacts.get(item.ref)) or item.ref in contacts
        }

    def _max_reads(self) -> int | None:
        """How many addresses are looked up at once."""
        max_reads = self.rules.max_reads
        if max_reads is None or not self.rules.by_target:
            return max_reads
        return max(1, max_reads // max(1, len(self.config.topics)))

    def off_topics(
        self, contact: RemoteContact, wanted: Collection[str] = frozenset()
    ) -> frozenset[str]:
        """The topics that are off there; by nobody's act only those `wanted` off."""
        states = contact.off_targets
        return frozenset(
            topic
            for topic, target in self.config.topics.items()
            if target in states and (states[target].is_opt_out or topic in wanted)
        )
