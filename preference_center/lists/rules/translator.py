"""`RowTranslator` translates rows into changes. Plan and apply share it, so that they agree.

An imported subscription counts only with evidence of what the person agreed to.

Ids of an import's events are derived from the import and the row, and contiguous. So a row that is
read again after a crash is the same event, events of an import are adjacent in the index as those
of live traffic are, and undo finds them by one range.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from preference_center.catalogue import Catalogue, Topic, TopicDefault, UnprovenImportPolicy
from preference_center.core.addresses import (
    Address,
    Channel,
    HashedAddress,
    parse_hashed_address,
)
from preference_center.core.channels import CHANNEL_CHOICE
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import InvalidInput
from preference_center.core.events import (
    CLOCK_TOLERANCE,
    IMPORT_SOURCE,
    UNDELIVERABLE,
    Change,
    uuid7,
)
from preference_center.core.tabular import parse_every_address, strip_text_mark
from preference_center.integrations.base.presets import ImportPreset, RowMeaning
from preference_center.ledger.rules import (
    EARLIEST_TIME,
    ConsentEvidence,
    check_policy_shown,
    topic_for_address,
    validate_opt_out_scope,
)
from preference_center.lists.rules.instructions import LEAVE_OUT, ImportInstructions, LegalBasis
from preference_center.lists.rules.rows import (
    FileRow,
    RowStatement,
    UnreadableDates,
    cell_text,
    is_date_stated,
    parse_row_statements,
    parse_timestamp,
)

UNPROVEN = "unproven"


_IMPORT_BITS, _ROW_BITS, _NUMBER_BITS = 26, 34, 14
"""Bits of import, row and statement number: together the 74 free bits of a UUID 7."""


def event_id_factory(import_id: UUID, started_at: datetime) -> Callable[[int, int], UUID]:
    """A function from row and statement number to the id of that event."""
    digest = hashlib.sha256(import_id.bytes).digest()
    mark = int.from_bytes(digest[:4]) >> (32 - _IMPORT_BITS) << (_ROW_BITS + _NUMBER_BITS)
    return lambda row, number: uuid7(started_at, mark | row << _NUMBER_BITS | number)


def event_id_range(import_id: UUID, started_at: datetime) -> tuple[UUID, UUID]:
    """The first and the last id that an event of this import can have."""
    make = event_id_factory(import_id, started_at)
    return make(0, 0), make((1 << _ROW_BITS) - 1, (1 << _NUMBER_BITS) - 1)


_MAX_LENGTHS = {"source": 300, "wording": 4000, "language": 35}


def build_subscription_evidence(
    given: Mapping[str, str],
    instructions: ImportInstructions,
    address: Address,
    topic: Topic,
    occurred_at: datetime | None,
    policy: UnprovenImportPolicy,
    policy_shown: str = "",
) -> tuple[datetime, dict[str, str]]:
    """When the subscription counts from, and the evidence to keep.

    A consent needs date, source, wording and language. An existing customer needs date and
    source, and a topic that is opt-out by default. What lacks some of it is refused or marked,
    by the catalogue's policy; without a date it counts as older than any opt-out. `policy_shown`
    is the version of the privacy policy, by `check_policy_shown`. Raises InvalidInput with the
    reason.
    """
    evidence_values = {
        name: given.get(name) or instructions.default_evidence(name) for name in _MAX_LENGTHS
    }
    for name, longest in _MAX_LENGTHS.items():
        if len(evidence_values[name]) > longest or "\x00" in evidence_values[name]:
            raise InvalidInput(f"{name} is longer than {longest} characters, or unprintable")
    basis = _basis(given.get("legal_basis") or instructions.default_evidence("legal_basis"))
    if topic.retired:
        raise InvalidInput(f"the topic {topic.key} is retired: nobody can subscribe any more")
    if basis is LegalBasis.EXISTING_CUSTOMER and topic.default is TopicDefault.OPT_IN:
        raise InvalidInput(
            f"the topic {topic.key} needs a consent; being an existing customer is not one"
        )
    lacking = _missing_evidence(evidence_values, basis, occurred_at)
    if lacking and policy is UnprovenImportPolicy.REFUSE:
        raise InvalidInput(f"no evidence: {', '.join(lacking)} missing{_remedy(lacking)}")
    counts_from = occurred_at or EARLIEST_TIME
    proof = ConsentEvidence(
        evidence_values["source"],
        evidence_values["wording"],
        evidence_values["language"],
        counts_from,
        policy_shown,
    )
    kept = {name: value for name, value in proof.to_evidence(address).items() if value}
    if basis:
        kept["legal_basis"] = basis.value
    if lacking:
        kept |= {"proof": UNPROVEN, "missing": ", ".join(lacking)}
    return counts_from, kept


def _basis(text: str) -> LegalBasis | None:
    word = text.strip().casefold().replace(" ", "_").replace("-", "_")
    try:
        return LegalBasis(word) if word else None
    except ValueError:
        raise InvalidInput("the legal basis is consent or existing_customer") from None


def _missing_evidence(
    given: Mapping[str, str], basis: LegalBasis | None, occurred_at: datetime | None
) -> list[str]:
    needed = ["source"]
    if basis is not LegalBasis.EXISTING_CUSTOMER:
        needed += ["wording", "language"]
    lacking = [] if occurred_at else ["date"]
    lacking += [] if basis else ["legal basis"]
    return lacking + [name for name in needed if not given[name]]


def _remedy(missing: list[str]) -> str:
    found = [name for name in missing if name != "date"]
    return f" (state what applies to all such rows: {', '.join(found)})" if found else ""


_PLAIN_WORD = re.compile(r"[A-Za-z_-]{1,20}")


_UNCERTAIN = (
    "the cell may mean several addresses: it has more than one, or an apostrophe before it, as"
    " spreadsheets put it before text. Nobody is subscribed by it: write one address"
)
_STATEMENT_BITS = 10
"""Bits of a statement's number in its event's id, below those of the address's number."""
_MAX_STATEMENTS, _MAX_ADDRESSES = 1 << _STATEMENT_BITS, 1 << (_NUMBER_BITS - _STATEMENT_BITS)


MISSING_SCOPE = "the scope map has no scope for its group"


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change that a row makes."""

    line: int
    meaning: RowMeaning
    change: Change
    has_date: bool
    """Whether the row states when it happened."""
    has_country_code: bool = True
    """Whether a phone number was read without the region of the instructions."""
    is_other_reading: bool = False
    """Whether the cell may mean another address, too, of which there is a change before this."""


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """Why a row, or one of its statements, is refused; without the address (I12)."""

    line: int
    reason: str


@dataclass(slots=True)
class TranslatedRow:
    """The result for one row."""

    changes: list[RowChange] = field(default_factory=list)
    refusals: list[RowRefusal] = field(default_factory=list)
    groups: list[tuple[RowMeaning, str]] = field(default_factory=list)
    unmapped: list[tuple[RowMeaning, str]] = field(default_factory=list)
    excluded: int = 0
    """Statements that were not to be imported."""
    unreadable_dates: list[tuple[int, str]] = field(default_factory=list)
    """Dates of the row, with its line, that no format reads and that may not be left out."""

    @property
    def is_empty(self) -> bool:
        """Whether it contains nothing to import."""
        return not (self.changes or self.refusals or self.unmapped or self.excluded)


@dataclass(frozen=True)
class RowTranslator:
    """Translates the rows of one import. `started_at` serves as the current time.

    A phone number without a country code is read as dialled in `region`.
    """

    instructions: ImportInstructions
    catalogue: Catalogue
    import_id: UUID
    started_at: datetime
    actor: str
    region: str

    @cached_property
    def _event_id(self) -> Callable[[int, int], UUID]:
        return event_id_factory(self.import_id, self.started_at)

    @cached_property
    def _zone(self) -> tzinfo:
        return ZoneInfo(self.instructions.zone)

    def translate(self, row: FileRow) -> TranslatedRow:
        """The changes that the row makes, or why they are refused."""
        reading = TranslatedRow()
        preset = self.instructions.preset
        if row.error:
            reading.refusals.append(RowRefusal(row.line, row.error))
            return reading
        wanted = []
        for statement in parse_row_statements(row, preset):
            only = self.instructions.meaning_filter
            if only and not only.covers(statement.column_meaning.meaning):
                # The file does not state the other meaning: see `ImportPreset.requires_meaning`.
                reading.excluded += not preset.requires_meaning
            else:
                wanted.append(statement)
        if not wanted:
            if preset.is_strict and not reading.excluded:
                reading.refusals.append(RowRefusal(row.line, _describe_unknown_status(row, preset)))
            return reading
        try:
            addresses = self._parse_addresses(row, self.region)
            _check_event_ids_suffice(wanted, addresses)
        except InvalidInput as error:
            reading.refusals.append(RowRefusal(row.line, str(error)))
            return reading
        for statement in wanted:
            self._add_changes(reading, row, statement, addresses)
        return reading

    def _add_changes(
        self,
        translated: TranslatedRow,
        row: FileRow,
        statement: RowStatement,
        addresses: Sequence[Address | HashedAddress],
    ) -> None:
        meaning, preset = statement.column_meaning.meaning, self.instructions.preset
        scope: str | None = UNDELIVERABLE
        if meaning is not RowMeaning.BOUNCE:
            translated.groups.append((meaning, statement.group))
            scope = self.instructions.scopes.scope_of(statement.group)
        if scope is None:
            translated.unmapped.append((meaning, statement.group))
            return
        if scope == LEAVE_OUT:
            translated.excluded += 1
            return
        for text in (statement.date, cell_text(row.cells, preset.received_at_columns)):
            if self._is_unreadable_date(text):
                translated.unreadable_dates.append((row.line, text))
        try:
            translated.changes += [
                self._build_change(row, statement, address, scope, number)
                for number, address in enumerate(_select_concerned(meaning, addresses))
            ]
        except InvalidInput as error:
            translated.refusals.append(RowRefusal(row.line, str(error)))

    def _build_change(
        self,
        row: FileRow,
        statement: RowStatement,
        address: Address | HashedAddress,
        scope: str,
        number: int,
    ) -> RowChange:
        meaning = statement.column_meaning.meaning
        evidence = {"import": str(self.import_id), "list": self.instructions.preset.name}
        if meaning is not RowMeaning.BOUNCE:
            evidence["group"] = statement.group[:200]
        if meaning is RowMeaning.SUBSCRIPTION:
            occurred = self._parse_date(statement.date, end_of_day=False)
            dated = occurred is not None
            occurred, proof = self._subscription_evidence(statement, address, scope, occurred)
            received = self.started_at
            evidence |= proof
        else:
            if scope != UNDELIVERABLE:
                validate_opt_out_scope(address, scope, self.catalogue)
            occurred, received, dated = self._times(row, statement, evidence)
        change = Change(
            id=self._event_id(row.index, number << _STATEMENT_BITS | statement.index),
            kind=meaning.kind,
            address=address,
            scope=scope,
            occurred_at=occurred,
            received_at=received,
            source=IMPORT_SOURCE,
            actor=self.actor,
            evidence=evidence,
        )
        has_country_code = self._has_country_code(row, address)
        return RowChange(row.line, meaning, change, dated, has_country_code, number > 0)

    def _subscription_evidence(
        self,
        statement: RowStatement,
        address: Address | HashedAddress,
        scope: str,
        occurred: datetime | None,
    ) -> tuple[datetime, dict[str, str]]:
        if isinstance(address, HashedAddress):
            raise InvalidInput("a hash can't be subscribed")
        topic = topic_for_address(address, scope, self.catalogue)
        stated = statement.evidence.get("policy") or None
        return build_subscription_evidence(
            statement.evidence,
            self.instructions,
            address,
            topic,
            occurred,
            self.catalogue.policy.unproven_imports,
            check_policy_shown(stated, self.catalogue, occurred or EARLIEST_TIME),
        )

    def _times(
        self, row: FileRow, statement: RowStatement, evidence: dict[str, str]
    ) -> tuple[datetime, datetime, bool]:
        """When an opt-out happened, when its 72 hours begin, and whether the row has a date.

        A date that is unreadable or in the future never loses an opt-out: it counts from now. The
        72 hours begin when the list reached the company: a row's own date of receipt counts while
        they still run, and is evidence after that.
        """
        stated = self.instructions.received_at or self.started_at
        row_received_at = self._parse_date(
            cell_text(row.cells, self.instructions.preset.received_at_columns), end_of_day=False
        )
        occurred = self._parse_date(statement.date, end_of_day=True) or row_received_at
        received = stated
        if row_received_at and row_received_at < stated:
            evidence["received_at"] = row_received_at.isoformat()
            received = row_received_at if row_received_at > self.started_at - WINDOW else stated
        return min(occurred or received, self.started_at), received, occurred is not None

    def _parse_date(self, text: str, *, end_of_day: bool) -> datetime | None:
        if not text:
            return None
        found = self._parse_timestamp(text, end_of_day=end_of_day)
        slack = timedelta(days=1) if end_of_day else CLOCK_TOLERANCE
        if found is None or not EARLIEST_TIME <= found <= self.started_at + slack:
            return None
        return min(found, self.started_at)

    def _parse_timestamp(self, text: str, *, end_of_day: bool) -> datetime | None:
        formats = self.instructions.date_formats
        return parse_timestamp(text, self._zone, end_of_day=end_of_day, formats=formats)

    def _is_unreadable_date(self, text: str) -> bool:
        return (
            self.instructions.unreadable_dates is UnreadableDates.REFUSE
            and is_date_stated(text)
            and self._parse_timestamp(text, end_of_day=False) is None
        )

    def _has_country_code(self, row: FileRow, address: Address | HashedAddress) -> bool:
        if address.channel.rules.is_email or isinstance(address, HashedAddress):
            return True
        try:
            return address in self._parse_addresses(row, None)
        except InvalidInput:
            return False

    def _parse_addresses(
        self, row: FileRow, region: str | None
    ) -> Sequence[Address | HashedAddress]:
        """The addresses of the row: see `parse_every_address`. Raises InvalidInput."""
        preset = self.instructions.preset
        raw = cell_text(row.cells, preset.address_columns)
        channel = self.instructions.channel
        named = cell_text(row.cells, preset.channel_columns).casefold()
        if named:
            try:
                channel = Channel(named)
            except ValueError:
                raise InvalidInput(f"the channel is {CHANNEL_CHOICE}") from None
        if preset.is_hashed:
            return [parse_hashed_address(strip_text_mark(raw), channel)]
        return parse_every_address(raw, channel, region)


def _check_event_ids_suffice(
    statements: Sequence[RowStatement], addresses: Sequence[Address | HashedAddress]
) -> None:
    """Raises InvalidInput if events of the row would have the ids of others (I5)."""
    if len(addresses) > _MAX_ADDRESSES:
        raise InvalidInput(
            f"the cell has more than {_MAX_ADDRESSES} addresses: write one address in each row"
        )
    if statements[-1].index >= _MAX_STATEMENTS:
        raise InvalidInput(
            f"the row states more than {_MAX_STATEMENTS:,} groups: divide it into several rows"
        )


def _select_concerned(
    meaning: RowMeaning, addresses: Sequence[Address | HashedAddress]
) -> Sequence[Address | HashedAddress]:
    """Those of the addresses which a cell may mean for which a statement counts.

    An opt-out counts for all of them, a bounce for the one as it was written, a subscription for
    none unless there is only one: raises InvalidInput.
    """
    if meaning is RowMeaning.SUBSCRIPTION and len(addresses) > 1:
        raise InvalidInput(_UNCERTAIN)
    return addresses[:1] if meaning is RowMeaning.BOUNCE else addresses


def _describe_unknown_status(row: FileRow, preset: ImportPreset) -> str:
    """Why the row states nothing. A status is shown if it is a word: it may be an address (I12)."""
    columns = tuple(
        name for meaning in preset.meanings for when in meaning.conditions for name in when.columns
    )
    status = cell_text(row.cells, columns)
    if not _PLAIN_WORD.fullmatch(status):
        return "the row has no known status"
    return (
        f'the status "{status}" is not known: `flask imports presets {preset.name}` lists those'
        " that are"
    )
