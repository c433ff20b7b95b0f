"""Bursts: opt-outs of one domain that a machine may have made.

They come right after a send and within seconds of each other. Mail gateways of companies
follow links before people see them, and some submit the forms they find. A burst counts like
any opt-outs, and is flagged; only the person lifts (I5). It may as well be a team that was
mailed something it didn't want.

Domains of big mailbox providers are left out. Millions of people share them, so that several
opt out within a minute of every send, and no gateway submits forms for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.addresses import PROVIDERS, Address

SHARED_DOMAINS = frozenset(PROVIDERS) | {
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
class BurstRule:
    """A burst: `min_addresses` of one domain in `window`, at most `max_delay` after the send.

    A link is taken to be sent when it is made.
    """

    min_addresses: int = 5
    window: timedelta = timedelta(seconds=60)
    max_delay: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LinkOptOut:
    """One opt-out by a link of a message."""

    event_id: UUID
    address_id: int
    domain_digest: bytes
    """Keyed digest of the domain."""
    received_at: datetime
    """When it was received (UTC)."""
    link_issued_at: datetime
    """When its link was made (UTC)."""
    message_id: str
    """The sender's own id of the message; "" if it gave none."""


@dataclass(frozen=True, slots=True)
class Burst:
    """Opt-outs of one domain that look like one machine's, in order."""

    opt_outs: tuple[LinkOptOut, ...]

    @property
    def domain_digest(self) -> bytes:
        """Keyed digest of the domain."""
        return self.opt_outs[0].domain_digest

    @property
    def address_ids(self) -> frozenset[int]:
        """The addresses that opted out."""
        return frozenset(act.address_id for act in self.opt_outs)


def burst_domain(address: Address) -> str | None:
    """The domain by which `address` may be part of a burst.

    None for a domain that many companies share, and for what is no email address.
    """
    if not address.channel.rules.is_email:
        return None
    domain = address.exact.rpartition("@")[2]
    return None if domain in SHARED_DOMAINS else domain


def find_bursts(opt_outs: Iterable[LinkOptOut], rule: BurstRule) -> list[Burst]:
    """Every burst among these, the oldest first; one act belongs to at most one.

    Whatever order the acts come in. Windows that overlap are one burst.
    """
    by_domain: dict[bytes, list[LinkOptOut]] = {}
    for act in sorted(opt_outs, key=lambda act: (act.received_at, act.event_id)):
        if act.received_at - act.link_issued_at <= rule.max_delay:
            by_domain.setdefault(act.domain_digest, []).append(act)
    found = [burst for each in by_domain.values() for burst in _find_bursts_in_domain(each, rule)]
    return sorted(
        found, key=lambda burst: (burst.opt_outs[0].received_at, burst.opt_outs[0].event_id)
    )


def _find_bursts_in_domain(opt_outs: Sequence[LinkOptOut], rule: BurstRule) -> Iterable[Burst]:
    """`acts` in order of time. A window is full if it holds enough addresses."""
    start, end = 0, 0  # of what is being gathered
    first, window = 0, Counter[int]()  # of the window that ends with `last`: who is in it
    for last, act in enumerate(opt_outs):
        window[act.address_id] += 1
        while act.received_at - opt_outs[first].received_at > rule.window:
            gone = opt_outs[first].address_id
            window[gone] -= 1
            if not window[gone]:
                del window[gone]
            first += 1
        if len(window) < rule.min_addresses:
            continue
        if first >= end:
            if end > start:
                yield Burst(tuple(opt_outs[start:end]))
            start = first
        end = last + 1
    if end > start:
        yield Burst(tuple(opt_outs[start:end]))


@dataclass(frozen=True, slots=True)
class BurstRecord:
    """A burst that was detected. All times are UTC.

    `known_addresses` is how many addresses of its domain were stored then: what we know, not what
    was sent. `message_ids` are the senders' own ids, at most MAX_MESSAGE_IDS.
    """

    id: UUID
    detected_at: datetime
    first_at: datetime
    last_at: datetime
    issued_first: datetime
    issued_last: datetime
    events: int
    addresses: int
    known_addresses: int
    message_ids: Sequence[str]
