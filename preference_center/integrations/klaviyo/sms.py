"""This module changes Klaviyo's lists, suppressions and consents to marketing by SMS.

`KlaviyoSms` changes the one consent to all marketing by SMS that each phone number has:
https://developers.klaviyo.com/en/reference/bulk_unsubscribe_profiles
https://developers.klaviyo.com/en/reference/bulk_subscribe_profiles
https://developers.klaviyo.com/en/docs/collect_email_and_sms_consent_via_api
A list holds people for every channel: removing somebody from one would stop their email too,
so no topic by SMS is mapped to a list (I10). Transactional messages have a consent of their
own, which is not changed (I4). The bulk jobs create profiles for numbers that Klaviyo does
not know, so profiles are looked up first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, cast

from preference_center.integrations.base import runtime
from preference_center.integrations.klaviyo.client import (
    ACCOUNT_URL,
    OVERLAP,
    SUBSCRIBED,
    UNSUBSCRIBED,
    KlaviyoAccountConnector,
    KlaviyoClient,
    KlaviyoProfile,
)

SUPPRESS_JOB, UNSUPPRESS_JOB = (
    "profile-suppression-bulk-create-job",
    "profile-suppression-bulk-delete-job",
)


JOB_RECHECK_DELAY = timedelta(seconds=30)


MISSING_PROFILE_ID = runtime.retry_later("the response has no id for the profile")
"""Changes of lists name profiles by id; a response may have null instead of one."""


USER_SUPPRESSED = "USER_SUPPRESSED"
"""Klaviyo's reason of a suppression by an API call or an import."""


EVENT_KIND_BY_REASON = {
    "UNSUBSCRIBE": runtime.VendorEventKind.OPTED_OUT,
    USER_SUPPRESSED: runtime.VendorEventKind.OPTED_OUT,
    "SPAM_COMPLAINT": runtime.VendorEventKind.COMPLAINED,
    "HARD_BOUNCE": runtime.VendorEventKind.BOUNCED,
    "INVALID_EMAIL": runtime.VendorEventKind.BOUNCED,
}


def remove_from_list(client: KlaviyoClient, list_id: str, items: runtime.Items) -> runtime.Outcomes:
    """Remove those of `items` who are on a list from it."""
    members = client.find_list_members(list_id, [item.address for item in items])
    named = {address: profile for address, profile in members.items() if profile.id}
    if named:
        client.remove_from_list(list_id, named.values())
    outcomes = dict.fromkeys(named, runtime.reflected("204"))
    outcomes |= dict.fromkeys(members.keys() - named.keys(), MISSING_PROFILE_ID)
    unchanged = runtime.reflected("not on it")
    return {item.ref: outcomes.get(item.address, unchanged) for item in items}


def add_to_list(client: KlaviyoClient, list_id: str, items: runtime.Items) -> runtime.Outcomes:
    """Add `items`, whose profiles were looked up, to a list."""
    named = {item.ref: client.profiles[item.address] for item in items}
    named = {ref: profile for ref, profile in named.items() if profile.id}
    if named:
        client.add_to_list(list_id, named.values())
    outcomes = dict.fromkeys((item.ref for item in items), MISSING_PROFILE_ID)
    return outcomes | dict.fromkeys(named, runtime.reflected("204"))


def bulk_job_steps(
    client: KlaviyoClient,
    job_type: str,
    items: runtime.Items,
    *,
    is_done: Callable[[KlaviyoProfile], bool],
) -> Iterator[runtime.PushStep]:
    """A job is only accepted (202); items are reflected once their profiles show it."""

    def call() -> runtime.Outcomes:
        addresses = [item.address for item in items]
        job = client.create_bulk_job(job_type, addresses)
        after = client.find_profiles(addresses)
        waiting = runtime.retry_later(f"{job}: not done yet", JOB_RECHECK_DELAY)
        return {
            item.ref: runtime.reflected(job)
            if item.address in after and is_done(after[item.address])
            else waiting
            for item in items
        }

    if items:
        yield runtime.PushStep(tuple(item.ref for item in items), call)


def is_user_suppressed(profile: KlaviyoProfile) -> bool:
    """Whether an API call or an import suppresses the profile, possibly among other reasons."""
    return any(suppression.reason == USER_SUPPRESSED for suppression in profile.suppressions)


def to_vendor_events(profile: KlaviyoProfile, list_id: str | None) -> Iterator[runtime.VendorEvent]:
    """A profile's suppressions: those of one list, or those of all marketing."""
    if not profile.email:
        return
    for suppression in () if list_id else profile.suppressions:
        if kind := EVENT_KIND_BY_REASON.get(suppression.reason):
            yield runtime.VendorEvent(kind, profile.email, occurred_at=suppression.timestamp)
    for each in profile.list_suppressions if list_id else ():
        if each.list_id == list_id:
            yield runtime.VendorEvent(
                runtime.VendorEventKind.OPTED_OUT, profile.email, list_id, each.timestamp
            )


UNSUBSCRIBE_JOB, SUBSCRIBE_JOB = (
    "profile-subscription-bulk-delete-job",
    "profile-subscription-bulk-create-job",
)


_PROBE_NUMBER = "+15005550006"
"""Klaviyo's own example of a number."""


@dataclass(frozen=True)
class _RemotePhone(runtime.RemoteContact):
    profile: KlaviyoProfile = field(default_factory=KlaviyoProfile)


class KlaviyoSms(
    KlaviyoAccountConnector,
    runtime.ListedSmsConnector[KlaviyoClient],
    runtime.RequestedErasureConnector[KlaviyoClient],
):
    """The phone numbers of one Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[runtime.Capabilities] = runtime.Capabilities(
        channels=frozenset({runtime.Channel.SMS}),
        scopes=frozenset(runtime.SupportedScope),
        can_lift=True,
        batch_size=100,
        rate_limit=runtime.RateLimit(450, 60, burst=10),
        can_read=True,
        scans=runtime.ListingMode.CHANGES,
        pulls=runtime.ListingMode.CHANGES,
        off_means_opt_out=False,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        confirms_erasure=True,
    )
    rules: ClassVar[runtime.ConnectorRules] = runtime.ConnectorRules(
        target_noun="switch",
        credentials_hint="the API key and its scopes",
        api_url=ACCOUNT_URL,
        group_size=100,
        by_target=True,
        lookups=runtime.LookupMode.ALL,
        compares_contacts=True,
    )

    def find_problems(self, client: KlaviyoClient) -> Iterator[str]:
        """See ApiConnector."""
        client.find_profiles_by_phone([_PROBE_NUMBER])
        yield from super().find_problems(client)

    def fetch_contacts(
        self,
        client: KlaviyoClient,
        addresses: Sequence[str],
        target_ids: Collection[str],  # noqa: ARG002 - there is one
    ) -> runtime.RemoteContacts:
        """See MappedConnector. Numbers that never subscribed are off, too."""
        found: dict[str, runtime.RemoteContact | None] = dict.fromkeys(addresses)
        for number, profile in client.find_profiles_by_phone(addresses).items():
            reason = None if profile.sms_consent.is_subscribed else "not subscribed"
            found[number] = _RemotePhone(runtime.sms_contact(reason).off_targets, profile)
        return found

    def write_changes(self, client: KlaviyoClient, changes: runtime.Changes) -> runtime.Outcomes:
        """See MappedConnector. With double opt-in the person has to answer a text message."""
        turns_off = bool(changes[0].off)
        pending = [change for change in changes if _differs(change)]
        outcomes = {change.ref: runtime.reflected("nothing to change") for change in changes}
        if not pending:
            return outcomes
        numbers = [change.address for change in pending]
        if not turns_off:  # accepted is enough
            client.create_consent_job(SUBSCRIBE_JOB, SUBSCRIBED, numbers)
            return outcomes | {change.ref: runtime.reflected("202") for change in pending}
        # A job is only accepted (202); a number is reflected once its profile shows it.
        client.create_consent_job(UNSUBSCRIBE_JOB, UNSUBSCRIBED, numbers)
        after = client.find_profiles_by_phone(numbers)
        waiting = runtime.retry_later("202: not done yet", JOB_RECHECK_DELAY)
        for change in pending:
            profile = after.get(change.address)
            is_done = profile is not None and not profile.sms_consent.is_subscribed
            outcomes[change.ref] = runtime.reflected("202") if is_done else waiting
        return outcomes

    def holds_contact(self, client: KlaviyoClient, item: runtime.EraseItem) -> bool:
        """See ErasingConnector."""
        return any(client.list_profiles_by_phone([item.address]))

    def request_erasures(
        self, client: KlaviyoClient, items: runtime.EraseItems
    ) -> runtime.Outcomes:
        """See RequestedErasureConnector. One with an email address too may be somebody else."""
        outcomes: dict[int, runtime.PushOutcome] = {}
        for item in items:
            for profile in client.list_profiles_by_phone([item.address]):
                if not profile.email:
                    outcome = client.request_deletion(profile)
                else:
                    outcome = None if client.clear_phone(profile) else runtime.retry_later()
                if outcome:
                    outcomes[item.ref] = outcome
        return outcomes

    def list_numbers(self, cursor: str | None) -> runtime.ContactPage[runtime.ListedNumber]:
        """See ListedSmsConnector. Changes of SMS consents alone can't be listed."""
        page = self.changes_page(
            cursor, KlaviyoClient.list_updated, overlap=OVERLAP, restart_on_rejection=True
        )
        return page.expand(_to_listed_numbers)

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with self.open_client() as client:
            return client.find_addresses(contact_ids, lambda profile: profile.phone, "phone_number")


def _to_listed_numbers(profile: KlaviyoProfile) -> Iterator[runtime.ListedNumber]:
    consent, is_off = profile.sms_consent, not profile.sms_consent.is_subscribed
    is_opt_out = is_off and consent.consent == UNSUBSCRIBED
    yield runtime.ListedNumber(profile.phone, is_off, is_opt_out, consent.changed_at)


def _differs(change: runtime.TargetChange) -> bool:
    consent = cast("_RemotePhone", change.contact).profile.sms_consent
    return consent.consent != UNSUBSCRIBED if change.off else not consent.is_subscribed
