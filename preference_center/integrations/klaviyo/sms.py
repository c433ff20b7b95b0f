"""Klaviyo's SMS consent: one answer for all marketing by SMS, for each phone number.

https://developers.klaviyo.com/en/reference/bulk_unsubscribe_profiles
https://developers.klaviyo.com/en/reference/bulk_subscribe_profiles
https://developers.klaviyo.com/en/docs/collect_email_and_sms_consent_via_api
A list holds people, whatever they are written to by: taking somebody off one would stop their
email too, so no list stands for a topic by SMS (I10). Transactional texts have a consent of
their own, which is left alone (I4). The bulk jobs make profiles of numbers that Klaviyo
doesn't know, so it is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, Listing, Rate, Scopes
from preference_center.domain.sync.contract import Item, Outcome, Page, Result, Seen
from preference_center.domain.vendor_events import ALL_SMS, News, NewsKind
from preference_center.integrations.base.batching import Step, carry_out, send_halving
from preference_center.integrations.base.mapping import ensure_fits
from preference_center.integrations.base.sms_switch import OnlySwitch
from preference_center.integrations.klaviyo.client import Account, open_account
from preference_center.integrations.klaviyo.listing import walk
from preference_center.integrations.klaviyo.models import SUBSCRIBED, UNSUBSCRIBED, Profile
from preference_center.integrations.klaviyo.profiles import absent, find

UNSUBSCRIBE, SUBSCRIBE = (
    "profile-subscription-bulk-delete-job",
    "profile-subscription-bulk-create-job",
)
JOB_TAKES = timedelta(seconds=30)
_NOBODYS = "+15005550006"
"""Klaviyo's own example of a number."""


class KlaviyoTexts(OnlySwitch):
    """The phone numbers of one Klaviyo account."""

    kind: ClassVar[str] = "klaviyo"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset(Scopes),
        can_lift=True,
        batch_size=100,
        rate=Rate(450, 60, burst=10),
        can_read=True,
        scans=Listing.CHANGES,
        pulls=Listing.CHANGES,
        off_is_a_no=False,
    )
    credentials: ClassVar[str] = "the API key and its scopes"

    def _faults(self) -> Iterable[str]:
        with open_account(self._setup, self._http) as account:
            account.by_phone([_NOBODYS])
        return ()

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Unsubscribes first."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            known, others = find(account.by_phone, batch)
            here = [item for item in batch if item.ref in known]
            off = [i for i in here if i.off and known[i.ref].texts.consent != UNSUBSCRIBED]
            lifted = [i for i in here if i.lift and not known[i.ref].texts.are_sent]
            steps = [
                *_jobs(off, partial(_unsubscribe, account)),
                *_jobs(lifted, partial(_subscribe, account)),
            ]
            return carry_out(batch, steps) | others

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who never subscribed is sent nothing either."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_account(self._setup, self._http) as account:
            known, others = find(account.by_phone, batch)
        return absent(others) | {ref: self._off(profile) for ref, profile in known.items()}

    def _off(self, profile: Profile) -> frozenset[str]:
        return self._all(off=not profile.texts.are_sent)

    def scan(self, cursor: str | None) -> Page[Seen]:
        """See Scannable. Whose profile was made or changed."""
        profiles, following, done = self._updated(cursor)
        rows = (Seen(p.phone, Channel.SMS, off=self._off(p)) for p in profiles if p.phone)
        return Page(tuple(rows), following, done)

    def pull(self, cursor: str | None) -> Page[News]:
        """See Pullable. Whose profile was changed and is unsubscribed.

        What SMS consents changed can't be asked for; whose act it was isn't said.
        """
        profiles, following, done = self._updated(cursor)
        rows = (
            News(
                NewsKind.OPTED_OUT,
                p.phone,
                ALL_SMS,
                p.texts.changed_at,
                channel=Channel.SMS,
            )
            for p in profiles
            if p.phone and p.texts.consent == UNSUBSCRIBED and not p.texts.are_sent
        )
        return Page(tuple(rows), following, done)

    def _updated(self, cursor: str | None) -> tuple[list[Profile], str, bool]:
        with open_account(self._setup, self._http) as account:
            rows, following, done = walk(
                cursor, 1, self._http.now(), lambda _, since, page: account.updated(since, page)
            )
        return [profile for _, profile in rows], following, done

    def find(self, contacts: Sequence[str]) -> Mapping[str, str]:
        """See Findable."""
        with open_account(self._setup, self._http) as account:
            return account.addresses(contacts, lambda profile: profile.phone, "phone_number")


def _jobs(
    items: Sequence[Item], call: Callable[[Sequence[Item]], Mapping[int, Outcome]]
) -> Iterator[Step]:
    if items:
        yield Step(tuple(item.ref for item in items), partial(call, items))


def _unsubscribe(account: Account, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Reflected once it is seen to be done: a job is only accepted (202)."""
    asked = _ask(account, UNSUBSCRIBE, UNSUBSCRIBED, items)
    after = account.by_phone([item.address for item in items if item.ref in asked])
    waiting = Outcome(Result.LATER, "202: not done yet", JOB_TAKES)
    done = {
        item.ref: Outcome(Result.REFLECTED, "202")
        for item in items
        if item.address in after and not after[item.address].texts.are_sent
    }
    return {
        item.ref: done.get(
            item.ref, waiting if item.ref in asked else Outcome(Result.REFUSED, "400")
        )
        for item in items
    }


def _subscribe(account: Account, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Accepted is enough: where the account asks twice, the person has to answer a text."""
    asked = _ask(account, SUBSCRIBE, SUBSCRIBED, items)
    return {
        item.ref: Outcome(Result.REFLECTED, "202")
        if item.ref in asked
        else Outcome(Result.REFUSED, "400")
        for item in items
    }


def _ask(account: Account, kind: str, consent: str, items: Sequence[Item]) -> frozenset[int]:
    """The refs of those whose number was accepted."""
    taken = send_halving(
        items, lambda some: account.consent(kind, consent, [item.address for item in some])
    )
    return frozenset(item.ref for part, _ in taken for item in part)
