"""Events state what happened to an address; `fold` computes the state of each scope from them.

The state of an address is, per scope, three maxima: the newest opt-out, the newest own opt-in and
the newest pause (I5). Maxima commute, so the state is the same in whatever order events arrive. A
fourth maximum, the newest consent, records who asked for what, and a fifth how often they want it.
A `ScopeFact` is the state of one scope of one stored form of an address's mailbox (I9).

The id of an event is a UUID of version 7, so that events sort by time (RFC 9562, 5.7). A receipt
code is its short reference, for a person to read out and for support to find. Fifteen characters
are the first 75 bits of the id in Crockford's base32, the sixteenth is a check character. For ids
of version 7 that is the millisecond and 21 random bits: nothing personal, and no more than a time
to anyone who finds one.

Source: https://www.crockford.com/base32.html (alphabet, and what is read as what); its check
symbols can't be read out on the phone, so the check is Luhn's, modulo 32.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from uuid import UUID

from preference_center.core.addresses import Address, HashedAddress
from preference_center.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class FrequencyChoice:
    """One of a topic's frequencies. `rank` was its place in the catalogue then: 0 is most often."""

    key: str
    rank: int


@dataclass(frozen=True, slots=True, order=True)
class DatedFrequency:
    """A choice, when it was made, and its event.

    The newest counts; of two at the same time the less frequent one, and then the event's id
    decides, the same way everywhere.
    """

    at: datetime
    rank: int
    event: UUID
    key: str


MOVE_SOURCE = "move"
"""The source of the copies, and of their retraction."""


IMPORT_SOURCE = "import"
"""The source of every event of an import; its evidence names the import."""


DESTINATION_SOURCE = "destination"
"""The source of every event that a tool reported; its actor is the destination's name."""


DESTINATION_PREFIX = "destination:"
"""What the source of counts begins with that a tool reported; its name follows."""


ALL_MARKETING = "all_marketing"
"""Every marketing topic of every brand of the controller."""


EVERYTHING = "everything"
"""Service mail too; only deactivation and erasure reach this far."""


UNDELIVERABLE = "undeliverable"
"""Hard bounces have a scope of their own: they stop marketing and only advise on service mail
(I4).

A pause of this scope is a suppression by counted bounces: the same, and it ends by itself.
"""


RESTRICTION = "restriction"
"""All marketing too, while the person limits the use of their data (GDPR art. 18).

A scope of its own, since no opt-in ends it: only an `unrestricted` of the form that was restricted.
"""


SHARING = "sharing"
"""Sale and sharing of the person's data for advertising (Cal. Civ. Code 1798.120, docs/gpc.md).

It is about what happens to data, so it decides about no message: see `find_sharing_denial`.
"""


REPEAT_INTERVAL = timedelta(seconds=5)
"""Own opt-outs with one link within this interval are one act: a double click, a retry.

Others are separate acts: undoing one must not undo the other (I5).
See `Change.is_repeat_of` and docs/decisions/0008.
"""


LINK_EVIDENCE = ("key_id", "message_id", "issued_at", "destination")
"""The evidence that says which link, or which message, an act was made with."""


RESERVED_SCOPES = frozenset({ALL_MARKETING, EVERYTHING, UNDELIVERABLE, RESTRICTION, SHARING})


NOT_MARKETING = frozenset({EVERYTHING, RESTRICTION, SHARING})
"""Scopes that marketing as a whole does not cover: an opt-in to it leaves them as they are."""


KEPT_BY_OPT_OUTS = frozenset({EVERYTHING, RESTRICTION})
"""Scopes whose lift an opt-out of all marketing leaves as it is; it ends one of sharing."""


CLOCK_TOLERANCE = timedelta(minutes=15)
"""How long after its reported time an opt-out may count (I5)."""


class EventKind(StrEnum):
    """What happened."""

    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    """The person's own act, proven; lifts older opt-outs of its scope."""
    CONSENTED = "consented"
    """A record by others that the person asked for it; never lifts."""
    PAUSED = "paused"
    FREQUENCY_CHOSEN = "frequency_chosen"
    """How often the person wants a topic; neither an opt-in nor an opt-out: it lifts nothing."""
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    DEACTIVATED = "deactivated"
    ERASED = "erased"
    REOPENED = "reopened"
    RESTRICTED = "restricted"
    UNRESTRICTED = "unrestricted"
    MOVED = "moved"
    """The person has another address instead: this one gets no marketing any more."""
    RETRACTED = "retracted"

    @property
    def rules(self) -> EventRules:
        """What follows from it."""
        return _RULES[self]

    @property
    def suppresses(self) -> bool:
        """Whether it is an opt-out or has the effect of one."""
        return self.rules.effect is _Effect.SUPPRESSES

    @property
    def lifts(self) -> bool:
        """Whether it ends older opt-outs."""
        return self.rules.effect is _Effect.LIFTS


class _Effect(Enum):
    """What an event does to older events of its scope."""

    SUPPRESSES = auto()
    LIFTS = auto()
    NEITHER = auto()


@dataclass(frozen=True, slots=True)
class EventRules:
    """What follows from a kind of event; `contacts.words` and the access file say it."""

    effect: _Effect
    reserved: frozenset[str]
    """The reserved scopes that it may name."""
    export_status: str = "opted_out"
    """What an exported list calls it."""
    names_topics: bool = False
    """Whether it may name a topic."""
    is_pushed: bool = True
    """Whether it changes what tools are to do."""
    is_copied: bool = True
    """Whether it is copied to the address that replaces this one."""
    is_consent: bool = False
    """Whether it is evidence that the person asked for a topic."""
    is_objection: bool = False
    """Whether it is the person's own "no", and not the end of an account or an address."""


_OUT, _IN, _NEITHER = _Effect
_ALL = frozenset({ALL_MARKETING})
_CLOSURE = EventRules(_OUT, _ALL | {EVERYTHING})  # see `account_closure`
_BOUNCE = frozenset({UNDELIVERABLE})
_LIMIT = frozenset({RESTRICTION})
_NONE: frozenset[str] = frozenset()
_RULES: Mapping[EventKind, EventRules] = {
    EventKind.OPTED_OUT: EventRules(_OUT, _ALL | {SHARING}, names_topics=True, is_objection=True),
    EventKind.OPTED_IN: EventRules(
        _IN, _ALL | {SHARING}, "subscription", names_topics=True, is_consent=True
    ),
    EventKind.CONSENTED: EventRules(
        _NEITHER, _NONE, "subscription", names_topics=True, is_pushed=False, is_consent=True
    ),
    EventKind.PAUSED: EventRules(_NEITHER, _ALL | _BOUNCE, "paused", names_topics=True),
    EventKind.FREQUENCY_CHOSEN: EventRules(
        _NEITHER, _NONE, "frequency", names_topics=True, is_pushed=False
    ),
    EventKind.BOUNCED: EventRules(_OUT, _BOUNCE, "bounced", is_copied=False),
    EventKind.COMPLAINED: EventRules(
        _OUT, _ALL, "complained", names_topics=True, is_objection=True
    ),
    EventKind.DEACTIVATED: _CLOSURE,
    EventKind.ERASED: _CLOSURE,
    EventKind.REOPENED: EventRules(_IN, frozenset({EVERYTHING})),
    EventKind.RESTRICTED: EventRules(_OUT, _LIMIT),
    EventKind.UNRESTRICTED: EventRules(_IN, _LIMIT),
    EventKind.MOVED: EventRules(_OUT, _ALL, is_copied=False),
    EventKind.RETRACTED: EventRules(_NEITHER, _NONE, is_copied=False),  # it names events, no scope
}


CONSENT_KINDS = tuple(kind for kind in EventKind if kind.rules.is_consent)
OBJECTION_KINDS = tuple(kind for kind in EventKind if kind.rules.is_objection)


def is_valid_scope(kind: EventKind, scope: str) -> bool:
    """Whether an event of this kind may name this scope."""
    rules = kind.rules
    return scope in rules.reserved if scope in RESERVED_SCOPES else rules.names_topics


def can_be_hashed(kind: EventKind) -> bool:
    """Whether an event of this kind may be about an address that is known by a hash only.

    Only a suppression may: nothing can be sent to a hash. A restriction may not: it could not be
    ended, since nobody can prove that they own a hash.
    """
    return kind.suppresses and kind is not EventKind.RESTRICTED


@dataclass(frozen=True, slots=True)
class Change:
    """A request to append one event about one address.

    `occurred_at` is when the person acted, `received_at` when it reached the company
    (both UTC). `until` is a pause's end. `own_act` is the person's own act at one of our
    entry points: an opt-out that repeats an event of the ledger only extends it, since POST
    is idempotent by state (I7); unless a form of the mailbox was turned on since. `evidence`
    must hold nothing personal (I8). A hash in place of an address can only suppress: nothing
    can be sent to it.
    """

    id: UUID
    kind: EventKind
    address: Address | HashedAddress
    scope: str
    occurred_at: datetime
    received_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    until: datetime | None = None
    own_act: bool = False
    frequency: FrequencyChoice | None = None

    def __post_init__(self) -> None:
        if not is_valid_scope(self.kind, self.scope):
            raise ValueError(f"{self.kind} can't cover the scope {self.scope}")
        if (self.until is not None) != (self.kind is EventKind.PAUSED):
            raise ValueError("a pause, and only a pause, has an end")
        if (self.frequency is not None) != (self.kind is EventKind.FREQUENCY_CHOSEN):
            raise ValueError("a choice of frequency, and only that, has one")
        if isinstance(self.address, HashedAddress) and not can_be_hashed(self.kind):
            raise ValueError(f"{self.kind} needs a readable address, not a hash")

    @property
    def counts_at(self) -> datetime:
        """The time it counts from, see `counts_at`."""
        return counts_at(self.kind, self.occurred_at, self.received_at)

    def is_repeat_of(self, other: Change) -> bool:
        """Whether both are one own act: with one link, at most REPEAT_INTERVAL apart (I7).

        The act counts from the later of the two, so leaving one out changes no decision, and
        retracting the act means both. Acts with two links may be those of two people: who
        retracts theirs must not take the other's with it (I5).
        """
        return (
            self.own_act
            and other.own_act
            and (self.address, self.kind, self.scope, self.source)
            == (other.address, other.kind, other.scope, other.source)
            and all(self.evidence.get(key) == other.evidence.get(key) for key in LINK_EVIDENCE)
            and abs(self.counts_at - other.counts_at) <= REPEAT_INTERVAL
        )

    def is_just_received(self, now: datetime) -> bool:
        """Whether it is the person's own opt-out that one of our entry points has just received.

        Every lift in the ledger is then older, whatever the clock of the host that wrote it
        was: such an opt-out counts no earlier than those of its scope (I5). One that was received
        after `now` is of this moment, too: the clock has gone back since, as after a failover.
        """
        return (
            self.own_act
            and self.kind is EventKind.OPTED_OUT
            and self.occurred_at == self.received_at
            and now - self.received_at <= REPEAT_INTERVAL
        )


@dataclass(frozen=True, slots=True)
class Retraction:
    """A request to retract the named events, and only those; all others stay (I5)."""

    id: UUID
    event_ids: tuple[UUID, ...]
    occurred_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One fact in the ledger."""

    id: UUID
    seq: int
    """Grows with every event; the version of an address is its newest `seq`."""
    kind: EventKind
    address_id: int
    scope: str
    occurred_at: datetime
    received_at: datetime
    recorded_at: datetime
    counts_at: datetime
    source: str
    actor: str
    evidence: Mapping[str, str]
    own_act: bool = False
    until: datetime | None = None
    retracts: tuple[UUID, ...] = ()
    evidence_erased: bool = False
    """Its evidence, empty here, was erased with the person, or has expired (I8)."""
    frequency: FrequencyChoice | None = None


def counts_at(kind: EventKind, occurred_at: datetime, received_at: datetime) -> datetime:
    """The time an event counts from, since foreign clocks are not trusted (I5).

    An opt-out counts at `received_at`, or 15 minutes after `occurred_at` if that is earlier;
    anything else counts when it happened, but never in the future.
    """
    trust = CLOCK_TOLERANCE if kind.suppresses else timedelta(0)
    return min(received_at, occurred_at + trust)


@dataclass(frozen=True, slots=True, order=True)
class Timestamped:
    """A time and the event that set it; the id breaks ties the same way everywhere."""

    at: datetime
    event: UUID


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What counts for one address and scope."""

    opt_out: Timestamped | None = None
    reason: EventKind | None = None
    own_act: bool = False
    """Whether the newest opt-out was the person's own act at one of our entry points."""
    lift: Timestamped | None = None
    pause: Timestamped | None = None
    pause_until: datetime | None = None
    consent: Timestamped | None = None
    frequency: DatedFrequency | None = None

    @property
    def is_suppressed(self) -> bool:
        """Whether an opt-out of this very scope is active; it wins a tie. Ignores wider scopes."""
        return self.opt_out is not None and (self.lift is None or self.opt_out.at >= self.lift.at)

    def merge(self, event: Event) -> ScopeState:
        """This state with `event` counted in; merging is order-free and idempotent."""
        counted = Timestamped(event.counts_at, event.id)
        state = self
        if event.kind.suppresses and _is_newer(counted, state.opt_out):
            state = replace(state, opt_out=counted, reason=event.kind, own_act=event.own_act)
        if event.kind.lifts and _is_newer(counted, state.lift):
            state = replace(state, lift=counted)
        if event.kind is EventKind.PAUSED and _is_newer(counted, state.pause):
            state = replace(state, pause=counted, pause_until=event.until)
        asks = (
            event.kind in {EventKind.OPTED_IN, EventKind.CONSENTED}
            and event.scope not in RESERVED_SCOPES
        )
        if asks and _is_newer(counted, state.consent):
            state = replace(state, consent=counted)
        if event.frequency:
            chosen = DatedFrequency(
                event.counts_at, event.frequency.rank, event.id, event.frequency.key
            )
            if state.frequency is None or chosen > state.frequency:
                state = replace(state, frequency=chosen)
        return state

    def without_choices_before(self, erased_at: datetime) -> ScopeState:
        """Without the consent and the frequency of a person who was erased then.

        They are erased with their person, events are not (I6, I8).
        """
        consent, frequency = self.consent, self.frequency
        return replace(
            self,
            consent=consent if consent and consent.at > erased_at else None,
            frequency=frequency if frequency and frequency.at > erased_at else None,
        )


def _is_newer(timestamped: Timestamped, other: Timestamped | None) -> bool:
    return other is None or timestamped > other


def fold(events: Iterable[Event], retracted: frozenset[UUID]) -> dict[tuple[int, str], ScopeState]:
    """The state per (address id, scope) that these events add up to, less the retracted."""
    states: dict[tuple[int, str], ScopeState] = {}
    for event in events:
        if event.kind is not EventKind.RETRACTED and event.id not in retracted:
            key = (event.address_id, event.scope)
            states[key] = states.get(key, ScopeState()).merge(event)
    return states


@dataclass(frozen=True, slots=True)
class ScopeFact:
    """The state of one scope of one stored form; `exact` if it is the candidate itself."""

    scope: str
    exact: bool
    state: ScopeState


_RANDOM_BITS = 74


def uuid7(now: datetime, random: int) -> UUID:
    """The id of time `now`, to the millisecond, with 74 random bits."""
    milliseconds = int(now.timestamp() * 1000)
    high, low = divmod(random % (1 << _RANDOM_BITS), 1 << 62)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


_LOOKALIKES = str.maketrans("ILO", "110", " -")


_BASE = len(_ALPHABET)


_BITS = 5


_DATA_CHARACTERS = 15


_GROUP_SIZE = 4


_DROPPED_BITS = 128 - _BITS * _DATA_CHARACTERS


def format_receipt_code(event_id: UUID) -> str:
    """The reference of an event, as `1C4K-8X2M-Q7RV-3F5D`."""
    number = event_id.int >> _DROPPED_BITS
    digits = [number >> _BITS * place & _BASE - 1 for place in reversed(range(_DATA_CHARACTERS))]
    text = "".join(_ALPHABET[digit] for digit in [*digits, _check_digit(digits)])
    return "-".join(text[at : at + _GROUP_SIZE] for at in range(0, len(text), _GROUP_SIZE))


def parse_receipt_code(text: str) -> tuple[UUID, UUID]:
    """The first and the last event id that may have this reference.

    Case, spaces and dashes do not matter, and I, L and O are read as 1, 1 and 0. Raises
    InvalidInput, which names what to check, when a character is wrong or missing.
    """
    plain = text.strip().upper().translate(_LOOKALIKES)
    if len(plain) != _DATA_CHARACTERS + 1:
        raise InvalidInput(f"a reference has {_DATA_CHARACTERS + 1} letters and digits")
    digits = [_ALPHABET.find(character) for character in plain]
    if -1 in digits or _check_digit(digits[:-1]) != digits[-1]:
        raise InvalidInput("a character of this reference is wrong: compare it with the receipt")
    number = 0
    for digit in digits[:-1]:
        number = number << _BITS | digit
    low = number << _DROPPED_BITS
    return UUID(int=low), UUID(int=low | (1 << _DROPPED_BITS) - 1)


def _check_digit(digits: list[int]) -> int:
    """Luhn modulo 32: finds every wrong character, and neighbours that were swapped."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = digit * (2 if place % 2 == 0 else 1)
        total += doubled // _BASE + doubled % _BASE
    return -total % _BASE
