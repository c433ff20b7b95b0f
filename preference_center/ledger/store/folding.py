"""Reduce the suppressions of a mailbox's other forms to those that can count (I9).

So a decision is as fast for a thousand forms as for one. Of other forms than the candidate itself
it uses opt-outs, pauses and choices of frequency only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from preference_center.core.addresses import KeyKind
from preference_center.core.events import RESTRICTION

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
    its form has ended counts for no form.
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
    out = [row for row in group if row[_OUT_AT] and not _is_ended_restriction(row)]
    out.sort(key=lambda row: (row[_OUT_AT], row[_OUT_EVENT]), reverse=True)
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
