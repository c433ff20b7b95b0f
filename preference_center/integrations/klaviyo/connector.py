"""Klaviyo: a topic is a list; an opt-out from all marketing may also be a suppression.

https://developers.klaviyo.com/en/reference/remove_profiles_from_list
https://developers.klaviyo.com/en/reference/bulk_suppress_profiles
People are removed from a list, which stops just that list, at once. They are not
"unsubscribed" from it: that takes effect later, then stops all marketing to anyone who is no
longer on the list, and creates profiles for addresses that Klaviyo does not know (I10).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.klaviyo.client import (
    ACCOUNT_URL,
    OVERLAP,
    KlaviyoAccountConnector,
    KlaviyoClient,
    KlaviyoProfile,
)
from preference_center.integrations.klaviyo.sms import (
    MISSING_PROFILE_ID,
    SUPPRESS_JOB,
    UNSUPPRESS_JOB,
    KlaviyoSms,
    add_to_list,
    bulk_job_steps,
    is_user_suppressed,
    remove_from_list,
    to_vendor_events,
)

SUPPRESS_SETTING = "suppress_all"
_DOCS_URL = "https://developers.klaviyo.com/en/reference"


class Klaviyo(
    KlaviyoAccountConnector,
    runtime.ReadableApiConnector[KlaviyoClient],
    runtime.ContactFieldConnector[KlaviyoClient],
    runtime.RequestedErasureConnector[KlaviyoClient],
):
    """One Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        scopes=frozenset(runtime.SupportedScope),
        can_lift=True,
        batch_size=100,
        # Changes of lists: 10 a second, 150 a minute; other requests 75 and 750. At most
        # every third request is a change.
        rate_limit=runtime.RateLimit(450, 60, burst=10),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        can_write_fields=True,
        can_hold_link=True,
        off_means_opt_out=False,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        erase_note="The profile is deleted with its lists, consent and suppressions, and removed "
        "from the events, minutes or hours later; Klaviyo lists deleted profiles. A number is "
        "taken from a profile that also has an email address.",
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {
        "api_key": "a private API key with the scopes lists:read, lists:write, profiles:read, "
        "profiles:write and subscriptions:write; and data-privacy:write to erase people",
        "suppress_all?": "yes: an opt-out from all marketing is also a suppression, which stops "
        "flows and segments; only where no service mail goes through this account",
        "base_url?": "another address of the API, for tests",
    }
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="list",
        credentials_hint="the API key and its scopes",
        api_url=ACCOUNT_URL,
        all_mail_setting=SUPPRESS_SETTING,
    )

    def list_targets(self, client: KlaviyoClient) -> Iterator[runtime.Target]:
        """See ApiConnector."""
        for row in runtime.list_all(client.list_lists):
            if row.id:
                yield runtime.Target(row.id, row.attributes.name)

    def find_problems(self, client: KlaviyoClient) -> Iterator[str]:
        """See ApiConnector."""
        client.find_profiles([runtime.PROBE_ADDRESS])
        yield from super().find_problems(client)

    def prepare(self, client: KlaviyoClient, addresses: Sequence[str]) -> None:
        """See ApiConnector. Unknown addresses are left out: bulk jobs would create profiles."""
        client.look_up(addresses)

    def push_batch(self, client: KlaviyoClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Removes from lists first, then suppresses, then adds to lists."""
        changed = [item for item in batch if item.off or item.lift]
        known = [item for item in changed if item.address in client.profiles]
        whole = [item for item in known if self.sets_all_mail_switch(item)]
        single = [item for item in known if not self.sets_all_mail_switch(item)]
        lifts_suppression = self.config.settings.get(SUPPRESS_SETTING) == "yes"
        freed = [
            item
            for item in single
            if item.lift and lifts_suppression and is_user_suppressed(client.profiles[item.address])
        ]
        pending = [item for item in whole if not client.profiles[item.address].is_fully_suppressed]
        steps = [
            *self._list_steps(single, lambda i: i.off, partial(remove_from_list, client)),
            *bulk_job_steps(client, SUPPRESS_JOB, pending, is_done=lambda p: p.is_fully_suppressed),
            *bulk_job_steps(
                client, UNSUPPRESS_JOB, freed, is_done=lambda p: not is_user_suppressed(p)
            ),
            *self._list_steps(single, lambda i: i.lift, partial(add_to_list, client)),
        ]
        unknown = {
            item.ref: client.unknown.get(item.address, runtime.retry_later())
            for item in changed
            if item.address not in client.profiles
        }
        return runtime.run_steps(batch, steps) | unknown

    def _list_steps(
        self,
        items: runtime.Items,
        topics_of: Callable[[runtime.PushItem], Collection[str]],
        call: Callable[[str, runtime.Items], runtime.Outcomes],
    ) -> Iterator[runtime.PushStep]:
        for topic, list_ in sorted(self.config.topics.items()):
            if listed := [item for item in items if topic in topics_of(item)]:
                refs = tuple(item.ref for item in listed)
                yield runtime.PushStep(refs, partial(call, list_, listed))

    def read_batch(self, client: KlaviyoClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector. A topic is off for everybody who isn't on its list."""
        topics, profiles = self.config.topics, client.profiles
        members = {t: client.find_list_members(i, [*profiles]) for t, i in topics.items()}
        off: dict[str, frozenset[str] | None] = dict.fromkeys(client.absent)
        for address, profile in profiles.items():
            suppressed = {suppression.list_id for suppression in profile.list_suppressions}
            off[address] = frozenset(
                topic
                for topic, list_ in topics.items()
                if profile.is_fully_suppressed
                or address not in members[topic]
                or list_ in suppressed
            )
        return {item.ref: off[item.address] for item in batch if item.address in off}

    def write_field_group(
        self, client: KlaviyoClient, field: str, items: runtime.FieldItems
    ) -> runtime.Outcomes:
        """See ContactFieldConnector. Writes a custom property, which need not exist yet."""
        (item,) = items
        profile = client.profiles.get(item.address)
        if profile is None:
            return {item.ref: client.unknown.get(item.address, runtime.retry_later())}
        if not profile.id:
            return {item.ref: MISSING_PROFILE_ID}
        is_written = client.set_property(profile, field, item.value)
        return {item.ref: runtime.acknowledged(is_written, profile.id)}

    def holds_contact(self, client: KlaviyoClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector. An address that Klaviyo calls invalid is nobody's."""
        if item.address not in client.profiles.keys() | client.unknown.keys():
            raise runtime.UnexpectedResponse("an address was not looked up")
        return item.address in client.profiles

    def request_erasures(
        self, client: KlaviyoClient, items: runtime.EraseItems
    ) -> runtime.Outcomes:
        """See RequestedErasureConnector."""
        outcomes = {i.ref: client.request_deletion(client.profiles[i.address]) for i in items}
        return {ref: outcome for ref, outcome in outcomes.items() if outcome}

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. Profiles that joined one of the mapped lists."""
        sources = (partial(KlaviyoClient.list_joined, list_id=each) for each in self._lists())
        page = self.changes_page(cursor, *sources, overlap=OVERLAP, restart_on_rejection=True)
        return page.expand(self._to_snapshots)

    def _to_snapshots(self, profile: KlaviyoProfile) -> Iterator[runtime.ContactSnapshot]:
        if profile.email:
            link = self.config.link_value(profile.attributes.properties)
            yield runtime.ContactSnapshot(profile.email, link=link)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Suppressions of all marketing, then of each mapped list."""
        sources = (partial(_list_events, list_id=each) for each in (None, *self._lists()))
        return self.changes_page(cursor, *sources, overlap=OVERLAP, restart_on_rejection=True)

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with self.open_client() as client:
            return client.find_addresses(contact_ids, lambda profile: profile.email, "email")

    def _lists(self) -> list[str]:
        return sorted(set(self.config.topics.values()))


def _list_events(
    client: KlaviyoClient, since: datetime | None, token: str, *, list_id: str | None
) -> tuple[list[runtime.VendorEvent], str]:
    rows, following = client.list_suppressed(since, token, list_id=list_id)
    return [event for row in rows for event in to_vendor_events(row, list_id)], following


class KlaviyoMultiChannel(runtime.MultiChannelConnector, email=Klaviyo, sms=KlaviyoSms):
    """One Klaviyo account, for email and SMS."""


SPEC = runtime.ConnectorSpec.of(
    KlaviyoMultiChannel,
    tested_against=runtime.TestedAgainst.VENDOR_DESCRIPTION,
    tested_version="the description of revision 2026-07-15",
    secrets={"api_key"},
    sources=(
        f"{_DOCS_URL}/remove_profiles_from_list",
        f"{_DOCS_URL}/get_profiles_for_list",
        f"{_DOCS_URL}/get_profiles",
        f"{_DOCS_URL}/bulk_suppress_profiles",
        f"{_DOCS_URL}/bulk_unsubscribe_profiles",
        f"{_DOCS_URL}/request_profile_deletion",
    ),
    notes=(
        (
            "Lists stop campaigns to that list. Flows and mail to segments are only stopped by "
            "a suppression: set suppress_all, or have them check the list."
        ),
        "A flow that starts when somebody is added to a list also starts after a lift.",
        "Flows that are marked transactional are sent to suppressed profiles, too.",
        "Map a topic that goes by SMS to `sms`: there is one consent for all marketing by SMS.",
        "Where the account uses double opt-in for SMS, a lift sends the person a text to answer.",
        "Its webhook needs Advanced KDP or a partner's app. Otherwise reading finds opt-outs.",
    ),
    open_points=(
        (
            "People are removed from a list, not unsubscribed: Klaviyo does that later, from "
            "everything if the person has left by then, and creates profiles. So only our scan "
            "keeps an opt-out from a list when an import adds the person again."
        ),
        (
            "Not documented: how long a cursor stays valid (after a rejected one a listing "
            "begins again), whether a lookup may name an address that Klaviyo calls invalid (the "
            "batch is halved), how long a deletion takes (requested again after a day, until the "
            "profile is found no more), and whether a suppression outlives the profile (we "
            "assume not)."
        ),
    ),
)
