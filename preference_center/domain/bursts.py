"""Bursts: opt-outs of one domain in which a machine may have pressed. Pure.

They come right after a send and within seconds of each other. Mail gateways of companies
follow links before people see them, and some press what they find. A burst is honoured like
anything else, and flagged; only the person lifts (I5). It may as well be a team that was
mailed something it didn't want.

Domains of big mailbox providers are left out. Millions of people share them, so that several
say no within a minute of every send, and no gateway of theirs presses for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.domain.addresses import Address, Channel
from preference_center.domain.mailbox_providers import PROVIDERS

SHARED = frozenset(PROVIDERS) | {
    *("aol.com", "bluewin.ch", "free.fr", "freenet.de", "gmx.at", "gmx.ch", "gmx.com", "gmx.de"),
    *("gmx.net", "hotmail.co.jp", "laposte.net", "libero.it", "mail.com", "mail.ru", "naver.com"),
    *("orange.fr", "qq.com", "163.com", "126.com", "rocketmail.com", "sfr.fr", "t-online.de"),
    *("telefonica.net", "tim.it", "tin.it", "alice.it", "tiscali.it", "virgilio.it", "wanadoo.fr"),
    *("web.de", "yahoo.ca", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com"),
    *("yahoo.com.br", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.it", "yandex.ru", "ymail.com"),
    *("zoho.com", "comcast.net", "verizon.net", "att.net", "sbcglobal.net", "btinternet.com"),
    *("sky.com", "hey.com", "tutanota.com", "mailbox.org", "posteo.de", "privaterelay.appleid.com"),
}
"""Domains under which people who have nothing to do with each other have their mailboxes.

A matter of flags only: one that is missing here is flagged more often, and none is stored in
another way.
"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is a burst: `addresses` of one domain `within` so long, `after` the send at most.

    A link is taken to be sent when it is made.
    """

    addresses: int = 5
    within: timedelta = timedelta(seconds=60)
    after: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Act:
    """One opt-out by a link of a message."""

    event: UUID
    address: int
    domain: bytes
    """Its keyed digest."""
    at: datetime
    """When it was received (UTC)."""
    issued_at: datetime
    """When its link was made (UTC)."""
    message: str
    """The sender's own id of the message; "" if it gave none."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Opt-outs of one domain that look like one machine's, in order."""

    acts: tuple[Act, ...]

    @property
    def domain(self) -> bytes:
        """The keyed digest of whose they are."""
        return self.acts[0].domain

    @property
    def addresses(self) -> frozenset[int]:
        """Whose they are."""
        return frozenset(act.address for act in self.acts)


def domain_of(address: Address) -> str | None:
    """The domain by which `address` may be part of a burst; None for a shared one.

    Of phone numbers there is none.
    """
    if address.channel is not Channel.EMAIL:
        return None
    domain = address.exact.rpartition("@")[2]
    return None if domain in SHARED else domain


def bursts(acts: Iterable[Act], rule: Rule) -> list[Burst]:
    """Every burst among these, the oldest first; one act belongs to at most one.

    Whatever order the acts come in. Windows that overlap are one burst.
    """
    by_domain: dict[bytes, list[Act]] = {}
    for act in sorted(acts, key=lambda act: (act.at, act.event)):
        if act.at - act.issued_at <= rule.after:
            by_domain.setdefault(act.domain, []).append(act)
    found = [burst for each in by_domain.values() for burst in _of_one_domain(each, rule)]
    return sorted(found, key=lambda burst: (burst.acts[0].at, burst.acts[0].event))


def _of_one_domain(acts: Sequence[Act], rule: Rule) -> Iterable[Burst]:
    """`acts` in order of time. A window is full if it holds enough addresses."""
    start, end = 0, 0  # of what is being gathered
    first, window = 0, Counter[int]()  # of the window that ends with `last`: who is in it
    for last, act in enumerate(acts):
        window[act.address] += 1
        while act.at - acts[first].at > rule.within:
            gone = acts[first].address
            window[gone] -= 1
            if not window[gone]:
                del window[gone]
            first += 1
        if len(window) < rule.addresses:
            continue
        if first >= end:
            if end > start:
                yield Burst(tuple(acts[start:end]))
            start = first
        end = last + 1
    if end > start:
        yield Burst(tuple(acts[start:end]))
