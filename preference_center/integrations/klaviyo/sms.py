"""Klaviyo's SMS consent: one for all marketing by SMS, for each phone number.

https://developers.klaviyo.com/en/reference/bulk_unsubscribe_profiles
https://developers.klaviyo.com/en/reference/bulk_subscribe_profiles
https://developers.klaviyo.com/en/docs/collect_email_and_sms_consent_via_api
A list holds people for every channel: removing somebody from one would stop their email too,
so no topic by SMS is mapped to a list (I10). Transactional messages have a consent of their
own, which is not changed (I4). The bulk jobs create profiles for numbers that Klaviyo does
not know, so profiles are looked up first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, cast

from preference_center.integrations.base import runtime
from preference_center.integrations.klaviyo.client import (
    ACCOUNT_URL,
    OVERLAP,
    KlaviyoAccountConnector,
    KlaviyoClient,
)
from preference_center.integrations.klaviyo.models import SUBSCRIBED, UNSUBSCRIBED, KlaviyoProfile

UNSUBSCRIBE_JOB, SUBSCRIBE_JOB = (
    "profile-subscription-bulk-delete-job",
    "profile-subscription-bulk-create-job",
)
JOB_RECHECK_DELAY = timedelta(seconds=30)
_PROBE_NUMBER = "+15005550006"
"""Klaviyo's own example of a number."""


@dataclass(frozen=True)
class _RemotePhone(runtime.RemoteContact):
    profile: KlaviyoProfile = field(default_factory=KlaviyoProfile)


class KlaviyoSms(
    KlaviyoAccountConnector,
    runtime.MappedSmsConnector[KlaviyoClient],
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

    def scan(self, cursor: str | None) -> runtime.SnapshotPage:
        """See SupportsScan. Profiles that were created or changed."""
        return self._list_updated(cursor).expand(self._to_snapshots)

    def _to_snapshots(self, profile: KlaviyoProfile) -> Iterator[runtime.ContactSnapshot]:
        if profile.phone:
            off = self.all_topics(is_off=not profile.sms_consent.is_subscribed)
            yield runtime.ContactSnapshot(profile.phone, runtime.Channel.SMS, off=off)

    def pull(self, cursor: str | None) -> runtime.EventPage:
        """See SupportsPull. Profiles that changed and are unsubscribed.

        Changes of SMS consents can't be listed, and who made them is not reported.
        """
        return self._list_updated(cursor).expand(_to_vendor_events)

    def _list_updated(self, cursor: str | None) -> runtime.ContactPage[KlaviyoProfile]:
        return self.changes_page(
            cursor, KlaviyoClient.list_updated, overlap=OVERLAP, restart_on_rejection=True
        )

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with self.open_client() as client:
            return client.find_addresses(contact_ids, lambda profile: profile.phone, "phone_number")


def _to_vendor_events(profile: KlaviyoProfile) -> Iterator[runtime.VendorEvent]:
    consent = profile.sms_consent
    if profile.phone and consent.consent == UNSUBSCRIBED and not consent.is_subscribed:
        yield runtime.VendorEvent(
            runtime.VendorEventKind.OPTED_OUT,
            profile.phone,
            runtime.ALL_SMS,
            consent.changed_at,
            channel=runtime.Channel.SMS,
        )


def _differs(change: runtime.TargetChange) -> bool:
    consent = cast("_RemotePhone", change.contact).profile.sms_consent
    return consent.consent != UNSUBSCRIBED if change.off else not consent.is_subscribed
