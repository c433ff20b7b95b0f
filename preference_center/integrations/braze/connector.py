"""Braze: a topic is an email subscription group of one workspace, or all its email.

https://www.braze.com/docs/user_guide/message_building_by_channel/email/managing_user_subscriptions/
The global email state stops every campaign that respects it, so it may stand for a topic
only where the workspace sends nothing else (I10). Braze says "success" for addresses that
nobody there has, so it is asked first, 50 a request; who isn't there is not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import ContactPage, PushItem, PushOutcome
from preference_center.domain.vendor_events import ALL_EMAIL, VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import run_steps
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    DeliveryError,
    DestinationConfig,
    UnsupportedByDestination,
)
from preference_center.integrations.base.http import (
    HttpContext,
    RequestRejected,
    UnexpectedResponse,
)
from preference_center.integrations.base.mapping import (
    account_switch_problems,
    mapping_problems,
    validate_batch,
)
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    MultiChannelConnector,
)
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.braze.client import (
    EMAIL,
    MAX_ADDRESSES_PER_CALL,
    OVERLAP,
    BrazeClient,
    BrazeCursor,
    open_client,
)
from preference_center.integrations.braze.push_steps import build_steps, find_off_groups
from preference_center.integrations.braze.sms import BrazeSms

GLOBAL_TARGET = ALL_EMAIL
"""What a topic is mapped to that is the global email state and no group."""
EMAIL_EVENT_ROUTES = (
    ("/email/unsubscribes", VendorEventKind.OPTED_OUT),
    ("/email/hard_bounces", VendorEventKind.BOUNCED),
)
_PROBE_ADDRESS = "preference-center-check@example.com"
_DOCS_URL = "https://www.braze.com/docs/api"


class Braze:
    """One Braze workspace."""

    kind: ClassVar[str] = "braze"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=MAX_ADDRESSES_PER_CALL,
        # The least of what these endpoints are allowed: 250,000 an hour. What exports users
        # is not asked: 250 a minute for accounts made since 22 August 2024 (api_limits).
        rate_limit=RateLimit(4_000, 60),
        can_read=True,
        pulls=ListingMode.CHANGES,
        can_create=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "url": "the REST endpoint, as in https://rest.fra-01.braze.eu",
        "api_key": "an API key with the permissions subscription.groups.get, "
        "subscription.status.get, subscription.status.set, email.unsubscribe and "
        f"email.hard_bounces; and email.status where a topic is mapped to {GLOBAL_TARGET}",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http
        self._groups_by_topic = {
            t: thing for t, thing in config.topics.items() if thing != GLOBAL_TARGET
        }

    def check(self) -> CheckReport:
        """See Connector. Groups can't be listed, so none is named as unmapped."""
        problems = [
            *mapping_problems(self._config, "subscription group", numeric_ids=False),
            *self._config_problems(),
        ]
        today = self._http.now().date()
        try:
            with open_client(self._config, self._http) as workspace:
                workspace.find_unsubscribed_groups(EMAIL, [_PROBE_ADDRESS])
                for route, _ in EMAIL_EVENT_ROUTES:
                    workspace.list_email_events(
                        route, BrazeCursor(today - OVERLAP), today + OVERLAP
                    )
                problems += self._group_problems(workspace)
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the URL, the API key and its permissions")
            )
        return CheckReport(tuple(problems))

    def _group_problems(self, client: BrazeClient) -> Iterator[str]:
        for topic, group in sorted(self._groups_by_topic.items()):
            try:
                client.ensure_group_exists(group, EMAIL, _PROBE_ADDRESS)
            except RequestRejected:
                yield (
                    f"topic {topic} is mapped to {group!r}, which Braze takes for no "
                    f"subscription group: map it to a group's id, or write {GLOBAL_TARGET}"
                )

    def _config_problems(self) -> Iterator[str]:
        yield from account_switch_problems(self._config, GLOBAL_TARGET, "subscription group")
        if self._config.create_contacts and self._groups_by_topic:
            yield (
                f"{CREATE_CONTACTS}: Braze keeps no group's state for an address that nobody "
                f"there has: take the setting away, or map the one topic to {GLOBAL_TARGET}"
            )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Who is there is told, opt-outs first, 50 a request."""
        if not batch:
            return {}
        self._validate_batch(batch)
        with open_client(self._config, self._http) as workspace:
            change, ask = partial(self._set_state, workspace), not self._config.create_contacts
            return run_steps(
                batch, list(build_steps(workspace, EMAIL, batch, change, existing_only=ask))
            )

    def _validate_batch(self, batch: Sequence[PushItem]) -> None:
        validate_batch(batch, self._config, self.capabilities)
        for problem in self._config_problems():
            raise UnsupportedByDestination(f"{self._config.name}: {problem}")

    def _set_state(
        self, client: BrazeClient, topic: str, state: str, addresses: Sequence[str]
    ) -> None:
        if group := self._groups_by_topic.get(topic):
            client.set_group_state(group, state, EMAIL, addresses)
        else:
            client.set_email_state(state, addresses)

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. All groups at once; whether somebody left all email, one by one.

        Only those are asked about one by one who are still in a group that a topic maps to.
        """
        if not batch:
            return {}
        self._validate_batch(batch)
        today = self._http.now().date()
        with open_client(self._config, self._http) as workspace:
            held, _ = find_off_groups(workspace, EMAIL, batch)
            return {
                item.ref: off
                for item in batch
                if item.ref in held
                for off in self._off_topics(workspace, item.address, held[item.ref], today)
            }

    def _off_topics(
        self, client: BrazeClient, address: str, off_groups: frozenset[str] | None, today: date
    ) -> Iterator[frozenset[str] | None]:
        """The one answer about an address; none if it could not be read."""
        everything = frozenset(self._config.topics)
        if off_groups is None:
            yield None
            return
        off = frozenset(
            topic for topic, group in self._groups_by_topic.items() if group in off_groups
        )
        with suppress(UnexpectedResponse):
            left = off != everything and client.is_unsubscribed_from_all(address, today)
            yield everything if left else off

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See Pullable. Who unsubscribed from all email, and hard bounces.

        Who left a single group can't be listed: that is seen when an address is read.
        """
        place, today = BrazeCursor.parse(cursor), self._http.now().date()
        route, kind = EMAIL_EVENT_ROUTES[place.list_index]
        with open_client(self._config, self._http) as workspace:
            rows = workspace.list_email_events(route, place, today + OVERLAP)
        whole = GLOBAL_TARGET if GLOBAL_TARGET in self._config.topics.values() else None
        thing = whole if kind is VendorEventKind.OPTED_OUT else None
        following, done = place.advance(len(rows), len(EMAIL_EVENT_ROUTES), today)
        news = (
            VendorEvent(kind, row.email, thing, occurred_at=row.occurred_at)
            for row in rows
            if row.email
        )
        return ContactPage(tuple(news), str(following), done)


class BrazeMultiChannel(MultiChannelConnector):
    """One Braze workspace, for email and SMS."""

    kind: ClassVar[str] = Braze.kind
    capabilities: ClassVar[Capabilities] = replace(
        Braze.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Braze.settings
    connector_factories: ClassVar[ConnectorFactories] = {
        Channel.EMAIL: Braze,
        Channel.SMS: BrazeSms,
    }


SPEC = ConnectorSpec(
    kind=Braze.kind,
    tested_against=TestedAgainst.DOCUMENTATION,
    tested_version="Braze's pages and the community's description of its API, read on 2026-11-27",
    capabilities=BrazeMultiChannel.capabilities,
    own_settings=Braze.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS_URL}/endpoints/subscription_groups/post_update_user_subscription_group_status_v2/",
        f"{_DOCS_URL}/endpoints/subscription_groups/get_list_user_subscription_groups/",
        f"{_DOCS_URL}/endpoints/subscription_groups/get_list_user_subscription_group_status/",
        f"{_DOCS_URL}/endpoints/email/get_query_unsubscribed_email_addresses/",
        f"{_DOCS_URL}/api_limits/",
    ),
    build=BrazeMultiChannel,
    notes=(
        f"Map each topic to the id of an email group, or the only one to `{GLOBAL_TARGET}`.",
        "Who leaves a single group in Braze is only seen when the address is read back.",
        "Map a topic that goes by SMS to the id of an SMS subscription group.",
        "Braze can't list users by change: who is added there is found when looked for again.",
        f"`{CREATE_CONTACTS}` adds no user, but tells the state of an address for when one has it.",
    ),
)
