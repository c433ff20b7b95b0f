"""Changing Klaviyo's profiles: on and off lists, bulk jobs, and a custom property."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

from preference_center.domain.sync.contract import Item, LinkItem, Outcome, Result
from preference_center.integrations.base.batching import Step, send_halving
from preference_center.integrations.klaviyo.client import Account
from preference_center.integrations.klaviyo.listing import Why
from preference_center.integrations.klaviyo.models import Profile

SUPPRESS, UNSUPPRESS = "profile-suppression-bulk-create-job", "profile-suppression-bulk-delete-job"
JOB_TAKES = timedelta(seconds=30)
_NAMELESS = Outcome(Result.LATER, "the answer has no id for the profile")
"""Only an id names a profile where lists are changed; an answer may hold null in its place."""


def find(
    ask: Callable[[Sequence[str]], Mapping[str, Profile]], items: Sequence[Item]
) -> tuple[dict[int, Profile], dict[int, Outcome]]:
    """Ref -> profile of who is known, and what came of the others."""
    known: dict[int, Profile] = {}
    others = {item.ref: Outcome(Result.REFUSED, "400") for item in items}
    for part, profiles in send_halving(items, lambda some: ask([item.address for item in some])):
        for item in part:
            if profile := profiles.get(item.address):
                known[item.ref] = profile
                del others[item.ref]
            else:
                others[item.ref] = Outcome(Result.ABSENT, "no profile")
    return known, others


def absent(others: Mapping[int, Outcome]) -> dict[int, frozenset[str] | None]:
    """What is read of those whom `find` did not find, without those it could not ask for."""
    return {ref: None for ref, outcome in others.items() if outcome.result is Result.ABSENT}


def turn_off(account: Account, list_: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Take off a list whoever of `items` is on it."""
    members = account.members(list_, [item.address for item in items])
    named = {address: profile for address, profile in members.items() if profile.id}
    if named:
        account.remove(list_, named.values())
    done = {address: Outcome(Result.REFLECTED, "204") for address in named}
    done |= dict.fromkeys(members.keys() - named.keys(), _NAMELESS)
    untouched = Outcome(Result.REFLECTED, "not on it")
    return {item.ref: done.get(item.address, untouched) for item in items}


def turn_on(
    account: Account, known: Mapping[int, Profile], list_: str, items: Sequence[Item]
) -> Mapping[int, Outcome]:
    """Put `items`, whose profiles are known by their refs, on a list again."""
    named = [item for item in items if known[item.ref].id]
    if named:
        account.add(list_, [known[item.ref] for item in named])
    done = {item.ref: Outcome(Result.REFLECTED, "204") for item in named}
    return {item.ref: done.get(item.ref, _NAMELESS) for item in items}


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
    if not profile.id:
        return {item.ref: _NAMELESS}
    if account.set_property(profile, field, item.link):
        return {item.ref: Outcome(Result.REFLECTED, profile.id)}
    return {item.ref: Outcome(Result.LATER, "not acknowledged")}
