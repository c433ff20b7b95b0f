"""The rules once more, told without maxima, folds or SQL: what the product is held against.

It takes a history as it stands and asks of every "no" whether something lifts it. Of the
product it knows the types that history is written in, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.domain.addresses import Address
from preference_center.domain.events import Change, Retraction
from preference_center.domain.hashed_addresses import HashedAddress, parse_hashed_address

NOES = {"opted_out", "complained", "bounced", "deactivated", "erased"}
YESES = {"opted_in", "reopened"}
ASKINGS = {"opted_in", "consented"}
WIDE = {"all_marketing", "everything", "undeliverable"}

Slot = tuple[datetime, UUID] | None


@dataclass(frozen=True)
class Row:
    """What counts for one address and scope: newest no, yes, pause and consent."""

    no: Slot
    reason: str | None
    yes: Slot
    pause: Slot
    pause_until: datetime | None
    consent: Slot


@dataclass
class Oracle:
    """One history, looked at from `now`. Its order is of no account."""

    history: Sequence[Change | Retraction]
    now: datetime
    standing: list[Change] = field(init=False)

    def __post_init__(self) -> None:
        taken_back = {
            event
            for item in self.history
            if isinstance(item, Retraction)
            for event in item.event_ids
        }
        said = {item.id: item for item in self.history if isinstance(item, Change)}
        self.standing = [change for change in said.values() if change.id not in taken_back]

    def at(self, change: Change) -> datetime:
        """When a change counts: a no up to 15 minutes after it is said to have happened."""
        grace = 15 if change.kind in NOES else 0
        return min(change.received_at, self.now, change.occurred_at + timedelta(minutes=grace))

    def said(self, kinds: Iterable[str], scopes: Iterable[str]) -> list[Change]:
        kinds, scopes = set(kinds), set(scopes)
        return [c for c in self.standing if c.kind in kinds and c.scope in scopes]

    # --- decisions

    def noes(self, who: Address, topic: str) -> list[Change]:
        """Every "no" (pauses too) that stands against marketing of `topic` to `who`."""
        return [
            no
            for no in self.said(NOES | {"paused"}, WIDE | {topic})
            if self.covers(no, who)
            and not self.lifted(no, who, topic)
            and (no.kind != "paused" or self.runs(no))
        ]

    def covers(self, no: Change, who: Address) -> bool:
        """By what is known of the mailbox; a SHA-256 whose address was ever told is that one."""
        for item in self.history:
            told = item.address if isinstance(item, Change) else None
            if isinstance(told, Address) and no.address == hashed(told.exact, "sha256", told):
                return same_mailbox(told, who)
        return same_mailbox(no.address, who)

    def lifted(self, no: Change, who: Address, topic: str) -> bool:
        by = {topic} if no.scope == topic else {topic, "all_marketing"}
        if no.scope == "everything" and is_exact(no.address, who):
            by = {"everything"}
        return any(
            yes.address == who and self.at(yes) > self.at(no) for yes in self.said(YESES, by)
        )

    def runs(self, pause: Change) -> bool:
        """Whether a pause has not ended, and no newer one of its address replaced it."""
        rivals = [p for p in self.said({"paused"}, {pause.scope}) if p.address == pause.address]
        newest = max(rivals, key=lambda p: (self.at(p), p.id))
        return newest is pause and pause.until is not None and pause.until > self.now

    def asked(self, who: Address, topic: str) -> bool:
        """Whether `who` asked for `topic`, and nothing said since takes that away."""
        noes = [
            no
            for no in self.said(NOES, {topic, "all_marketing", "everything"})
            if self.covers(no, who)
        ]
        return any(
            all(self.at(no) < self.at(asking) for no in noes)
            for asking in self.said(ASKINGS, {topic})
            if asking.address == who
        )

    def allows(self, who: Address, topic: str, *, opt_in: bool) -> bool:
        return not self.noes(who, topic) and (not opt_in or self.asked(who, topic))

    def closed(self, who: Address) -> bool:
        """Whether service mail stops too."""
        return any(
            no.scope == "everything" and is_exact(no.address, who)
            for no in self.noes(who, "no topic")
        )

    # --- state

    def rows(self, who: Address) -> dict[str, Row]:
        """The state of exactly this address, per scope; its SHA-256 has the same row."""
        mine = [
            change
            for change in self.standing
            if change.address == who or change.address == hashed(who.exact, "sha256", who)
        ]
        return {scope: self.row(mine, scope) for scope in {change.scope for change in mine}}

    def row(self, mine: Sequence[Change], scope: str) -> Row:
        def newest(kinds: set[str]) -> Change | None:
            found = [c for c in mine if c.scope == scope and c.kind in kinds]
            return max(found, key=lambda c: (self.at(c), c.id), default=None)

        def slot(change: Change | None) -> Slot:
            return None if change is None else (self.at(change), change.id)

        no, pause = newest(NOES), newest({"paused"})
        return Row(
            slot(no),
            no.kind.value if no else None,
            slot(newest(YESES)),
            slot(pause),
            pause.until if pause else None,
            None if scope == "all_marketing" else slot(newest(ASKINGS)),
        )


def same_mailbox(one: Address | HashedAddress, other: Address) -> bool:
    """Whether a "no" of one covers the other: same mailbox, or one is the other's base.

    A hash covers the address it was made of, and those whose mailbox or base that is.
    """
    if one.channel != other.channel:
        return False
    if isinstance(one, HashedAddress):
        texts = [text for text in (other.exact, other.mailbox, other.base) if text]
        return any(hashed(text, one.algorithm, other) == one for text in texts)
    return one.mailbox == other.mailbox or one.base == other.exact or other.base == one.exact


def is_exact(one: Address | HashedAddress, other: Address) -> bool:
    """Whether they are the same address; a closed account reaches no further."""
    return one in (other, *(hashed(other.exact, name, other) for name in ("md5", "sha256")))


def hashed(text: str, algorithm: str, like: Address) -> HashedAddress:
    """The hash of `text`, an address on the channel of `like`."""
    return parse_hashed_address(hashlib.new(algorithm, text.encode()).hexdigest(), like.channel)
