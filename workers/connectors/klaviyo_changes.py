"""Changing Klaviyo's profiles: on and off lists, bulk jobs, and a custom property."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from workers.connectors.base import Item, LinkItem, Outcome, Result
from workers.connectors.klaviyo_api import Account, Profile
from workers.connectors.klaviyo_listing import Why
from workers.connectors.steps import Step

SUPPRESS, UNSUPPRESS = "profile-suppression-bulk-create-job", "profile-suppression-bulk-delete-job"
JOB_TAKES = timedelta(seconds=30)


def turn_off(account: Account, list_: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Take off a list whoever of `items` is on it."""
    members = account.members(list_, [item.address for item in items])
    if members:
        account.remove(list_, members.values())
    return {
        item.ref: Outcome(Result.REFLECTED, "204" if item.address in members else "not on it")
        for item in items
    }


def turn_on(
    account: Account, known: Mapping[int, Profile], list_: str, items: Sequence[Item]
) -> Mapping[int, Outcome]:
    """Put `items`, whose profiles are known by their refs, on a list again."""
    account.add(list_, [known[item.ref] for item in items])
    return {item.ref: Outcome(Result.REFLECTED, "204") for item in items}


def jobs(
    account: Account, kind: str, items: Sequence[Item], *, done: Callable[[Profile], bool]
) -> Iterator[Step]:
    """A job is only accepted (202); it counts as reflected when it is seen to be done."""

    def call() -> Mapping[int, Outcome]:
        addresses = [item.address for item in items]
        job = account.job(kind, addresses)
        after = account.profiles(addresses)
        return {
            item.ref: Outcome(Result.REFLECTED, job)
            if item.address in after and done(after[item.address])
            else Outcome(Result.LATER, f"{job}: not done yet", JOB_TAKES)
            for item in items
        }

    if items:
        yield Step(tuple(item.ref for item in items), call)


def by_hand(profile: Profile) -> bool:
    """Whether an API call or an import suppresses the profile, besides what else may."""
    return any(suppression.reason == Why.BY_HAND for suppression in profile.suppressions)


def write_link(
    account: Account, profile: Profile, item: LinkItem, field: str
) -> Mapping[int, Outcome]:
    """Write a standing link into a custom property."""
    if account.set_property(profile, field, item.link):
        return {item.ref: Outcome(Result.REFLECTED, profile.id)}
    return {item.ref: Outcome(Result.LATER, "not acknowledged")}
