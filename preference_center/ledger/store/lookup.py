"""The indexed look-up loads an address's facts, for every decision and page (I9).

It reduces the suppressions of a mailbox's other forms to those that can count: of other forms than
the candidate itself it uses opt-outs, pauses and choices of frequency only. So a decision is as
fast for a thousand forms as for one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg.pq.abc import PGresult

from preference_center.core.addresses import Address, KeyKind, may_match
from preference_center.core.errors import KeyMismatch, Unavailable
from preference_center.core.events import (
    ALL_MARKETING,
    RESTRICTION,
    DatedFrequency,
    EventKind,
    ScopeFact,
    ScopeState,
    Timestamped,
)
from preference_center.core.keys import Keys
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.infra.context import services
from preference_center.infra.db.connections import DIGEST_LENGTH_SQL, keys_unavailable
from preference_center.infra.db.statements import (
    BYTEA_ARRAY_OID,
    ByteaArray,
    PreparedStatement,
    decode_rows,
)
from preference_center.infra.db.transactions import Connection, run_autocommit
from preference_center.ledger.watermarks import (
    CURRENT_EPOCH_SQL,
    NO_EPOCH,
    XMIN_SQL,
    Watermark,
    ensure_epoch,
)

KeySuppressionRow = Sequence[Any]
"""Digest, kind and channel of a key, then the columns of a suppression from its scope on."""


_EXACT = KeyKind.EXACT.value


_MAX_UNREDUCED = 3
"""Up to so many rows of one digest and scope are not reduced."""


_SCOPE, _OUT_AT, _OUT_EVENT, _LIFT_AT, _PAUSE_AT, _PAUSE_UNTIL = 3, 4, 5, 7, 9, 11


_FREQUENCY = slice(12, 15)
"""When it was chosen, its rank, and the event."""


_NEVER = datetime.min.replace(tzinfo=UTC)


def drop_irrelevant_rows(rows: Iterable[KeySuppressionRow]) -> Iterator[KeySuppressionRow]:
    """These rows, without those of other forms that can't count.

    Of the rows found by the digest of a mailbox or base, per digest and scope, only the two newest
    opt-outs can count, since the newest may be the candidate's own, and each pause that lasts
    longer than all newer ones: the longest may be older than an opt-in; of choices of frequency
    the newest, since another form's counts only where the candidate has none. A restriction that
    its form has ended restricts no form, so the active ones come first; that there was one still
    counts for what a tool may turn on.
    """
    others: dict[tuple[Any, ...], list[KeySuppressionRow]] = {}
    for row in rows:
        if row[1] & _EXACT:
            yield row
        else:
            others.setdefault(tuple(row[:4]), []).append(row)
    for group in others.values():
        yield from group if len(group) <= _MAX_UNREDUCED else _relevant_rows(group)


def _is_ended_restriction(row: KeySuppressionRow) -> bool:
    lift_at = row[_LIFT_AT]
    return bool(row[_SCOPE] == RESTRICTION and lift_at and row[_OUT_AT] < lift_at)


def _relevant_rows(group: list[KeySuppressionRow]) -> Iterator[KeySuppressionRow]:
    out = [row for row in group if row[_OUT_AT]]
    out.sort(
        key=lambda row: (not _is_ended_restriction(row), row[_OUT_AT], row[_OUT_EVENT]),
        reverse=True,
    )
    newest = out[:2]
    chosen = [row for row in group if row[_FREQUENCY][0]]
    if chosen:
        row = max(chosen, key=lambda row: tuple(row[_FREQUENCY]))
        if not any(row is other for other in newest):
            newest.append(row)
    yield from newest
    end = _NEVER
    paused = [row for row in group if row[_PAUSE_AT]]
    for row in sorted(paused, key=lambda row: row[_PAUSE_AT], reverse=True):
        if row[_PAUSE_UNTIL] > end:
            end = row[_PAUSE_UNTIL]
            if not any(row is other for other in newest):
                yield row


ScopeFacts = tuple[ScopeFact, ...]


NO_SCOPE_FACTS: ScopeFacts = ()


_KINDS = {kind.value: kind for kind in EventKind}


_SUPPRESSION_COLUMNS = """s.scope, s.out_at, s.out_event, s.reason, s.lift_at, s.lift_event,
    s.pause_at, s.pause_event, s.pause_until, s.frequency_at, s.frequency_rank, s.frequency_event,
    s.frequency, NULL::timestamptz, NULL::uuid"""


_CONSENT_COLUMNS = """c.topic, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, c.at, c.event"""


# An opt-out by mail before its address is known. Unknown means no (I11): if no catalogue has its
# topic, it counts for all marketing.
_PENDING_OPT_OUT_COLUMNS = f"""COALESCE(u.scope, '{ALL_MARKETING}'), u.last_received_at, u.id,
    '{EventKind.OPTED_OUT}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL"""


_MATCHING_SUPPRESSIONS = f"""
SELECT k.digest, k.kind, k.channel, {_SUPPRESSION_COLUMNS}, k.address_id
FROM address_key k
CROSS JOIN LATERAL (SELECT * FROM suppression WHERE address_id = k.address_id OFFSET 0) AS s
WHERE k.digest = ANY(%(digests)b)
"""  # noqa: S608 - constants of this module
"""OFFSET 0 avoids a full scan by a plan that was made while the table was small."""


LOOK_UP_BY_DIGEST = f"""{_MATCHING_SUPPRESSIONS}
UNION ALL
SELECT k.digest, k.kind, k.channel, {_CONSENT_COLUMNS}, k.address_id
FROM address_key k
CROSS JOIN LATERAL (SELECT * FROM consent WHERE address_id = k.address_id OFFSET 0) AS c
WHERE k.digest = ANY(%(digests)b) AND k.kind & {KeyKind.EXACT:d} <> 0
UNION ALL
SELECT given.digest, {_EXACT | KeyKind.MAILBOX:d}::smallint, 'email', {_PENDING_OPT_OUT_COLUMNS}
FROM unnest(%(digests)b::bytea[]) AS given (digest)
CROSS JOIN LATERAL (SELECT * FROM pending_mail_opt_out
    WHERE digest_prefix = substr(given.digest, 1, {DIGEST_PREFIX_BYTES}) OFFSET 0) AS u
UNION ALL
SELECT NULL, (SELECT id FROM md5_matching WHERE id = 1), {CURRENT_EPOCH_SQL}, {XMIN_SQL},
    NULL, NULL, {DIGEST_LENGTH_SQL}::text, {", ".join(["NULL"] * 12)}
"""  # noqa: S608 - constants of this module
"""The row without a digest describes the snapshot: its epoch and xmin make the watermark, and it
states with how many keys the digests of the snapshot were made.

If that row has a kind, the `md5_keys` of these addresses must be looked up, too. It is committed
before the first import of MD5s (I2).
"""


_PREPARED_LOOK_UP = PreparedStatement(
    "by_digest", LOOK_UP_BY_DIGEST.replace("%(digests)b", "$1"), [BYTEA_ARRAY_OID]
)


KINDS_MAY_MATCH = (
    "((a.kind & b.kind & 3) | (a.kind & (b.kind >> 2) & 1) | ((a.kind >> 2) & b.kind & 1))"
)
"""`may_match` in SQL, for two `address_key` rows a and b of one digest; 0 means false."""


_SELECT_KEYS = (
    "SELECT digest, channel, kind, address_id FROM address_key WHERE address_id = ANY(%s)"
)


_SELECT_CONSENTS = f"""
SELECT c.address_id, {_CONSENT_COLUMNS} FROM consent c WHERE c.address_id = ANY(%(ids)b)
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class _LookUpSnapshot:
    """The last row of LOOK_UP_BY_DIGEST."""

    md5: bool
    epoch: str | None
    xmin: int
    digest_length: int
    """How many keys made the digests that it has; 0 if it is empty."""


def load_facts_as_of(addresses: Sequence[Address]) -> tuple[list[ScopeFacts], Watermark]:
    """`load_facts`, and the watermark: the facts include every event before it.

    If no epoch can be begun after a start of the server, the watermark can't be followed.
    """
    facts, snapshot = _look_up(addresses, exact_only=False)
    if snapshot.epoch is None:
        with suppress(Unavailable):
            ensure_epoch()
        facts, snapshot = _look_up(addresses, exact_only=False)
    return facts, Watermark(snapshot.epoch or NO_EPOCH, snapshot.xmin)


def load_facts(
    addresses: Sequence[Address], connection: Connection | None = None
) -> list[ScopeFacts]:
    """Per address, the facts of every stored form of its mailbox (for decisions).

    With a `connection`, as its transaction sees them.
    """
    return _look_up(addresses, exact_only=False, connection=connection)[0]


def load_exact_facts(
    addresses: Sequence[Address], connection: Connection | None = None
) -> list[ScopeFacts]:
    """The same of exactly this form (for pages, exports and rights)."""
    return _look_up(addresses, exact_only=True, connection=connection)[0]


def load_facts_by_id(connection: Connection, ids: Collection[int]) -> dict[int, ScopeFacts]:
    """The facts of every form of the mailbox, by address id; only ids that have any."""
    if not ids:
        return {}
    probes: dict[tuple[bytes, str], list[tuple[int, KeyKind]]] = {}
    for digest, channel, kind, address_id in connection.execute(_SELECT_KEYS, (list(ids),)):
        probes.setdefault((digest, channel), []).append((address_id, KeyKind(kind)))
    digests = ByteaArray(dict.fromkeys(digest for digest, _ in probes))
    found: dict[int, dict[tuple[int, str], ScopeFact]] = {}
    rows = connection.execute(_MATCHING_SUPPRESSIONS, {"digests": digests}, binary=True)
    for row in drop_irrelevant_rows(rows):
        digest, kind, channel, scope, *_, other = row
        for address_id, probe in probes.get((digest, channel), ()):
            exact = address_id == other
            if kind & _EXACT if exact else may_match(probe, KeyKind(kind)):
                facts = found.setdefault(address_id, {})
                facts[other, scope] = _to_scope_fact(row[3:-1], exact=exact)
    result = {address_id: tuple(facts.values()) for address_id, facts in found.items()}
    for consent in connection.execute(_SELECT_CONSENTS, {"ids": list(ids)}, binary=True):
        result[consent[0]] = (*result.get(consent[0], ()), _to_scope_fact(consent[1:], exact=True))
    return result


def _look_up(
    addresses: Sequence[Address], *, exact_only: bool, connection: Connection | None = None
) -> tuple[list[ScopeFacts], _LookUpSnapshot]:
    result: list[ScopeFacts] = [NO_SCOPE_FACTS] * len(addresses)
    probes, rows, snapshot = _find_rows(addresses, connection, exact_only=exact_only)
    own: set[tuple[int, int | None]] = set()
    others: list[tuple[int, Sequence[Any], int | None]] = []
    for digest, stored_kind, channel, *columns, address_id in drop_irrelevant_rows(rows):
        for index, probe in probes[digest]:
            if channel != addresses[index].channel:
                continue
            if int(probe) & stored_kind & _EXACT:
                if address_id is not None:
                    own.add((index, address_id))
                result[index] += (_to_scope_fact(columns, exact=True),)
            elif not exact_only and may_match(probe, KeyKind(stored_kind)):
                others.append((index, columns, address_id))
    for index, row, address_id in others:
        if (index, address_id) not in own:  # found again, by the digest of its mailbox
            result[index] += (_to_scope_fact(row, exact=False),)
    return result, snapshot


def _find_rows(
    addresses: Sequence[Address], connection: Connection | None, *, exact_only: bool
) -> tuple[dict[bytes, list[tuple[int, KeyKind]]], list[tuple[Any, ...]], _LookUpSnapshot]:
    """The digests that were looked up, made by the keys of the snapshot, and the rows.

    Digests are made before the snapshot is read: a rotation may end in between, and would leave
    nothing to be found under the older ones (I2). Raises Unavailable if we lack the newer key.
    """
    keys = services().keys
    length = keys.digest_length
    while True:
        probes = _probes(addresses, keys, exact_only=exact_only)
        rows, snapshot = _fetch_rows(probes, connection)
        found_length = snapshot.digest_length
        if snapshot.md5:
            by_md5 = _look_up_keys(addresses, keys.md5_keys, exact_only=exact_only)
            more, after = _fetch_rows(by_md5, connection)
            rows, probes, found_length = rows + more, probes | by_md5, after.digest_length
        # `keys` may have followed the database while it made them.
        if found_length in {0, length} and keys.digest_length == length:
            return probes, rows, snapshot
        length = found_length or keys.digest_length
        try:
            keys = services().keys.with_length(length)
        except KeyMismatch as error:
            raise keys_unavailable(error) from error


def _probes(
    addresses: Sequence[Address], keys: Keys, *, exact_only: bool
) -> dict[bytes, list[tuple[int, KeyKind]]]:
    probes = _look_up_keys(addresses, keys.match_keys, exact_only=exact_only)
    if keys.digest_length > 1:
        probes |= _look_up_keys(addresses, keys.earlier_match_keys, exact_only=exact_only)
    return probes


def _look_up_keys(
    addresses: Sequence[Address],
    keys_of: Callable[[Address], dict[bytes, KeyKind]],
    *,
    exact_only: bool,
) -> dict[bytes, list[tuple[int, KeyKind]]]:
    """By digest, the indexes of the addresses that it may find, and the kind of the match."""
    probes: dict[bytes, list[tuple[int, KeyKind]]] = {}
    for index, address in enumerate(addresses):
        for digest, kind in keys_of(address).items():
            if not exact_only or kind & KeyKind.EXACT:
                probes.setdefault(digest, []).append((index, kind))
    return probes


def _fetch_rows(
    digests: Iterable[bytes], connection: Connection | None
) -> tuple[list[tuple[Any, ...]], _LookUpSnapshot]:
    """The rows, and the snapshot that they were read in."""
    given = ByteaArray(digests)

    def run_look_up(connection: Connection) -> tuple[list[tuple[Any, ...]], _LookUpSnapshot]:
        return _split_result(connection, _PREPARED_LOOK_UP.run(connection, [given.dump()]))

    if connection is None:
        return run_autocommit(run_look_up, never_in_transaction=True)
    result = connection.execute(LOOK_UP_BY_DIGEST, {"digests": given}, binary=True).pgresult
    assert result  # it has just been executed
    return _split_result(connection, result)


def _split_result(
    connection: Connection, result: PGresult
) -> tuple[list[tuple[Any, ...]], _LookUpSnapshot]:
    last = result.ntuples - 1  # the last part of the statement
    md5, epoch, xmin, length = (result.get_value(last, column) for column in (1, 2, 3, 6))
    snapshot = _LookUpSnapshot(
        md5 is not None,
        epoch.decode() if epoch else None,
        int(xmin or 0),
        int(length or 0),
    )
    return decode_rows(connection, result, range(last)) if last else [], snapshot


def _to_scope_fact(row: Sequence[Any], *, exact: bool) -> ScopeFact:
    scope, out_at, out_event, reason, lift_at, lift_event, *rest = row
    pause_at, pause_event, pause_until, chosen_at, rank, chosen, frequency, *consent = rest
    consent_at, consent_event = consent
    state = ScopeState(
        opt_out=Timestamped(out_at, out_event) if out_at else None,
        reason=_KINDS[reason] if reason else None,
        lift=Timestamped(lift_at, lift_event) if lift_at else None,
        pause=Timestamped(pause_at, pause_event) if pause_at else None,
        pause_until=pause_until,
        consent=Timestamped(consent_at, consent_event) if consent_at else None,
        frequency=DatedFrequency(chosen_at, rank, chosen, frequency) if chosen_at else None,
    )
    return ScopeFact(scope, exact, state)
