"""The template of a connector whose tool holds each topic in a target of its own.

What all of them do alike is here and in `mapped_push`: the check of the mapping, batches,
the isolation of an address that the tool rejects, one outcome for each address, read-back. A
vendor's class says what differs: `rules` as data, and a few methods that each make one kind of
request. Decision 51 says why it is a class, and no description in a language of its own.

In a stack trace: `push` -> `Push.run` -> `Push._settle` -> the vendor's `look` or `write`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar, Generic, TypeVar

from preference_center.domain.sync.capabilities import Capabilities
from preference_center.domain.sync.contract import PushItem, PushOutcome
from preference_center.integrations.base.check_report import CheckReport, Permission
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapped_push import MappedPush, fetch_contacts_by_ref
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.targets import (
    ConnectorRules,
    RemoteContact,
    Target,
    TargetChange,
)

Client = TypeVar("Client")


class MappedConnector(ABC, Generic[Client]):
    """A `base.Connector`, once a vendor gives `kind`, `rules` and the abstract methods.

    `Client` is what its requests are sent with: mostly a `Session`.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    rules: ClassVar[ConnectorRules]

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self.config = config
        self.http = http

    @abstractmethod
    def open_client(self) -> AbstractContextManager[Client]:
        """The client, for one `with` block: mostly `self.http.session(...)`."""

    @abstractmethod
    def list_targets(self, client: Client) -> Iterable[Target]:
        """Every target of the account, also those that no topic may be mapped to."""

    @abstractmethod
    def write_changes(
        self, client: Client, changes: Sequence[TargetChange]
    ) -> Mapping[int, PushOutcome]:
        """Make the tool hold `changes`, at most `rules.group`; an outcome for each ref.

        A ref that is left out was not acknowledged, and is tried again. Raises Rejected where
        the tool rejects the content: the address at fault is then found by halving.
        """

    def fetch_contacts(
        self, client: Client, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """What the tool holds of each address, at most `rules.group`; None if it has none.

        Of `targets` at least, where a target is a request of its own. An address that is left
        out could not be looked up. Needed to read back, and for any `rules.looks`. Raises
        Rejected like `write`.
        """
        raise NotImplementedError

    def find_problems(self, client: Client) -> Iterator[str]:  # noqa: ARG002 - a vendor's may need it
        """What else forbids sending, each with its remedy; nothing by default."""
        yield from ()

    def find_permissions(self, client: Client) -> Iterator[Permission]:  # noqa: ARG002 - a vendor's may need it
        """What the credentials may do there, for a vendor that `tells_rights`."""
        yield from ()

    def check(self) -> CheckReport:
        """See Connector. Also says which targets no topic maps to."""
        problems = list(
            mapping_problems(
                self.config, self.rules.target_noun, numeric_ids=self.rules.numeric_ids
            )
        )
        try:
            with self.open_client() as client:
                found = {target.id: target for target in self.list_targets(client)}
                problems += [*self._target_problems(found), *self.find_problems(client)]
                rights = tuple(self.find_permissions(client))
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check {self.rules.credentials_hint}"))
        mapped = set(self.config.topics.values())
        free = [t for t in found.values() if not t.unusable_reason and t.id not in mapped]
        unmapped = tuple(f"{target.name} ({target.id})" for target in free)
        return CheckReport(tuple(problems), unmapped).with_permissions(rights)

    def _target_problems(self, found: Mapping[str, Target]) -> Iterator[str]:
        word = self.rules.target_noun
        for topic, id_ in sorted(self.config.topics.items()):
            if id_ not in found:
                yield (
                    f"topic {topic} is mapped to {word} {id_!r}, which the account does not "
                    f"have: map it to a {word} that exists"
                )
            elif found[id_].unusable_reason:
                yield (
                    f"topic {topic} is mapped to {word} {id_!r}, which {found[id_].unusable_reason}"
                )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs go before lifts."""
        if not batch:
            return {}
        validate_batch(batch, self.config, self.capabilities)
        with self.open_client() as client:
            return MappedPush(self, client, batch).run()


class ReadableConnector(MappedConnector[Client]):
    """A MappedConnector with `can_read`: it has a `look`."""

    @abstractmethod
    def fetch_contacts(
        self, client: Client, addresses: Sequence[str], target_ids: Collection[str]
    ) -> Mapping[str, RemoteContact | None]:
        """See MappedConnector."""

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. What is off though nobody said so counts only where it is wanted."""
        if not batch:
            return {}
        validate_batch(batch, self.config, self.capabilities)
        with self.open_client() as client:
            found = fetch_contacts_by_ref(self, client, batch[: self._max_reads()])
        return {
            item.ref: self._off_topics(found[item.ref], item) for item in batch if item.ref in found
        }

    def _max_reads(self) -> int | None:
        """How many addresses are looked up at once."""
        most = self.rules.max_reads
        if most is None or not self.rules.by_target:
            return most
        return max(1, most // max(1, len(self.config.topics)))

    def _off_topics(self, contact: RemoteContact | None, item: PushItem) -> frozenset[str] | None:
        if contact is None:
            return None
        return frozenset(
            topic
            for topic, target in self.config.topics.items()
            if (hold := contact.off_targets.get(target)) and (hold.is_opt_out or topic in item.off)
        )
