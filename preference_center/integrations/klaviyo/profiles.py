"""Changing Klaviyo's profiles: membership of lists and suppressions; and their suppressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from preference_center.integrations.base import runtime
from preference_center.integrations.klaviyo.client import KlaviyoClient
from preference_center.integrations.klaviyo.models import KlaviyoProfile

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
