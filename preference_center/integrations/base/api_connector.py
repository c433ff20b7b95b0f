"""What every connector of a vendor's API does alike; a vendor's file holds only what differs.

Three classes, each with methods of one request that a vendor writes:

- `ApiConnector`: check and push. A vendor yields the steps of a push.
- `ReadableApiConnector`: reading back, too.
- `ContactFieldConnector`: writing custom fields, for those with `can_write_fields`.

A vendor that holds each topic in a target of its own takes `mapped_connector` instead, which
also makes the steps; `erasing_connector` has the classes that delete a person's data.
docs/decisions/0048 states why these are classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, cast

from preference_center.core.addresses import Channel
from preference_center.core.networks import NETWORKS_SETTING, InvalidNetworks, parse_own_networks
from preference_center.integrations.base.contract import (
    Capabilities,
    CheckReport,
    ContactPage,
    DeliveryError,
    DestinationConfig,
    FieldItem,
    Permission,
    PushItem,
    PushOutcome,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import HttpContext, HttpSession
from preference_center.integrations.base.mapping import (
    ConnectorRules,
    Target,
    account_switch_problems,
    all_mail_switch_problems,
    mapping_problems,
    validate_batch,
)
from preference_center.integrations.base.paging import next_changes_page, next_full_page
from preference_center.integrations.base.push_results import Bisector, PushStep, refused, run_steps

Client = TypeVar("Client")
Row = TypeVar("Row")
ClientPageSource: TypeAlias = Callable[[Client, str], tuple[Sequence[Row], str]]
ClientChangeSource: TypeAlias = Callable[[Client, datetime | None, str], tuple[Sequence[Row], str]]


class ApiConnector(ABC, Generic[Client]):
    """A `contract.Connector`, once a vendor gives its data and the abstract methods.

    `Client` is what its requests are sent with: an `HttpSession`, or a class around one.
    """

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    settings: ClassVar[Mapping[str, str]]
    rules: ClassVar[ConnectorRules]
    client_class: ClassVar[type[Any] | None] = None
    """Makes a `Client` around a session; None where the session is the client."""

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self.config = config
        self.http = http

    def headers(self) -> Mapping[str, str]:
        """The headers of each request: the credentials, a version of the API."""
        settings, rules = self.config.settings, self.rules
        token, key = settings.get(rules.bearer_setting), settings.get("api_key")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return headers | ({rules.key_header: key} if rules.key_header and key else {})

    def make_client(self, session: HttpSession) -> Client:
        """The client around a session: see `client_class`."""
        make = type(self).client_class
        return cast("Client", make(session) if make else session)

    def base_url(self) -> str:
        """The URL of the API. Raises DeliveryError (permanent) where the settings name none."""
        return self.config.settings.get(self.rules.url_setting) or self.rules.api_url

    @contextmanager
    def open_client(self) -> Iterator[Client]:
        """The client, for one `with` block; in the company's network with NETWORKS_OF_TOOL.

        Raises DeliveryError (permanent) for a URL or networks that may not be used.
        """
        name = self.config.name
        try:
            networks = parse_own_networks(self.config.settings, self.http.private_networks)
        except InvalidNetworks as error:
            message = f"{name}: {NETWORKS_SETTING}: {error}"
            raise DeliveryError(message, permanent=True) from error
        with self.http.session(
            name,
            self.base_url(),
            headers=self.headers(),
            networks=networks,
            allow_http=True,
            rate_limit_headers=self.rules.rate_limit_headers,
        ) as session:
            yield self.make_client(session)

    # --- pages of `scan` and `pull`; sources as in `paging`, with the client first

    def full_page(
        self, cursor: str | None, *sources: ClientPageSource[Client, Row]
    ) -> ContactPage[Row]:
        """See `paging.next_full_page`."""
        with self.open_client() as client:
            return next_full_page(cursor, [partial(source, client) for source in sources])

    def changes_page(
        self,
        cursor: str | None,
        *sources: ClientChangeSource[Client, Row],
        overlap: timedelta,
        restart_on_rejection: bool = False,
    ) -> ContactPage[Row]:
        """See `paging.next_changes_page`."""
        with self.open_client() as client:
            return next_changes_page(
                cursor,
                [partial(source, client) for source in sources],
                now=self.http.now(),
                overlap=overlap,
                restart_on_rejection=restart_on_rejection,
            )

    # --- check

    @abstractmethod
    def list_targets(self, client: Client) -> Iterable[Target]:
        """Every target of the account, also those that no topic may be mapped to."""

    def mapping_problems(self) -> Iterable[str]:
        """What is wrong with the topics' mapping, each with its remedy; without a request."""
        return mapping_problems(
            self.config,
            self.rules.target_noun,
            numeric_ids=self.rules.numeric_ids,
        )

    def setting_problems(self) -> Iterator[str]:
        """What is wrong with the settings, each with its remedy; without a request.

        `push` and `read` raise UnsupportedByDestination for the first.
        """
        if self.rules.account_target:
            yield from account_switch_problems(
                self.config,
                self.rules.account_target,
                self.rules.target_noun,
            )

    def find_problems(self, client: Client) -> Iterator[str]:  # noqa: ARG002 - a vendor's may need it
        """What else forbids sending, each with its remedy; nothing by default."""
        yield from ()

    def find_permissions(self, client: Client) -> Iterator[Permission]:  # noqa: ARG002 - a vendor's may need it
        """What the credentials may do there, for a vendor with `checks_permissions`."""
        yield from ()

    def find_hints(self, client: Client) -> Iterator[str]:  # noqa: ARG002 - a vendor's may need it
        """What a user should know though nothing forbids sending; nothing by default."""
        yield from ()

    def check(self) -> CheckReport:
        """See Connector. Also reports which targets no topic maps to."""
        problems = [
            *self.mapping_problems(),
            *self.setting_problems(),
            *all_mail_switch_problems(
                self.config, self.rules.all_mail_setting, self.rules.target_noun
            ),
        ]
        permissions, targets, hints = list[Permission](), dict[str, Target](), list[str]()
        try:
            with self.open_client() as client:
                permissions += self.find_permissions(client)
                targets = {target.id: target for target in self.list_targets(client)}
                problems += [*self._target_problems(targets), *self.find_problems(client)]
                hints += self.find_hints(client)
        except DeliveryError as error:
            problems.append(f"{error}: check {self.rules.credentials_hint}")
        mapped = set(self.config.topics.values())
        free = [t for t in targets.values() if not t.unusable_reason and t.id not in mapped]
        labels = tuple(target.label for target in free)
        return CheckReport(tuple(problems), labels, tuple(hints)).with_permissions(permissions)

    def _target_problems(self, targets: Mapping[str, Target]) -> Iterator[str]:
        noun = self.rules.target_noun
        for topic, id_ in sorted(self.config.topics.items()):
            if self.rules.account_target and id_ == self.rules.account_target:
                continue
            if id_ not in targets:
                yield (
                    f"topic {topic} is mapped to {noun} {id_!r}, which the account does not "
                    f"have: map it to a {noun} that exists"
                )
            elif reason := targets[id_].unusable_reason:
                yield f"topic {topic} is mapped to {noun} {id_!r}, which {reason}"

    # --- push

    def sets_all_mail_switch(self, item: PushItem) -> bool:
        """Whether the vendor's switch for all mail stops no more than the opt-out does (I10).

        The setting asks for it, no service mail goes through the account, and no topic stays on.
        """
        return (
            self.config.settings.get(self.rules.all_mail_setting) == "yes"
            and not self.config.sends_service
            and item.all_off
            and item.off >= self.config.topics.keys()
        )

    def prepare(self, client: Client, addresses: Sequence[str]) -> None:
        """Look up once what the requests about these addresses need; nothing by default.

        Called before each push, read and writing of links.
        """

    @abstractmethod
    def push_batch(self, client: Client, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """`push` of a batch that fits: mostly `run_steps(batch, steps)`."""

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector."""
        if not batch:
            return {}
        self.ensure_supported(batch)
        with self.open_client() as client:
            self.prepare(client, [item.address for item in batch if item.off or item.lift])
            return self.push_batch(client, batch)

    def ensure_supported(self, batch: Sequence[PushItem], *, max_size: int | None = None) -> None:
        """Raise UnsupportedByDestination for a batch or settings that can't be held exactly.

        `max_size`: the most items, where that is not the `batch_size`.
        """
        size = max_size or self.capabilities.batch_size
        validate_batch(batch, self.config, replace(self.capabilities, batch_size=size))
        self.ensure_settings()

    def ensure_settings(self) -> None:
        """Raise UnsupportedByDestination for the first of `setting_problems`."""
        for problem in self.setting_problems():
            raise UnsupportedByDestination(f"{self.config.name}: {problem}")


class ReadableApiConnector(ApiConnector[Client]):
    """An ApiConnector with `can_read`."""

    @abstractmethod
    def read_batch(
        self,
        client: Client,
        batch: Sequence[PushItem],
    ) -> Mapping[int, frozenset[str] | None]:
        """`read` of a batch that fits."""

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead."""
        if not batch:
            return {}
        self.ensure_supported(batch)
        with self.open_client() as client:
            self.prepare(client, [item.address for item in batch])
            return self.read_batch(client, batch)


class ContactFieldConnector(ApiConnector[Client]):
    """An ApiConnector with `can_write_fields`: the settings name custom fields of contacts."""

    field_group_size: ClassVar[int] = 1
    """The most addresses that one `write_field_group` is given."""

    def list_text_fields(self, client: Client) -> Collection[str] | None:  # noqa: ARG002 - a vendor's may need it
        """The names of the fields that can hold a text; None where `check` does not look."""
        return None

    @abstractmethod
    def write_field_group(
        self,
        client: Client,
        field: str,
        items: Sequence[FieldItem],
    ) -> Mapping[int, PushOutcome]:
        """Write values into the field of the contacts that there are; none is created.

        An outcome for each ref, as of `write_changes`.
        """

    def find_problems(self, client: Client) -> Iterator[str]:
        """See ApiConnector."""
        yield from super().find_problems(client)
        named = self.config.contact_fields
        there = self.list_text_fields(client) if named else None
        if there is not None:
            for field, setting in named.items():
                if field not in there:
                    yield f"{setting}: {field} is no text field of contacts: add it there"

    def write_field(self, field: str, batch: Sequence[FieldItem]) -> Mapping[int, PushOutcome]:
        """See SupportsContactFields."""
        if not batch:
            return {}
        self.ensure_settings()
        with self.open_client() as client:
            self.prepare(client, [item.address for item in batch])
            return write_groups(
                batch, self.field_group_size, partial(self.write_field_group, client, field)
            )


class _Addressed(Protocol):
    @property
    def ref(self) -> int: ...
    @property
    def address(self) -> str: ...
    @property
    def channel(self) -> Channel: ...


Item = TypeVar("Item", bound=_Addressed)


def write_groups(
    batch: Sequence[Item],
    size: int,
    write: Callable[[Sequence[Item]], Mapping[int, PushOutcome]],
) -> Mapping[int, PushOutcome]:
    """Write `batch` in groups of `size`, and isolate the items that the vendor rejects."""
    writes = Bisector(write)
    outcomes = run_steps(
        [PushItem(item.ref, item.address, item.channel) for item in batch],
        [
            PushStep(tuple(item.ref for item in group), partial(_write, writes, group))
            for group in (batch[start : start + size] for start in range(0, len(batch), size))
        ],
    )
    writes.ensure_some_accepted()
    return outcomes


def _write(
    writes: Bisector[Item, Mapping[int, PushOutcome]],
    group: Sequence[Item],
) -> Mapping[int, PushOutcome]:
    written = writes.send(group)
    outcomes = {item.ref: refused(error.status) for item, error in written.rejected}
    for _, answer in written.accepted:
        outcomes |= answer
    return outcomes
