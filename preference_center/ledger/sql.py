"""The SQL of the write path appends events and raises the wanted version of sync states.

It only computes maxima: the rules are in `core.events`.

Two statements make one transaction, the same for one change or ten thousand. The first one
inserts or locks the addresses, in order of their digests to avoid deadlocks. So the second one
sees everything that an earlier writer of the same mailboxes committed.

One transaction updates the sync states of the forms and destinations concerned, but of a bounded
number of forms of a mailbox, however many there are (I9): at most MAX_IMMEDIATE_FORMS others per
key. The rest is stored in `deferred_form`, for `ledger.forms`.
"""

from __future__ import annotations

from collections.abc import Sequence

from preference_center.core.events import (
    ALL_MARKETING,
    CONSENT_KINDS,
    EVERYTHING,
    KEPT_BY_OPT_OUTS,
    LINK_EVIDENCE,
    RESERVED_SCOPES,
    RESTRICTION,
    UNDELIVERABLE,
    EventKind,
)
from preference_center.infra.db.connections import APPEND_LOCK
from preference_center.ledger.store.addresses import is_pushable
from preference_center.ledger.store.lookup import KINDS_MAY_MATCH

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
        next_at = CASE WHEN s.lease IS NULL
            THEN LEAST(s.next_at, EXCLUDED.next_at) ELSE s.next_at END,
        bulk = EXCLUDED.bulk AND (s.bulk OR s.next_at IS NULL)
    RETURNING destination_id
)
"""  # noqa: S608 - constants of this module
"""Raise the wanted version of the sync states of `affected`, of every form that can be pushed.

`only_if_missing`: only at destinations without a row of this address. Each destination has a row
for every such form with an active suppression, so a missing row means that the address could
not be pushed before.

A pending row is due at the earlier time: a later act does not defer an opt-out (I3). While a worker
holds a row, the end of its lease is unchanged. Forms of one mailbox commit in any
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


_REVEALED = """CROSS JOIN LATERAL (SELECT FROM address WHERE id = s.address_id
        AND widened_xid = pg_current_xact_id() AND ciphertext IS NOT NULL OFFSET 0) AS revealed"""
"""Joins the suppressions `s` of addresses of which this transaction made the readable form known.

Only a digest was known before, so the other forms of their mailboxes did not match (I9).
"""


_MATCHED_CTES = f"""matched AS (
    SELECT a.*, ARRAY(SELECT b.address_id FROM {_forms_in_order()}
        LIMIT {MAX_IMMEDIATE_FORMS + 1}) AS forms
    FROM (SELECT a.digest, a.channel, a.kind, e.scope, max(e.seq) AS seq,
            min(e.waiting_since) AS received_at
        FROM spread e JOIN key a USING (id)
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
)"""  # noqa: S608 - constants of this module
"""CTEs: the forms that what is in `spread` reaches, and a row for those that are left for later."""


RAISE_AFFECTED_CTES = f"""spread AS (
    SELECT id, scope, seq,
        CASE WHEN kind NOT IN ({_KINDS_WITHOUT_DEADLINE}) THEN received_at END AS waiting_since
    FROM appended WHERE kind <> '{EventKind.CONSENTED}'
    UNION ALL
    SELECT e.id, s.scope, e.seq, e.received_at
    FROM appended e JOIN related s USING (address_id) {_REVEALED} WHERE s.off
), {_MATCHED_CTES}, {_NEWEST_OPT_OUT_CTE}, affected AS (
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
readable that was suppressed before: then its opt-outs affect the other forms, too. A consent has an
effect only where an opt-out exists.

The forms that are updated immediately are those with the lowest ids, so that the rest is a range of
the primary key of `address_key`.
"""


# `seq + 0`: else PostgreSQL 17 may read events from the newest on until it meets one of the two.
_NEWEST_SEQ = "(SELECT max(seq + 0) FROM event WHERE id IN (s.out_event, s.pause_event))"


_RAISE_LEARNED = f"""
WITH learned AS (
    SELECT address.id, address.id AS address_id
    FROM json_to_recordset(%(addresses)s) AS given (channel text, digest bytea)
    CROSS JOIN LATERAL (SELECT id FROM address
        WHERE digest = given.digest AND channel = given.channel LIMIT 1) AS address
), {match_key_ctes("learned", "id")}, spread AS (
    SELECT s.address_id AS id, s.scope, {_NEWEST_SEQ} AS seq, %(now)s AS waiting_since
    FROM learned JOIN related s USING (address_id) {_REVEALED} WHERE s.off
), {_MATCHED_CTES}, {_NEWEST_OPT_OUT_CTE}, affected AS (
    SELECT seq, scope, unnest(forms[:{MAX_IMMEDIATE_FORMS}]) AS target, false AS only_if_missing,
        received_at AS waiting_since
    FROM matched
    UNION ALL
    SELECT {_NEWEST_SEQ}, s.scope, s.address_id, {{only_if_missing}}, {{waiting_since}}
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


RAISE_LEARNED = _RAISE_LEARNED.format(only_if_missing="true", waiting_since=_RECEIVED_AT)
"""Raise the sync states of addresses that were stored without an event, as from a contact (I9).

If only a digest of the address was known, its opt-out has been waiting since it was received; for
a new form, opt-outs of other forms wait from now on, and so does its own for the other forms.
"""


RAISE_RETURNED = _RAISE_LEARNED.format(only_if_missing="false", waiting_since="%(now)s")
"""The same for an address that is readable again, or matches more: what tools have may be out of
date (I6, I9)."""


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


def _newest_cte(name: str, kinds: str) -> str:
    """A CTE: the newest live event of these kinds per address and scope."""
    return f"""{name} AS (
    SELECT DISTINCT ON (address_id, scope) * FROM live WHERE kind IN ({kinds})
    ORDER BY address_id, scope, counts_at DESC, id DESC
)"""  # noqa: S608 - constants of this module


def _keep_newest(prefix: str, *columns: str, order: Sequence[str] = ("at", "event")) -> str:
    """Assignments that keep the newer of the stored and the given values of one prefix."""
    given = ", ".join(f"EXCLUDED.{prefix}_{name}" for name in order)
    stored = ", ".join(f"s.{prefix}_{name}" for name in order)
    newer = f"s.{prefix}_at IS NULL OR ({given}) > ({stored})"
    return ", ".join(
        f"{column} = CASE WHEN {newer} THEN EXCLUDED.{column} ELSE s.{column} END"
        for column in columns
    )


def _link_evidence(table: str) -> str:
    """What of the evidence in this table says which link an act was made with."""
    values = ", ".join(f"{table}.evidence->>'{name}'" for name in LINK_EVIDENCE)
    return f"jsonb_build_array({values})"


_KEEP_NEWEST_FREQUENCY = _keep_newest(
    "frequency",
    "frequency_at",
    "frequency_rank",
    "frequency_event",
    "frequency",
    order=("at", "rank", "event"),
)


_SUPPRESSING_KINDS = sql_kinds(*(kind for kind in EventKind if kind.suppresses))


_PAUSING_KINDS = sql_kinds(EventKind.PAUSED)


_KEPT_BY_OPT_OUTS = ", ".join(f"'{scope}'" for scope in sorted(KEPT_BY_OPT_OUTS))


_RESERVED = ", ".join(f"'{scope}'" for scope in sorted(RESERVED_SCOPES))


_CONSENTING_KINDS = sql_kinds(*CONSENT_KINDS)


ACQUIRE_APPEND_LOCK = f"""
SELECT CASE WHEN EXISTS (
    SELECT FROM unnest(%(ids)s::uuid[]) AS given (id)
    WHERE NOT EXISTS (SELECT FROM event WHERE event.id = given.id))
    THEN pg_advisory_xact_lock({APPEND_LOCK}) ELSE pg_advisory_xact_lock_shared({APPEND_LOCK}) END,
    require_current_epoch()
"""  # noqa: S608 - a constant
"""Wait for running appends, and block new ones until this transaction ends.

Otherwise a retraction and the event that it names could miss each other. If all the events are
stored, the shared lock is enough. To be executed before any other lock.
"""


LOCK_ADDRESSES = f"""
WITH given AS (
    SELECT * FROM pg_advisory_xact_lock_shared({APPEND_LOCK}), require_current_epoch(),
        json_to_recordset(%(addresses)s)
            AS given (channel text, digest bytea, ciphertext bytea, domain bytea, keys json)
), locked AS (
    INSERT INTO address (channel, digest, norm_version, ciphertext, domain_digest, created_at)
    SELECT channel, digest, %(norm_version)s, ciphertext, domain, %(now)s FROM given
    ORDER BY digest, channel
    ON CONFLICT (digest, channel) DO UPDATE SET ciphertext =
        CASE WHEN address.erased_at IS NULL
            THEN COALESCE(address.ciphertext, EXCLUDED.ciphertext) END,
        domain_digest = CASE WHEN address.erased_at IS NULL
            THEN COALESCE(address.domain_digest, EXCLUDED.domain_digest) END,
        widened_xid = CASE WHEN address.ciphertext IS NULL AND EXCLUDED.ciphertext IS NOT NULL
            THEN pg_current_xact_id() ELSE address.widened_xid END
    RETURNING id, digest, channel
)
INSERT INTO address_key (digest, channel, address_id, kind)
SELECT key.digest, channel, locked.id, key.kind
FROM given JOIN locked USING (digest, channel),
    json_to_recordset(given.keys) AS key (digest bytea, kind smallint, md5 boolean)
WHERE NOT key.md5 OR (SELECT md5_matching_enabled() FROM given LIMIT 1)
ORDER BY key.digest, channel, locked.id
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant
"""An erased address keeps its row and its suppressions, and is never stored readable again (I6).

Rows without keys are of a mailbox or a base that was not used as an address so far. No look-up
finds them; they exist to be locked.

An address known by its SHA-256 only keeps its row when it becomes known: the row gets its readable
form and the keys of its other forms, which `widened_xid` shows to local filters. A volatile
function checks under the append lock whether MD5s are matched, since this statement's snapshot is
from before the lock.
"""


APPEND_EVENTS = f"""
WITH input_event AS (
    SELECT address.id AS address_id, e.*
    FROM (SELECT * FROM json_to_recordset(%(events)s) AS e (id uuid, owner bytea, channel text,
        kind text, scope text, occurred_at timestamptz, received_at timestamptz,
        counts_at timestamptz, until timestamptz, frequency text, frequency_rank smallint,
        source text, actor text, evidence jsonb, sealed bytea, evidence_hash bytea, own boolean,
        live boolean) LIMIT %(count)s) AS e
    CROSS JOIN LATERAL (SELECT id FROM address
        WHERE digest = e.owner AND channel = e.channel LIMIT 1) AS address
), {match_key_ctes("input_event", "id", "own", "scope")}, lift AS (
    SELECT a.id, max(b.at) AS lifted_at
    FROM key a JOIN (SELECT digest, channel, kind, scope, max(lift_at) AS at
        FROM related WHERE lift_at IS NOT NULL GROUP BY digest, channel, kind, scope) AS b
    ON b.digest = a.digest AND b.channel = a.channel
    WHERE a.own AND {KINDS_MAY_MATCH} <> 0 AND (b.scope = a.scope
        OR (a.scope = '{ALL_MARKETING}' AND b.scope NOT IN ({_KEPT_BY_OPT_OUTS})))
    GROUP BY a.id
), given AS (
    SELECT e.*, effective.counts_from, repeated.id AS repeats, repeated.id IS NOT NULL AS is_repeat
    FROM input_event e LEFT JOIN lift USING (id)
    CROSS JOIN LATERAL (SELECT
        GREATEST(e.counts_at, CASE WHEN e.live THEN lifted_at END) AS counts_from) AS effective
    LEFT JOIN LATERAL (
        SELECT earlier.id FROM (SELECT FROM suppression s
            WHERE e.own AND s.address_id = e.address_id AND s.scope = e.scope
                AND s.out_at >= counts_from - %(repeat)s OFFSET 0) AS suppressed
        CROSS JOIN LATERAL (SELECT * FROM event WHERE address_id = e.address_id OFFSET 0) AS earlier
        WHERE earlier.scope = e.scope AND earlier.own AND earlier.kind = e.kind
            AND earlier.source = e.source
            AND earlier.counts_at BETWEEN counts_from - %(repeat)s AND counts_from + %(repeat)s
            AND earlier.received_at <= e.received_at + %(repeat)s
            AND COALESCE(lifted_at <= earlier.counts_at, true)
            AND NOT EXISTS (SELECT FROM retraction WHERE event_id = earlier.id OFFSET 0)
            AND (SELECT {_link_evidence("made_with")} FROM event_evidence made_with
                WHERE made_with.event_id = earlier.id) IS NOT DISTINCT FROM {_link_evidence("e")}
        ORDER BY earlier.counts_at DESC LIMIT 1) AS repeated ON true
), input AS (
    SELECT * FROM given WHERE NOT is_repeat
), extended AS (
    INSERT INTO event_repeat AS r (event_id, last_at)
    SELECT repeats, max(counts_from) FROM given WHERE is_repeat GROUP BY repeats
    ON CONFLICT (event_id) DO UPDATE SET last_at = GREATEST(r.last_at, EXCLUDED.last_at)
), appended AS (
    INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, until, frequency, frequency_rank, source, actor, own, evidence_hash)
    SELECT id, address_id, kind, scope, occurred_at, received_at, %(now)s, counts_from, until,
        frequency, frequency_rank, source, actor, own, evidence_hash
    FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, seq, address_id, kind, scope, received_at, counts_at, until, frequency,
        frequency_rank, own
), evidence AS (
    INSERT INTO event_evidence (event_id, evidence, sealed)
    SELECT id, evidence, sealed FROM input WHERE (id IN (SELECT id FROM appended)) IS TRUE
), live AS (
    SELECT id, address_id, kind, scope, counts_at, until, frequency, frequency_rank, own
    FROM appended
    WHERE NOT EXISTS (SELECT FROM retraction WHERE event_id = appended.id OFFSET 0)
    UNION ALL
    SELECT repeats, address_id, kind, scope, counts_from, until, NULL, NULL, own FROM given
    WHERE is_repeat
), {_newest_cte("newest_opt_outs", _SUPPRESSING_KINDS)},
{_newest_cte("newest_lifts", LIFTING_KINDS)},
{_newest_cte("newest_pauses", _PAUSING_KINDS)},
newest_frequencies AS (
    SELECT DISTINCT ON (address_id, scope) * FROM live WHERE frequency IS NOT NULL
        AND COALESCE((SELECT last_erased_at FROM address WHERE id = address_id) < counts_at, true)
    ORDER BY address_id, scope, counts_at DESC, frequency_rank DESC, id DESC
), merged AS (
    INSERT INTO suppression AS s (address_id, scope, out_at, out_event, reason, own,
        lift_at, lift_event, pause_at, pause_event, pause_until,
        frequency_at, frequency_rank, frequency_event, frequency)
    SELECT address_id, scope, o.counts_at, o.id, o.kind, COALESCE(o.own, false),
        l.counts_at, l.id, p.counts_at, p.id, p.until,
        f.counts_at, f.frequency_rank, f.id, f.frequency
    FROM newest_opt_outs o FULL JOIN newest_lifts l USING (address_id, scope)
        FULL JOIN newest_pauses p USING (address_id, scope)
        FULL JOIN newest_frequencies f USING (address_id, scope)
    ON CONFLICT (address_id, scope) DO UPDATE SET
        {_keep_newest("out", "out_at", "out_event", "reason", "own")},
        {_keep_newest("lift", "lift_at", "lift_event")},
        {_keep_newest("pause", "pause_at", "pause_event", "pause_until")},
        {_KEEP_NEWEST_FREQUENCY}
), {_newest_cte("newest_consents", _CONSENTING_KINDS)}, merged_consent AS (
    INSERT INTO consent AS c (address_id, topic, at, event)
    SELECT address_id, scope, counts_at, id FROM newest_consents WHERE scope NOT IN ({_RESERVED})
        AND COALESCE((SELECT last_erased_at FROM address WHERE id = address_id) < counts_at, true)
    ON CONFLICT (address_id, topic) DO UPDATE SET at = EXCLUDED.at, event = EXCLUDED.event
    WHERE (EXCLUDED.at, EXCLUDED.event) > (c.at, c.event)
), {RAISE_AFFECTED_CTES}, ARRAY(SELECT ROW(id, repeats) FROM given WHERE is_repeat)
"""  # noqa: S608 - constants of this module
"""An own opt-out is a repeat while the event that it repeats is active for its whole scope: if
this form, or another one of the mailbox, was opted in since, or if it was made with another link,
it is an event of its own (I5, I7, I9).
A repeat appends nothing; it updates the time from which its event counts, in `event_repeat`.

Only an event that is new gets evidence: that of an older one may have been erased. IS TRUE keeps
PostgreSQL from planning a join: it compared each row with each, 4 s for 10,000 events. So does the
column `is_repeat`: few rows are expected of `repeats IS NULL`. For `OFFSET 0` see `match_key_ctes`.
"""


APPEND_RETRACTIONS = f"""
WITH given AS (
    SELECT * FROM unnest(%(ids)b::uuid[], %(addresses)b::bigint[], %(scopes)b::text[],
        %(retracts)b::text[], %(hashes)b::bytea[])
        AS given (id, address_id, scope, retracts, evidence_hash)
), {match_key_ctes("given", "id")}, appended AS (
    INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own, evidence_hash, retracts)
    SELECT id, address_id, '{EventKind.RETRACTED}', scope, %(occurred)s, %(occurred)s, %(now)s,
        %(occurred)s, %(source)s, %(actor)s, false, evidence_hash,
        ARRAY(SELECT jsonb_array_elements_text(retracts::jsonb)::uuid)
    FROM given
    ON CONFLICT (id) DO NOTHING
    RETURNING id, seq, address_id, kind, scope, received_at, counts_at
), evidence AS (
    INSERT INTO event_evidence (event_id, evidence) SELECT id, %(evidence)s::jsonb FROM appended
), {RAISE_AFFECTED_CTES}
"""  # noqa: S608 - constants of this module
