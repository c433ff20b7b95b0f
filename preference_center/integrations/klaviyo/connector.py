"""Klaviyo: a topic is a list; an opt-out from all marketing may also be a suppression.

https://developers.klaviyo.com/en/reference/remove_profiles_from_list
https://developers.klaviyo.com/en/reference/bulk_suppress_profiles
People are removed from a list, which stops just that list, at once. They are not
"unsubscribed" from it: that takes effect later, then stops all marketing to whoever is no
longer on the list, and creates profiles for addresses that Klaviyo does not know (I10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import (
    Capabilities,
    ListingMode,
    RateLimit,
    SupportedScope,
)
from preference_center.domain.sync.contract import (
    ContactPage,
    ContactSnapshot,
    LinkItem,
    PushItem,
    PushOutcome,
)
from preference_center.domain.vendor_events import VendorEvent
from preference_center.integrations.base.batching import PushStep, run_steps
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.base.multi_channel import (
    ConnectorFactories,
    MultiChannelConnector,
)
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.klaviyo.client import KlaviyoClient, open_client
from preference_center.integrations.klaviyo.listing import next_listing_page, to_vendor_events
from preference_center.integrations.klaviyo.models import KlaviyoProfile
from preference_center.integrations.klaviyo.profiles import (
    SUPPRESS_JOB,
    UNSUPPRESS_JOB,
    add_to_list,
    bulk_job_steps,
    find_profiles,
    is_user_suppressed,
    read_absent,
    remove_from_list,
    write_link,
)
from preference_center.integrations.klaviyo.sms import KlaviyoSms

_DOCS_URL = "https://developers.klaviyo.com/en/reference"


class Klaviyo:
    """One Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.EMAIL}),
        scopes=frozenset(SupportedScope),
        can_lift=True,
        batch_size=100,
        # Changes of lists: 10 a second, 150 a minute; other requests 75 and 750. At most
        # every third request is a change.
        rate_limit=RateLimit(450, 60, burst=10),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        can_hold_link=True,
        off_means_opt_out=False,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a private API key with the scopes lists:read, lists:write, profiles:read, "
        "profiles:write and subscriptions:write",
        "suppress_all?": "yes: an opt-out from all marketing is also a suppression, which stops "
        "flows and segments; only where no service mail goes through this account",
        "base_url?": "another base URL of the API, for tests",
    }

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    @property
    def _suppresses_all(self) -> bool:
        return self._config.settings.get("suppress_all") == "yes"

    def check(self) -> CheckReport:
        """See Connector. Also reports which lists no topic maps to."""
        topics = self._config.topics
        problems = [
            *mapping_problems(self._config, "list", numeric_ids=False),
            *self._find_problems(),
        ]
        try:
            with open_client(self._config, self._http) as account:
                lists = account.list_lists()
                account.find_profiles(["preference-center-check@example.com"])
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check the API key and its scopes"))
        problems += [
            f"topic {topic} is mapped to list {list_}, which the account does not have: "
            "map it to a list that exists"
            for topic, list_ in sorted(topics.items())
            if list_ not in lists
        ]
        unmapped = [f"{lists[i]} ({i})" for i in lists if i not in topics.values()]
        return CheckReport(tuple(problems), tuple(unmapped))

    def _find_problems(self) -> Iterator[str]:
        if self._config.settings.get("suppress_all", "no") not in {"yes", "no"}:
            yield "suppress_all: write yes or no"
        if self._suppresses_all and self._config.sends_service:
            yield (
                "suppress_all would stop the service mail that no flow marked transactional "
                "sends: remove the setting, so that opt-outs are held by lists alone (I10)"
            )

    def _may_suppress_all(self, item: PushItem) -> bool:
        """Whether a suppression stops no more than the person opted out of (I10)."""
        return (
            self._suppresses_all
            and not self._config.sends_service
            and item.all_off
            and item.off >= self._config.topics.keys()
        )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Removes from lists first, then suppresses, then adds to lists."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            known, others = find_profiles(account.find_profiles, batch)
            steps = self._build_steps(account, [item for item in batch if item.ref in known], known)
            return run_steps(batch, steps) | others

    def _build_steps(
        self,
        client: KlaviyoClient,
        items: Sequence[PushItem],
        profiles_by_ref: Mapping[int, KlaviyoProfile],
    ) -> list[PushStep]:
        whole = [i for i in items if self._may_suppress_all(i)]
        single = [i for i in items if not self._may_suppress_all(i)]
        freed = [
            i
            for i in single
            if i.lift and self._suppresses_all and is_user_suppressed(profiles_by_ref[i.ref])
        ]
        pending = [i for i in whole if not profiles_by_ref[i.ref].is_fully_suppressed]
        return [
            *self._list_steps(single, lambda i: i.off, partial(remove_from_list, client)),
            *bulk_job_steps(client, SUPPRESS_JOB, pending, is_done=lambda p: p.is_fully_suppressed),
            *bulk_job_steps(
                client, UNSUPPRESS_JOB, freed, is_done=lambda p: not is_user_suppressed(p)
            ),
            *self._list_steps(
                single, lambda i: i.lift, partial(add_to_list, client, profiles_by_ref)
            ),
        ]

    def _list_steps(
        self,
        items: Sequence[PushItem],
        topics_of: Callable[[PushItem], Collection[str]],
        call: Callable[[str, Sequence[PushItem]], Mapping[int, PushOutcome]],
    ) -> Iterator[PushStep]:
        for topic, list_ in sorted(self._config.topics.items()):
            if some := [item for item in items if topic in topics_of(item)]:
                yield PushStep(tuple(i.ref for i in some), partial(call, list_, some))

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead. A topic is off for everybody who isn't on its list."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            known, others = find_profiles(account.find_profiles, batch)
            there = [item for item in batch if item.ref in known]
            addresses = [item.address for item in there]
            members = {
                t: account.find_list_members(i, addresses) for t, i in self._config.topics.items()
            }
        return read_absent(others) | {
            item.ref: frozenset(
                topic
                for topic, list_ in self._config.topics.items()
                if known[item.ref].is_fully_suppressed
                or item.address not in members[topic]
                or list_ in {s.list_id for s in known[item.ref].list_suppressions}
            )
            for item in there
        }

    def write_links(self, batch: Sequence[LinkItem]) -> Mapping[int, PushOutcome]:
        """See SupportsLinkField. Writes a custom property, which need not exist yet."""
        field = self._config.link_field
        if not batch or field is None:
            return {}
        items = [PushItem(i.ref, i.address, i.channel) for i in batch]
        with open_client(self._config, self._http) as account:
            known, others = find_profiles(account.find_profiles, items)
            steps = [
                PushStep((i.ref,), partial(write_link, account, known[i.ref], i, field))
                for i in batch
                if i.ref in known
            ]
            return run_steps(items, steps) | others

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan. Profiles that joined one of the mapped lists."""
        lists = sorted(set(self._config.topics.values()))
        with open_client(self._config, self._http) as account:
            profiles, following, done = next_listing_page(
                cursor,
                len(lists),
                self._http.now(),
                lambda source, since, page: account.list_joined(lists[source], since, page),
            )
        link_in = self._config.link_value
        rows = (
            ContactSnapshot(p.email, link=link_in(p.attributes.properties))
            for _, p in profiles
            if p.email
        )
        return ContactPage(tuple(rows), following, done)

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with open_client(self._config, self._http) as account:
            return account.find_addresses(contact_ids, lambda profile: profile.email, "email")

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Suppressions of all marketing, then of each mapped list."""
        lists = [None, *sorted(set(self._config.topics.values()))]
        with open_client(self._config, self._http) as account:
            profiles, following, done = next_listing_page(
                cursor,
                len(lists),
                self._http.now(),
                lambda source, since, page: account.list_suppressed(
                    since, page, list_id=lists[source]
                ),
            )
        rows = (
            event
            for source, profile in profiles
            for event in to_vendor_events(profile, lists[source])
        )
        return ContactPage(tuple(rows), following, done)


class KlaviyoMultiChannel(MultiChannelConnector):
    """One Klaviyo account, for email and SMS."""

    kind: ClassVar[str] = Klaviyo.kind
    capabilities: ClassVar[Capabilities] = replace(
        Klaviyo.capabilities, channels=frozenset({Channel.EMAIL, Channel.SMS})
    )
    settings: ClassVar[Mapping[str, str]] = Klaviyo.settings
    connector_factories: ClassVar[ConnectorFactories] = {
        Channel.EMAIL: Klaviyo,
        Channel.SMS: KlaviyoSms,
    }


SPEC = ConnectorSpec(
    kind=Klaviyo.kind,
    tested_against=TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of revision 2026-07-15",
    capabilities=KlaviyoMultiChannel.capabilities,
    own_settings=Klaviyo.settings,
    secret_settings=frozenset({"api_key"}),
    sources=(
        f"{_DOCS_URL}/remove_profiles_from_list",
        f"{_DOCS_URL}/get_profiles_for_list",
        f"{_DOCS_URL}/get_profiles",
        f"{_DOCS_URL}/bulk_suppress_profiles",
        f"{_DOCS_URL}/bulk_unsubscribe_profiles",
    ),
    build=KlaviyoMultiChannel,
    notes=(
        (
            "Lists stop campaigns to that list. Flows and mail to segments are only stopped by "
            "a suppression: set suppress_all, or have them check the list."
        ),
        "A flow that starts when somebody is added to a list also starts after a lift.",
        "Map a topic that goes by SMS to `sms`: there is one consent for all marketing by SMS.",
        "Where the account uses double opt-in for SMS, a lift sends the person a text to response.",
        "Its webhook needs Advanced KDP or a partner's app. Otherwise reading finds opt-outs.",
    ),
)
