"""Changing Klaviyo's profiles: membership of lists, bulk jobs, and a custom property."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from preference_center.domain.sync.contract import LinkItem, PushItem, PushOutcome, PushResult
from preference_center.integrations.base.batching import PushStep
from preference_center.integrations.base.bisecting import send_bisecting
from preference_center.integrations.klaviyo.client import KlaviyoClient
from preference_center.integrations.klaviyo.listing import KlaviyoSuppressionReason
from preference_center.integrations.klaviyo.models import KlaviyoProfile

SUPPRESS_JOB, UNSUPPRESS_JOB = (
    "profile-suppression-bulk-create-job",
    "profile-suppression-bulk-delete-job",
)
JOB_RECHECK_DELAY = timedelta(seconds=30)
_MISSING_PROFILE_ID = PushOutcome(PushResult.RETRY_LATER, "the response has no id for the profile")
"""Changes of lists name profiles by id; a response may have null instead of one."""


def find_profiles(
    fetch: Callable[[Sequence[str]], Mapping[str, KlaviyoProfile]], items: Sequence[PushItem]
) -> tuple[dict[int, KlaviyoProfile], dict[int, PushOutcome]]:
    """Ref -> profile of those that are known, and the outcomes of the others."""
    known: dict[int, KlaviyoProfile] = {}
    others = {item.ref: PushOutcome(PushResult.REFUSED, "400") for item in items}
    for part, profiles in send_bisecting(
        items, lambda some: fetch([item.address for item in some])
    ):
        for item in part:
            if profile := profiles.get(item.address):
                known[item.ref] = profile
                del others[item.ref]
            else:
                others[item.ref] = PushOutcome(PushResult.ABSENT, "no profile")
    return known, others


def read_absent(others: Mapping[int, PushOutcome]) -> dict[int, frozenset[str] | None]:
    """What `read` returns for `others` of `find_profiles`: those it could look up."""
    return {ref: None for ref, outcome in others.items() if outcome.result is PushResult.ABSENT}


def remove_from_list(
    client: KlaviyoClient, list_id: str, items: Sequence[PushItem]
) -> Mapping[int, PushOutcome]:
    """Remove those of `items` who are on a list from it."""
    members = client.find_list_members(list_id, [item.address for item in items])
    named = {address: profile for address, profile in members.items() if profile.id}
    if named:
        client.remove_from_list(list_id, named.values())
    done = {address: PushOutcome(PushResult.REFLECTED, "204") for address in named}
    done |= dict.fromkeys(members.keys() - named.keys(), _MISSING_PROFILE_ID)
    untouched = PushOutcome(PushResult.REFLECTED, "not on it")
    return {item.ref: done.get(item.address, untouched) for item in items}


def add_to_list(
    client: KlaviyoClient,
    profiles_by_ref: Mapping[int, KlaviyoProfile],
    list_id: str,
    items: Sequence[PushItem],
) -> Mapping[int, PushOutcome]:
    """Add `items`, whose profiles are known by their refs, to a list."""
    named = [item for item in items if profiles_by_ref[item.ref].id]
    if named:
        client.add_to_list(list_id, [profiles_by_ref[item.ref] for item in named])
    done = {item.ref: PushOutcome(PushResult.REFLECTED, "204") for item in named}
    return {item.ref: done.get(item.ref, _MISSING_PROFILE_ID) for item in items}


def bulk_job_steps(
    client: KlaviyoClient,
    job_type: str,
    items: Sequence[PushItem],
    *,
    is_done: Callable[[KlaviyoProfile], bool],
) -> Iterator[PushStep]:
    """A job is only accepted (202); items are reflected once their profiles show it."""

    def call() -> Mapping[int, PushOutcome]:
        addresses = [item.address for item in items]
        job = client.create_bulk_job(job_type, addresses)
        after = client.find_profiles(addresses)
        return {
            item.ref: PushOutcome(PushResult.REFLECTED, job)
            if item.address in after and is_done(after[item.address])
            else PushOutcome(PushResult.RETRY_LATER, f"{job}: not done yet", JOB_RECHECK_DELAY)
            for item in items
        }

    if items:
        yield PushStep(tuple(item.ref for item in items), call)


def is_user_suppressed(profile: KlaviyoProfile) -> bool:
    """Whether an API call or an import suppresses the profile, possibly among other reasons."""
    return any(
        suppression.reason == KlaviyoSuppressionReason.USER_SUPPRESSED
        for suppression in profile.suppressions
    )


def write_link(
    client: KlaviyoClient, profile: KlaviyoProfile, item: LinkItem, link_field: str
) -> Mapping[int, PushOutcome]:
    """Write a permanent link into a custom property."""
    if not profile.id:
        return {item.ref: _MISSING_PROFILE_ID}
    if client.set_property(profile, link_field, item.link):
        return {item.ref: PushOutcome(PushResult.REFLECTED, profile.id)}
    return {item.ref: PushOutcome(PushResult.RETRY_LATER, "not acknowledged")}
