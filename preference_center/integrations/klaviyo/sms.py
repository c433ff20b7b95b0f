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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
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
    PushItem,
    PushOutcome,
    PushResult,
)
from preference_center.domain.vendor_events import ALL_SMS, VendorEvent, VendorEventKind
from preference_center.integrations.base.batching import PushStep, run_steps
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.base.mapping import validate_batch
from preference_center.integrations.base.sms_switch import SmsSwitchConnector
from preference_center.integrations.klaviyo.client import KlaviyoClient, open_client
from preference_center.integrations.klaviyo.listing import next_listing_page
from preference_center.integrations.klaviyo.models import SUBSCRIBED, UNSUBSCRIBED, KlaviyoProfile
from preference_center.integrations.klaviyo.profiles import find_profiles, read_absent

UNSUBSCRIBE_JOB, SUBSCRIBE_JOB = (
    "profile-subscription-bulk-delete-job",
    "profile-subscription-bulk-create-job",
)
JOB_RECHECK_DELAY = timedelta(seconds=30)
_PROBE_NUMBER = "+15005550006"
"""Klaviyo's own example of a number."""


class KlaviyoSms(SmsSwitchConnector):
    """The phone numbers of one Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset(SupportedScope),
        can_lift=True,
        batch_size=100,
        rate_limit=RateLimit(450, 60, burst=10),
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        off_means_opt_out=False,
    )
    credentials_hint: ClassVar[str] = "the API key and its scopes"

    def _find_problems(self) -> Iterable[str]:
        with open_client(self._config, self._http) as account:
            account.find_profiles_by_phone([_PROBE_NUMBER])
        return ()

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Unsubscribes first."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            known, others = find_profiles(account.find_profiles_by_phone, batch)
            here = [item for item in batch if item.ref in known]
            off = [i for i in here if i.off and known[i.ref].sms_consent.consent != UNSUBSCRIBED]
            lifted = [i for i in here if i.lift and not known[i.ref].sms_consent.is_subscribed]
            steps = [
                *_job_steps(off, partial(_request_unsubscribe, account)),
                *_job_steps(lifted, partial(_request_subscribe, account)),
            ]
            return run_steps(batch, steps) | others

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See SupportsRead. Numbers that never subscribed are off, too."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as account:
            known, others = find_profiles(account.find_profiles_by_phone, batch)
        return read_absent(others) | {
            ref: self._off_topics(profile) for ref, profile in known.items()
        }

    def _off_topics(self, profile: KlaviyoProfile) -> frozenset[str]:
        return self._all_topics(off=not profile.sms_consent.is_subscribed)

    def scan(self, cursor: str | None) -> ContactPage[ContactSnapshot]:
        """See SupportsScan. Profiles that were created or changed."""
        profiles, following, done = self._list_updated(cursor)
        rows = (
            ContactSnapshot(p.phone, Channel.SMS, off=self._off_topics(p))
            for p in profiles
            if p.phone
        )
        return ContactPage(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> ContactPage[VendorEvent]:
        """See SupportsPull. Profiles that changed and are unsubscribed.

        Changes of SMS consents can't be listed, and who made them is not reported.
        """
        profiles, following, done = self._list_updated(cursor)
        rows = (
            VendorEvent(
                VendorEventKind.OPTED_OUT,
                p.phone,
                ALL_SMS,
                p.sms_consent.changed_at,
                channel=Channel.SMS,
            )
            for p in profiles
            if p.phone and p.sms_consent.consent == UNSUBSCRIBED and not p.sms_consent.is_subscribed
        )
        return ContactPage(tuple(rows), following, done)

    def _list_updated(self, cursor: str | None) -> tuple[list[KlaviyoProfile], str, bool]:
        with open_client(self._config, self._http) as account:
            rows, following, done = next_listing_page(
                cursor,
                1,
                self._http.now(),
                lambda _, since, page: account.list_updated(since, page),
            )
        return [profile for _, profile in rows], following, done

    def find(self, contact_ids: Sequence[str]) -> Mapping[str, str]:
        """See SupportsFind."""
        with open_client(self._config, self._http) as account:
            return account.find_addresses(
                contact_ids, lambda profile: profile.phone, "phone_number"
            )


def _job_steps(
    items: Sequence[PushItem], call: Callable[[Sequence[PushItem]], Mapping[int, PushOutcome]]
) -> Iterator[PushStep]:
    if items:
        yield PushStep(tuple(item.ref for item in items), partial(call, items))


def _request_unsubscribe(
    client: KlaviyoClient, items: Sequence[PushItem]
) -> Mapping[int, PushOutcome]:
    """Reflected once the profile shows it: a job is only accepted (202)."""
    asked = _request_consent(client, UNSUBSCRIBE_JOB, UNSUBSCRIBED, items)
    after = client.find_profiles_by_phone([item.address for item in items if item.ref in asked])
    waiting = PushOutcome(PushResult.RETRY_LATER, "202: not done yet", JOB_RECHECK_DELAY)
    done = {
        item.ref: PushOutcome(PushResult.REFLECTED, "202")
        for item in items
        if item.address in after and not after[item.address].sms_consent.is_subscribed
    }
    return {
        item.ref: done.get(
            item.ref, waiting if item.ref in asked else PushOutcome(PushResult.REFUSED, "400")
        )
        for item in items
    }


def _request_subscribe(
    client: KlaviyoClient, items: Sequence[PushItem]
) -> Mapping[int, PushOutcome]:
    """Accepted is enough: with double opt-in the person has to answer a text message."""
    asked = _request_consent(client, SUBSCRIBE_JOB, SUBSCRIBED, items)
    return {
        item.ref: PushOutcome(PushResult.REFLECTED, "202")
        if item.ref in asked
        else PushOutcome(PushResult.REFUSED, "400")
        for item in items
    }


def _request_consent(
    client: KlaviyoClient, job_type: str, consent: str, items: Sequence[PushItem]
) -> frozenset[int]:
    """The refs of the accepted numbers."""
    taken = send_bisecting(
        items,
        lambda some: client.create_consent_job(job_type, consent, [item.address for item in some]),
    )
    return frozenset(item.ref for part, _ in taken for item in part)
