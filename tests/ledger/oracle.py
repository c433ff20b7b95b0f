"""A second implementation of the rules, without maxima, folds or SQL, to compare with.

It takes a history and checks for every opt-out whether something lifts it. Of the product it uses
only the types of that history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.core.addresses import Address, HashedAddress, parse_hashed_address
from preference_center.core.events import Change, Retraction

OPT_OUT_KINDS = {
    "opted_out", "complained", "bounced", "deactivated", "erased", "restricted", "moved",
}  # fmt: skip
LIFT_KINDS = {"opted_in", "reopened", "unrestricted"}
CONSENT_KINDS = {"opted_in", "consented"}
WIDE = {"all_marketing", "everything", "undeliverable", "restriction"}

Slot = tuple[datetime, UUID] | None


@dataclass(frozen=True)
class Row:
    """What counts for one address and scope: newest opt-out, lift, pause, consent and frequency."""

    opt_out: Slot
    reason: str | None
    lift: Slot
    pause: Slot
    pause_until: datetime | None
    consent: Slot
    frequency: Slot
    chosen: str | None


@dataclass
class Oracle:
    """One history, evaluated at `now`. Its order does not matter."""

    history: Sequence[Change | Retraction]
    now: datetime
    active: list[Change] = field(init=False)

    def __post_init__(self) -> None:
        retracted = {
            event
            for item in self.history
            if isinstance(item, Retraction)
            for event in item.event_ids
        }
        by_id = {item.id: item for item in self.history if isinstance(item, Change)}
        self.active = [change for change in by_id.values() if change.id not in retracted]

    def at(self, change: Change) -> datetime:
        """When a change counts: an opt-out up to 15 minutes after its stated time."""
        grace = 15 if change.kind in OPT_OUT_KINDS else 0
        return min(change.received_at, self.now, change.occurred_at + timedelta(minutes=grace))

    def changes_of(self, kinds: Iterable[str], scopes: Iterable[str]) -> list[Change]:
        kinds, scopes = set(kinds), set(scopes)
        return [c for c in self.active if c.kind in kinds and c.scope in scopes]

    # --- decisions

    def opt_outs(self, who: Address, topic: str) -> list[Change]:
        """Every opt-out and pause that denies marketing of `topic` to `who`."""
        return [
            opt_out
            for opt_out in self.changes_of(OPT_OUT_KINDS | {"paused"}, WIDE | {topic})
            if self.covers(opt_out, who)
            and not self.lifted(opt_out, who, topic)
            and (opt_out.kind != "paused" or self.runs(opt_out))
        ]

    def covers(self, opt_out: Change, who: Address) -> bool:
        """By what is known of the mailbox; the SHA-256 of an address in the history is that one."""
        for item in self.history:
            known = item.address if isinstance(item, Change) else None
            if isinstance(known, Address) and opt_out.address == hashed(
                known.exact, "sha256", known
            ):
                return same_mailbox(known, who)
        return same_mailbox(opt_out.address, who)

    def lifted(self, opt_out: Change, who: Address, topic: str) -> bool:
        by = {topic} if opt_out.scope == topic else {topic, "all_marketing"}
        if opt_out.scope == "everything" and is_exact(opt_out.address, who):
            by = {"everything"}
        lifting: Address | HashedAddress = who
        if opt_out.scope == "restriction":  # ended by the form that was restricted, for all forms
            by, lifting = {"restriction"}, opt_out.address
        return any(
            opted_in.address == lifting and self.at(opted_in) > self.at(opt_out)
            for opted_in in self.changes_of(LIFT_KINDS, by)
        )

    def runs(self, pause: Change) -> bool:
        """Whether a pause has not ended, and no newer one of its address replaced it."""
        rivals = [
            p for p in self.changes_of({"paused"}, {pause.scope}) if p.address == pause.address
        ]
        newest = max(rivals, key=lambda p: (self.at(p), p.id))
        return newest is pause and pause.until is not None and pause.until > self.now

    def consented(self, who: Address, topic: str) -> bool:
        """Whether `who` consented to `topic`, and no newer opt-out denies it."""
        opt_outs = [
            opt_out
            for opt_out in self.changes_of(OPT_OUT_KINDS, {topic, "all_marketing", "everything"})
            if self.covers(opt_out, who)
        ]
        return any(
            all(self.at(opt_out) < self.at(consent) for opt_out in opt_outs)
            for consent in self.changes_of(CONSENT_KINDS, {topic})
            if consent.address == who
        )

    def allows(self, who: Address, topic: str, *, opt_in: bool) -> bool:
        return not self.opt_outs(who, topic) and (not opt_in or self.consented(who, topic))

    def closed(self, who: Address) -> bool:
        """Whether service mail is denied, too."""
        return any(
            opt_out.scope == "everything" and is_exact(opt_out.address, who)
            for opt_out in self.opt_outs(who, "no topic")
        )

    # --- state

    def rows(self, who: Address) -> dict[str, Row]:
        """The state of exactly this address, per scope; its SHA-256 has the same row."""
        mine = [
            change
            for change in self.active
            if change.address == who or change.address == hashed(who.exact, "sha256", who)
        ]
        return {scope: self.row(mine, scope) for scope in {change.scope for change in mine}}

    def row(self, mine: Sequence[Change], scope: str) -> Row:
        def newest(kinds: set[str]) -> Change | None:
            found = [c for c in mine if c.scope == scope and c.kind in kinds]
            return max(found, key=lambda c: (self.at(c), c.id), default=None)

        def slot(change: Change | None) -> Slot:
            return None if change is None else (self.at(change), change.id)

        choices = [c for c in mine if c.scope == scope and c.frequency]
        # Of two at the same time the less frequent one.
        choices.sort(key=lambda c: (self.at(c), c.frequency.rank if c.frequency else 0, c.id))
        chosen = choices[-1] if choices else None
        opt_out, pause = newest(OPT_OUT_KINDS), newest({"paused"})
        return Row(
            slot(opt_out),
            opt_out.kind.value if opt_out else None,
            slot(newest(LIFT_KINDS)),
            slot(pause),
            pause.until if pause else None,
            None if scope in {"all_marketing", "sharing"} else slot(newest(CONSENT_KINDS)),
            slot(chosen),
            chosen.frequency.key if chosen and chosen.frequency else None,
        )


def same_mailbox(one: Address | HashedAddress, other: Address) -> bool:
    """Whether an opt-out of one covers the other: same mailbox, or one is the other's base.

    A hash covers the address it was made of, and those whose mailbox or base that is.
    """
    if one.channel != other.channel:
        return False
    if isinstance(one, HashedAddress):
        texts = [text for text in (other.exact, other.mailbox, other.base) if text]
        return any(hashed(text, one.algorithm, other) == one for text in texts)
    return one.mailbox == other.mailbox or one.base == other.exact or other.base == one.exact


def is_exact(one: Address | HashedAddress, other: Address) -> bool:
    """Whether they are the same address; the closure of an account covers only that."""
    return one in (other, *(hashed(other.exact, name, other) for name in ("md5", "sha256")))


def hashed(text: str, algorithm: str, like: Address) -> HashedAddress:
    """The hash of `text`, an address on the channel of `like`."""
    return parse_hashed_address(hashlib.new(algorithm, text.encode()).hexdigest(), like.channel)
