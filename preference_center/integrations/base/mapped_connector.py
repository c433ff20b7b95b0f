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
from preference_center.domain.sync.contract import Item, Outcome
from preference_center.integrations.base.check_report import Report, Right
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapped_push import Push, look_up
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.base.targets import Change, Contact, Rules, Target

Client = TypeVar("Client")


class MappedConnector(ABC, Generic[Client]):
    """A `base.Connector`, once a vendor gives `kind`, `rules` and the abstract methods.

    `Client` is what its requests are sent with: mostly a `Session`.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    rules: ClassVar[Rules]

    def __init__(self, setup: Setup, http: Http) -> None:
        self.setup = setup
        self.http = http

    @abstractmethod
    def open(self) -> AbstractContextManager[Client]:
        """The client, for one `with` block: mostly `self.http.session(...)`."""

    @abstractmethod
    def targets(self, client: Client) -> Iterable[Target]:
        """Every target of the account, also those that no topic may be mapped to."""

    @abstractmethod
    def write(self, client: Client, changes: Sequence[Change]) -> Mapping[int, Outcome]:
        """Make the tool hold `changes`, at most `rules.group`; an outcome for each ref.

        A ref that is left out was not acknowledged, and is tried again. Raises Rejected where
        the tool rejects the content: the address at fault is then found by halving.
        """

    def look(
        self, client: Client, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """What the tool holds of each address, at most `rules.group`; None if it has none.

        Of `targets` at least, where a target is a request of its own. An address that is left
        out could not be looked up. Needed to read back, and for any `rules.looks`. Raises
        Rejected like `write`.
        """
        raise NotImplementedError

    def faults(self, client: Client) -> Iterator[str]:  # noqa: ARG002 - a vendor's may need it
        """What else forbids sending, each with its remedy; nothing by default."""
        yield from ()

    def rights(self, client: Client) -> Iterator[Right]:  # noqa: ARG002 - a vendor's may need it
        """What the credentials may do there, for a vendor that `tells_rights`."""
        yield from ()

    def check(self) -> Report:
        """See Connector. Also says which targets no topic maps to."""
        problems = list(
            mapping_problems(self.setup, self.rules.target, numbered=self.rules.numbered)
        )
        try:
            with self.open() as client:
                found = {target.id: target for target in self.targets(client)}
                problems += [*self._target_faults(found), *self.faults(client)]
                rights = tuple(self.rights(client))
        except DeliveryError as error:
            return Report((*problems, f"{error}: check {self.rules.credentials}"))
        mapped = set(self.setup.topics.values())
        free = [t for t in found.values() if not t.fault and t.id not in mapped]
        unmapped = tuple(f"{target.name} ({target.id})" for target in free)
        return Report(tuple(problems), unmapped).with_rights(rights)

    def _target_faults(self, found: Mapping[str, Target]) -> Iterator[str]:
        word = self.rules.target
        for topic, id_ in sorted(self.setup.topics.items()):
            if id_ not in found:
                yield (
                    f"topic {topic} is mapped to {word} {id_!r}, which the account does not "
                    f"have: map it to a {word} that exists"
                )
            elif found[id_].fault:
                yield f"topic {topic} is mapped to {word} {id_!r}, which {found[id_].fault}"

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs go before lifts."""
        if not batch:
            return {}
        ensure_fits(batch, self.setup, self.capabilities)
        with self.open() as client:
            return Push(self, client, batch).run()


class ReadableConnector(MappedConnector[Client]):
    """A MappedConnector with `can_read`: it has a `look`."""

    @abstractmethod
    def look(
        self, client: Client, addresses: Sequence[str], targets: Collection[str]
    ) -> Mapping[str, Contact | None]:
        """See MappedConnector."""

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. What is off though nobody said so counts only where it is wanted."""
        if not batch:
            return {}
        ensure_fits(batch, self.setup, self.capabilities)
        with self.open() as client:
            found = look_up(self, client, batch[: self._reads()])
        return {item.ref: self._off(found[item.ref], item) for item in batch if item.ref in found}

    def _reads(self) -> int | None:
        """How many addresses are looked up at once."""
        most = self.rules.reads
        if most is None or not self.rules.by_target:
            return most
        return max(1, most // max(1, len(self.setup.topics)))

    def _off(self, contact: Contact | None, item: Item) -> frozenset[str] | None:
        if contact is None:
            return None
        return frozenset(
            topic
            for topic, target in self.setup.topics.items()
            if (hold := contact.held.get(target)) and (hold.is_opt_out or topic in item.off)
        )
