"""From rows to changes: the one reading that plan and apply share, so that they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.deadlines import WINDOW
from preference_center.domain.events import CLOCK_TRUST, UNDELIVERABLE, Change
from preference_center.domain.hashed_addresses import Hashed, parse_hash
from preference_center.domain.imports.instructions import Instructions
from preference_center.domain.imports.presets import Meaning
from preference_center.domain.imports.row_statements import Record, Statement, cell, statements
from preference_center.domain.imports.scopes import LEAVE_OUT
from preference_center.domain.imports.subscription_evidence import prove
from preference_center.domain.imports.timestamps import read_moment
from preference_center.domain.sender_requests import EARLIEST, marketing_scope, topic_for
from preference_center.errors import InvalidInput

SOURCE = "import"
"""The source of every event that an import makes; its evidence names the import."""

NO_SCOPE = "the scope map does not say what its group means here"


@dataclass(frozen=True, slots=True)
class Entry:
    """One change that a row asks for."""

    line: int
    meaning: Meaning
    change: Change
    dated: bool
    """Whether the row says when it happened."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row, or one thing that it says, can't be taken; without the address (I12)."""

    line: int
    reason: str


@dataclass(slots=True)
class Reading:
    """What one row came to."""

    entries: list[Entry] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    groups: list[tuple[Meaning, str]] = field(default_factory=list)
    unmapped: list[tuple[Meaning, str]] = field(default_factory=list)
    left_out: int = 0
    """Things it says that were not asked for."""

    @property
    def says_nothing(self) -> bool:
        """Whether it holds nothing for us at all."""
        return not (self.entries or self.refusals or self.unmapped or self.left_out)


@dataclass(frozen=True, slots=True)
class Translator:
    """Reads the rows of one import.

    `event_id(row, number)` makes the same id for the same thing of a row each time, so that
    a row which is read again after a crash is the same event. `begun_at` stands for now.
    """

    instructions: Instructions
    catalogue: Catalogue
    import_id: UUID
    event_id: Callable[[int, int], UUID]
    begun_at: datetime
    actor: str
    region: str
    zone: tzinfo

    def read(self, record: Record) -> Reading:
        """What the row asks for, or why it can't be had."""
        reading = Reading()
        preset = self.instructions.preset
        if record.fault:
            reading.refusals.append(Refusal(record.line, record.fault))
            return reading
        wanted = []
        for statement in statements(record, preset):
            only = self.instructions.only
            if only and not only.covers(statement.says.meaning):
                # Of an open file the other thing was never said: see `Preset.is_open`.
                reading.left_out += not preset.is_open
            else:
                wanted.append(statement)
        if not wanted:
            if preset.is_strict and not reading.left_out:
                reading.refusals.append(Refusal(record.line, "it can't be told what the row says"))
            return reading
        try:
            address = self._address(record)
        except InvalidInput as error:
            reading.refusals.append(Refusal(record.line, str(error)))
            return reading
        for statement in wanted:
            self._take(reading, record, statement, address)
        return reading

    def _take(
        self, reading: Reading, record: Record, statement: Statement, address: Address | Hashed
    ) -> None:
        meaning = statement.says.meaning
        scope: str | None = UNDELIVERABLE
        if meaning is not Meaning.BOUNCE:
            reading.groups.append((meaning, statement.group))
            scope = self.instructions.scopes.of(statement.group)
        if scope is None:
            reading.unmapped.append((meaning, statement.group))
            return
        if scope == LEAVE_OUT:
            reading.left_out += 1
            return
        try:
            reading.entries.append(self._entry(record, statement, address, scope))
        except InvalidInput as error:
            reading.refusals.append(Refusal(record.line, str(error)))

    def _entry(
        self, record: Record, statement: Statement, address: Address | Hashed, scope: str
    ) -> Entry:
        meaning = statement.says.meaning
        evidence = {"import": str(self.import_id), "list": self.instructions.preset.name}
        if meaning is not Meaning.BOUNCE:
            evidence["group"] = statement.group[:200]
        if meaning is Meaning.SUBSCRIPTION:
            occurred = self._moment(statement.at, end_of_day=False)
            dated = occurred is not None
            occurred, proof = self._prove(statement, address, scope, occurred)
            received = self.begun_at
            evidence |= proof
        else:
            if scope != UNDELIVERABLE:
                marketing_scope(address, scope, self.catalogue)
            occurred, received, dated = self._times(record, statement, evidence)
        change = Change(
            id=self.event_id(record.index, statement.number),
            kind=meaning.kind,
            address=address,
            scope=scope,
            occurred_at=occurred,
            received_at=received,
            source=SOURCE,
            actor=self.actor,
            evidence=evidence,
        )
        return Entry(record.line, meaning, change, dated)

    def _prove(
        self,
        statement: Statement,
        address: Address | Hashed,
        scope: str,
        occurred: datetime | None,
    ) -> tuple[datetime, dict[str, str]]:
        if isinstance(address, Hashed):
            raise InvalidInput("nobody can be subscribed by a hash")
        topic = topic_for(address, scope, self.catalogue)
        return prove(
            statement.evidence,
            self.instructions,
            address,
            topic,
            occurred,
            self.catalogue.policy.unproven_imports,
        )

    def _times(
        self, record: Record, statement: Statement, evidence: dict[str, str]
    ) -> tuple[datetime, datetime, bool]:
        """When a "no" happened, when its 72 hours begin, and whether the row is dated.

        A date that can't be had or lies ahead never costs anybody their "no": it counts from
        now. The 72 hours begin when the list reached the company: a row's own date of
        receipt counts while they still run, and is evidence after that.
        """
        stated = self.instructions.received_at or self.begun_at
        told = self._moment(
            cell(record.cells, self.instructions.preset.received_at), end_of_day=False
        )
        occurred = self._moment(statement.at, end_of_day=True) or told
        received = stated
        if told and told < stated:
            evidence["received_at"] = told.isoformat()
            received = told if told > self.begun_at - WINDOW else stated
        return min(occurred or received, self.begun_at), received, occurred is not None

    def _moment(self, text: str, *, end_of_day: bool) -> datetime | None:
        if not text:
            return None
        found = read_moment(text, self.zone, end_of_day=end_of_day)
        slack = timedelta(days=1) if end_of_day else CLOCK_TRUST
        if found is None or not EARLIEST <= found <= self.begun_at + slack:
            return None
        return min(found, self.begun_at)

    def _address(self, record: Record) -> Address | Hashed:
        preset = self.instructions.preset
        raw = cell(record.cells, preset.address)
        channel = self.instructions.channel
        named = cell(record.cells, preset.channel).casefold()
        if named:
            try:
                channel = Channel(named)
            except ValueError:
                raise InvalidInput("the channel is email, sms or phone") from None
        if preset.is_hashed:
            return parse_hash(raw, channel)
        return parse(raw, channel, region=self.region)
