"""The SQL that raises the wanted version of sync states: of the forms and destinations concerned.

One transaction updates a bounded number of forms of a mailbox, however many there are (I9): at most
MAX_IMMEDIATE_FORMS others per key. The rest is stored in `deferred_form`, for `deferred_forms`.
"""

from __future__ import annotations

from preference_center.core.events import (
    ALL_MARKETING,
    EVERYTHING,
    RESTRICTION,
    UNDELIVERABLE,
    EventKind,
)
from preference_center.ledger.store.addresses import is_pushable
from preference_center.ledger.store.suppression_lookup import KINDS_MAY_MATCH

MAX_IMMEDIATE_FORMS = 100
"""Forms, other than the exact one, that are updated in the event's own transaction."""


def sql_kinds(*kinds: EventKind) -> str:
    """These kinds, as the inside of an SQL list."""
    return ", ".join(f"'{kind.value}'" for kind in kinds)


LIFTING_KINDS = sql_kinds(*(kind for kind in EventKind if kind.lifts))

_KINDS_WITHOUT_DEADLINE = sql_kinds(
    *(kind for kind in EventKind if kind.lifts or kind is EventKind.FREQUENCY_CHOSEN)
)
"""What is pushed without a deadline: the window is for opt-outs (I3)."""

RAISE_CTES = f"""wanted AS (
    SELECT d.id AS destination_id, affected.target, max(affected.seq) AS version,
        min(affected.waiting_since) AS waiting_since
    FROM affected
    CROSS JOIN LATERAL (SELECT channel FROM address
        WHERE id = affected.target AND {is_pushable("address")} LIMIT 1) AS address
    JOIN destination d ON address.channel = ANY(d.channels)
        AND (affected.scope IN ('{ALL_MARKETING}', '{EVERYTHING}', '{UNDELIVERABLE}',
            '{RESTRICTION}')
            OR affected.scope = ANY(d.sends))
    WHERE NOT affected.only_if_missing OR (SELECT existing.wanted_version FROM sync_state existing
        WHERE existing.destination_id = d.id AND existing.address_id = affected.target) IS NULL
    GROUP BY d.id, affected.target
), raised AS (
    INSERT INTO sync_state AS s (destination_id, address_id, wanted_version, due_at, next_at, bulk)
    SELECT destination_id, target, version, waiting_since + %(window)s, %(now)s, %(bulk)s::boolean
    FROM wanted ORDER BY destination_id, target
    ON CONFLICT (destination_id, address_id) DO UPDATE SET
        wanted_version = GREATEST(s.wanted_version + 1, EXCLUDED.wanted_version),
        due_at = LEAST(s.due_at, EXCLUDED.due_at),
        next_at = CASE WHEN s.lease IS NULL THEN EXCLUDED.next_at ELSE s.next_at END,
        bulk = EXCLUDED.bulk AND (s.bulk OR s.next_at IS NULL)
    RETURNING destination_id
)
"""  # noqa: S608 - constants of this module
"""Raise the wanted version of the sync states of `affected`, of every form that can be pushed.

`only_if_missing`: only at destinations without a row of this address. Each destination has a row
for every such form with an active suppression, so a missing row means that the address could
not be pushed before.

While a worker holds a row, the end of its lease is unchanged. Forms of one mailbox commit in any
order, so the wanted version always grows: the worker must notice that it read an older state.
`bulk` rows wait behind others, unless the row is waiting for something else already.
"""

_RECEIVED_AT = """(SELECT received_at FROM event
        WHERE id = CASE WHEN s.active THEN s.out_event ELSE s.pause_event END)"""


def match_key_ctes(source: str, *columns: str) -> str:
    """CTEs: the `key`s of the addresses in `source`, and `related` suppressions.

    Those are of every form that has one of these keys. Each form is read once for all of them: if
    a thousand forms opt out, every event would otherwise read a thousand. `OFFSET 0` avoids full
    scans by a plan that was made while the tables were small, and so does filtering `related`
    for active ones instead of using partial indexes.
    """
    return f"""key AS (
    SELECT {"".join(f"e.{name}, " for name in columns)}a.digest, a.channel, a.kind, a.address_id
    FROM {source} e CROSS JOIN LATERAL (
        SELECT * FROM address_key WHERE address_id = e.address_id OFFSET 0) AS a
), related AS (
    SELECT b.digest, b.channel, b.kind, s.address_id, s.scope, s.lift_at, s.out_event,
        s.pause_event, s.active, s.pause_until, GREATEST(s.out_at, s.pause_at) AS off_at,
        s.out_at IS NOT NULL OR s.pause_until > %(now)s AS off
    FROM (SELECT DISTINCT digest, channel FROM key) AS key
    CROSS JOIN LATERAL (SELECT * FROM address_key
        WHERE digest = key.digest AND channel = key.channel OFFSET 0) AS b
    CROSS JOIN LATERAL (
        SELECT * FROM suppression WHERE address_id = b.address_id OFFSET 0) AS s
)"""  # noqa: S608 - constants of this package


_NEWEST_OPT_OUT_CTE = """newest_opt_out AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY digest, channel, kind, scope
            ORDER BY off_at DESC, address_id) AS newest_rank
        FROM related WHERE off) AS ranked
    WHERE newest_rank <= 2
)"""
"""The two newest opt-outs or pauses per key and scope, also lifted ones: a lift is for its exact
form only. Two, since the newest may be the form's own.
"""


def _forms_in_order(and_where: str = "true") -> str:
    """SQL: from and order of the forms `b` that have the key `a`, lowest ids first.

    With `digest = a.digest` any index on `address_id` would have this order, and be read from its
    beginning by a plan that was made while the table was small.
    """
    return f"""address_key b WHERE b.digest BETWEEN a.digest AND a.digest
            AND b.channel = a.channel AND {and_where} AND {KINDS_MAY_MATCH} <> 0
        ORDER BY b.digest, b.address_id"""


RAISE_AFFECTED_CTES = f"""matched AS (
    SELECT a.*, ARRAY(SELECT b.address_id FROM {_forms_in_order()}
        LIMIT {MAX_IMMEDIATE_FORMS + 1}) AS forms
    FROM (SELECT a.digest, a.channel, a.kind, e.scope, max(e.seq) AS seq,
            min(e.received_at)
                FILTER (WHERE e.kind NOT IN ({_KINDS_WITHOUT_DEADLINE})) AS received_at
        FROM appended e JOIN key a USING (id) WHERE e.kind <> '{EventKind.CONSENTED}'
        GROUP BY a.digest, a.channel, a.kind, e.scope) AS a
), deferred AS (
    INSERT INTO deferred_form AS r (digest, channel, kind, scope, version, received_at,
        last_address_id)
    SELECT digest, channel, kind, scope, seq, received_at, forms[{MAX_IMMEDIATE_FORMS}] FROM matched
    WHERE cardinality(forms) > {MAX_IMMEDIATE_FORMS} ORDER BY digest, channel, kind, scope
    ON CONFLICT (digest, channel, kind, scope) WHERE NOT started DO UPDATE SET
        version = GREATEST(r.version, EXCLUDED.version),
        received_at = LEAST(r.received_at, EXCLUDED.received_at),
        last_address_id = LEAST(r.last_address_id, EXCLUDED.last_address_id)
), {_NEWEST_OPT_OUT_CTE}, affected AS (
    SELECT seq, scope, address_id AS target, false AS only_if_missing,
        CASE WHEN kind NOT IN ({_KINDS_WITHOUT_DEADLINE}) THEN received_at END AS waiting_since
    FROM appended WHERE kind <> '{EventKind.CONSENTED}'
    UNION ALL
    SELECT seq, scope, unnest(forms[:{MAX_IMMEDIATE_FORMS}]), false, received_at FROM matched
    UNION ALL
    SELECT e.seq, s.scope, e.address_id, e.kind <> '{EventKind.CONSENTED}',
        CASE WHEN e.kind <> '{EventKind.CONSENTED}' THEN {_RECEIVED_AT} ELSE e.received_at END
    FROM appended e JOIN related s ON s.address_id = e.address_id
    WHERE s.active OR s.pause_until > %(now)s
    UNION ALL
    SELECT e.seq, b.scope, e.address_id, false, e.received_at
    FROM appended e JOIN key a USING (id)
    JOIN newest_opt_out b ON b.digest = a.digest AND b.channel = a.channel
        AND b.address_id <> e.address_id
    WHERE {KINDS_MAY_MATCH} <> 0
        AND NOT (e.kind IN ({LIFTING_KINDS}) AND e.scope = b.scope AND e.counts_at > b.off_at
            AND e.scope <> '{RESTRICTION}')
), {RAISE_CTES}
SELECT ARRAY(SELECT id FROM appended ORDER BY seq),
    ARRAY(SELECT DISTINCT destination_id FROM raised)
"""  # noqa: S608 - constants of this module
"""Raise the sync states affected by new events: those of every known form of the mailbox (I9).

Any event may be the first one of a new form: then opt-outs of the other forms of its mailbox
affect it, too, even lifted ones, as a lift is for its exact form only. It may also make an address
readable that was suppressed before. A consent has an effect only where an opt-out exists.

The forms that are updated immediately are those with the lowest ids, so that the rest is a range of
the primary key of `address_key`.
"""

_RAISE_LEARNED = f"""
WITH learned AS (
    SELECT address.id AS address_id
    FROM json_to_recordset(%(addresses)s) AS given (channel text, digest bytea)
    CROSS JOIN LATERAL (SELECT id FROM address
        WHERE digest = given.digest AND channel = given.channel LIMIT 1) AS address
), {match_key_ctes("learned")}, {_NEWEST_OPT_OUT_CTE}, affected AS (
    SELECT (SELECT max(seq + 0) FROM event WHERE id IN (s.out_event, s.pause_event)) AS seq,
        s.scope, s.address_id AS target, {{only_if_missing}} AS only_if_missing,
        {{waiting_since}} AS waiting_since
    FROM learned JOIN related s USING (address_id)
    WHERE s.active OR s.pause_until > %(now)s
    UNION ALL
    SELECT (SELECT max(seq + 0) FROM event WHERE id IN (b.out_event, b.pause_event)),
        b.scope, a.address_id, {{only_if_missing}}, %(now)s
    FROM key a JOIN newest_opt_out b ON b.digest = a.digest AND b.channel = a.channel
        AND b.address_id <> a.address_id
    WHERE {KINDS_MAY_MATCH} <> 0
), {RAISE_CTES}
SELECT ARRAY[]::uuid[], ARRAY(SELECT DISTINCT destination_id FROM raised)
"""  # noqa: S608 - constants of this module
# `seq + 0`: else PostgreSQL 17 may read events from the newest on until it meets one of the two.
RAISE_LEARNED = _RAISE_LEARNED.format(only_if_missing="true", waiting_since=_RECEIVED_AT)
"""Raise the sync states of addresses that were stored without an event, as from a contact (I9).

If only a digest of the address was known, its opt-out has been waiting since it was received; for
a new form, opt-outs of other forms wait from now on.
"""

RAISE_RETURNED = _RAISE_LEARNED.format(only_if_missing="false", waiting_since="%(now)s")
"""The same for an address that is readable again: what tools have may be out of date (I6)."""

RAISE_DEFERRED = f"""
WITH a AS (
    SELECT * FROM deferred_form WHERE id = %(id)s FOR UPDATE SKIP LOCKED
), form AS (
    SELECT b.address_id FROM a CROSS JOIN LATERAL (
        SELECT b.address_id FROM {_forms_in_order("b.address_id > a.last_address_id")}
        LIMIT %(size)s) AS b
), affected AS (
    SELECT a.version AS seq, a.scope, form.address_id AS target, false AS only_if_missing,
        a.received_at AS waiting_since
    FROM a CROSS JOIN form
), step AS (
    SELECT count(*) < %(size)s AS last, max(address_id) AS last_address_id FROM form
), ended AS (
    DELETE FROM deferred_form r USING a, step WHERE r.id = a.id AND step.last
), advanced AS (
    UPDATE deferred_form r SET last_address_id = step.last_address_id
    FROM a, step WHERE r.id = a.id AND NOT step.last
), {RAISE_CTES}
SELECT step.last FROM step
"""  # noqa: S608 - constants of this module
"""Update the next forms of a started row, in order of their ids; returns if they were the last.

A form that is added meanwhile is updated by the transaction that adds it.
"""
