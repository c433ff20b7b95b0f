"""The SQL of the write path. It takes maxima and nothing else: the rules are in `domain`.

Two statements make one transaction, the same for one change or ten thousand. The first
inserts or locks the addresses, in digest order so that writers never wait in a ring.
The second therefore sees whatever an earlier writer of the same mailboxes committed.
"""

from __future__ import annotations

from preference_center.domain.events import ALL_MARKETING, EVERYTHING, UNDELIVERABLE, Kind
from preference_center.storage.facts import MAY_MATCH


def _newest(name: str, kinds: str) -> str:
    """A CTE: the newest live event of these kinds per address and scope."""
    return f"""{name} AS (
    SELECT DISTINCT ON (address_id, scope) * FROM live WHERE kind IN ({kinds})
    ORDER BY address_id, scope, counts_at DESC, id DESC
)"""  # noqa: S608 - constants of this module


def _maximum(slot: str, *columns: str) -> str:
    """Assignments that keep the newer of the stored and the given mark of a slot."""
    at, event = f"{slot}_at", f"{slot}_event"
    newer = f"s.{at} IS NULL OR (EXCLUDED.{at}, EXCLUDED.{event}) > (s.{at}, s.{event})"
    return ", ".join(
        f"{column} = CASE WHEN {newer} THEN EXCLUDED.{column} ELSE s.{column} END"
        for column in columns
    )


def _in(*kinds: Kind) -> str:
    return ", ".join(f"'{kind.value}'" for kind in kinds)


_SUPPRESSING = _in(*(kind for kind in Kind if kind.suppresses))
_LIFTING = _in(*(kind for kind in Kind if kind.lifts))
_PAUSING = _in(Kind.PAUSED)
_CONSENTING = _in(Kind.OPTED_IN, Kind.CONSENTED)

GATE = 0x7265747261637421
"""Advisory lock: shared by all that append, alone for a retraction of what isn't here yet."""

CLOSE_GATE = f"""
SELECT CASE WHEN EXISTS (
    SELECT FROM unnest(%(ids)s::uuid[]) AS given (id)
    WHERE NOT EXISTS (SELECT FROM event WHERE event.id = given.id))
    THEN pg_advisory_xact_lock({GATE}) ELSE pg_advisory_xact_lock_shared({GATE}) END
"""  # noqa: S608 - a constant
"""Wait for appends under way, and let no new one begin before this transaction ends.

Else a retraction and the event it names could pass unseen by each other. If all
the events are here it passes the gate with the others. To be sent before any other lock.
"""

LOCK_ADDRESSES = f"""
WITH given AS (
    SELECT * FROM pg_advisory_xact_lock_shared({GATE}), json_to_recordset(%(addresses)s)
        AS given (channel text, digest bytea, ciphertext bytea, domain bytea, keys json)
), locked AS (
    INSERT INTO address (channel, digest, norm_version, ciphertext, domain_digest, created_at)
    SELECT channel, digest, %(norm_version)s, ciphertext, domain, %(now)s FROM given
    ORDER BY digest, channel
    ON CONFLICT (digest, channel) DO UPDATE SET ciphertext =
        CASE WHEN address.erased_at IS NULL
            THEN COALESCE(address.ciphertext, EXCLUDED.ciphertext) END,
        domain_digest = CASE WHEN address.erased_at IS NULL
            THEN COALESCE(address.domain_digest, EXCLUDED.domain_digest) END
    RETURNING id, digest, channel
)
INSERT INTO address_key (digest, channel, address_id, kind)
SELECT key.digest, channel, locked.id, key.kind
FROM given JOIN locked USING (digest, channel),
    json_to_recordset(given.keys) AS key (digest bytea, kind smallint, md5 boolean)
WHERE NOT key.md5 OR (SELECT md5_is_matched() FROM given LIMIT 1)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant
"""An erased address keeps its row and its "no", and takes no readable form again (I6).

Rows without keys are of a mailbox or a base that nobody has named as an address so far. They
are found by nothing and are there to be locked.

An address known by its SHA-256 only has the same row once it is told: it gets its readable
form and the keys of its other forms. Whether MD5s are matched is asked inside of the gate by
a volatile function, since this statement's own view is from before it.
"""

_RAISE = f"""wanted AS (
    SELECT d.id AS destination_id, news.target, max(news.seq) AS version,
        min(news.waiting_since) AS waiting_since
    FROM news
    CROSS JOIN LATERAL (SELECT channel FROM address
        WHERE id = news.target AND ciphertext IS NOT NULL LIMIT 1) AS address
    JOIN destination d ON address.channel = ANY(d.channels)
        AND (news.scope IN ('{ALL_MARKETING}', '{EVERYTHING}', '{UNDELIVERABLE}')
            OR news.scope = ANY(d.sends))
    WHERE NOT news.unless_told OR NOT EXISTS (SELECT FROM sync_state told
        WHERE told.destination_id = d.id AND told.address_id = news.target)
    GROUP BY d.id, news.target
), raised AS (
    INSERT INTO sync_state AS s (destination_id, address_id, wanted, due_at, next_at, bulk)
    SELECT destination_id, target, version, waiting_since + %(window)s, %(now)s, %(bulk)s::boolean
    FROM wanted ORDER BY destination_id, target
    ON CONFLICT (destination_id, address_id) DO UPDATE SET
        wanted = GREATEST(s.wanted + 1, EXCLUDED.wanted),
        due_at = LEAST(s.due_at, EXCLUDED.due_at),
        next_at = CASE WHEN s.lease IS NULL THEN EXCLUDED.next_at ELSE s.next_at END,
        bulk = EXCLUDED.bulk AND (s.bulk OR s.next_at IS NULL)
    RETURNING destination_id
)
"""  # noqa: S608 - constants of this module
"""Raise the sync states that `news` concerns, of every form that can still be read.

`unless_told`: only at destinations that have no row of this address yet. Each of them has
one for every readable form against which a "no" stands, so a row that is missing is an
address that could not be told before.

While a worker holds a row, its lease end stays as it is. Forms of one mailbox commit in any
order, so `wanted` always grows: the worker must find that it looked before this was here.
What comes in `bulk` waits behind the rest, unless a row waits for something else already.
"""

_RECEIVED = """(SELECT received_at FROM event
        WHERE id = CASE WHEN s.standing THEN s.out_event ELSE s.pause_event END)"""

_WANTED = f"""form AS (
    SELECT appended.seq, appended.kind, appended.scope, appended.received_at,
        appended.counts_at, appended.address_id, b.address_id AS other
    FROM appended
    JOIN address_key a ON a.address_id = appended.address_id
    JOIN address_key b ON b.digest = a.digest AND b.channel = a.channel
    WHERE {MAY_MATCH} <> 0
), news AS (
    SELECT seq, scope, other AS target, false AS unless_told,
        CASE WHEN kind NOT IN ({_LIFTING}) THEN received_at END AS waiting_since
    FROM form WHERE kind <> '{Kind.CONSENTED}'
    UNION ALL
    SELECT form.seq, s.scope, form.address_id,
        form.other = form.address_id AND form.kind <> '{Kind.CONSENTED}',
        CASE WHEN form.other = form.address_id AND form.kind <> '{Kind.CONSENTED}'
            THEN {_RECEIVED} ELSE form.received_at END
    FROM form JOIN suppression s ON s.address_id = form.other
    WHERE CASE WHEN form.other = form.address_id THEN s.standing OR s.pause_until > %(now)s
        ELSE (s.out_at IS NOT NULL OR s.pause_until > %(now)s)
            AND NOT (form.kind IN ({_LIFTING}) AND form.scope = s.scope
                AND form.counts_at > GREATEST(s.out_at, s.pause_at)) END
), {_RAISE}
SELECT ARRAY(SELECT id FROM appended ORDER BY seq),
    ARRAY(SELECT DISTINCT destination_id FROM raised)
"""  # noqa: S608 - constants of this module
"""Raise the sync states that new events concern: every known form of the mailbox (I9).

Any event may be the first of a new form: what was said against the other forms of its
mailbox is then news for the tools too, even if lifted there, as a lift is for its exact
form only. It may also be what makes an address readable against which a "no" stood
before. A consent is news only where a "no" meets it.
"""

APPEND = f"""
WITH given AS (
    SELECT address.id AS address_id, e.*, act.counts_from, repeated.id AS repeats
    FROM (SELECT * FROM json_to_recordset(%(events)s) AS e (id uuid, owner bytea, channel text,
        kind text, scope text, occurred_at timestamptz, received_at timestamptz,
        counts_at timestamptz, until timestamptz, source text, actor text, evidence jsonb,
        own boolean, live boolean) LIMIT %(count)s) AS e
    CROSS JOIN LATERAL (SELECT id FROM address
        WHERE digest = e.owner AND channel = e.channel LIMIT 1) AS address
    CROSS JOIN LATERAL (
        SELECT max(s.lift_at) AS lifted_at
        FROM address_key a JOIN address_key b ON b.digest = a.digest AND b.channel = a.channel
        JOIN suppression s ON s.address_id = b.address_id
        WHERE e.own AND a.address_id = address.id AND {MAY_MATCH} <> 0 AND (s.scope = e.scope
            OR (e.scope = '{ALL_MARKETING}' AND s.scope <> '{EVERYTHING}'))) AS lift
    CROSS JOIN LATERAL (SELECT
        GREATEST(e.counts_at, CASE WHEN e.live THEN lifted_at END) AS counts_from) AS act
    LEFT JOIN LATERAL (
        SELECT earlier.id FROM suppression s
        JOIN event earlier ON earlier.address_id = s.address_id AND earlier.scope = s.scope
        WHERE s.address_id = address.id AND s.scope = e.scope
            AND s.out_at >= counts_from - %(repeat)s
            AND earlier.own AND earlier.kind = e.kind AND earlier.source = e.source
            AND earlier.counts_at BETWEEN counts_from - %(repeat)s AND counts_from + %(repeat)s
            AND earlier.received_at <= e.received_at + %(repeat)s
            AND COALESCE(lifted_at <= earlier.counts_at, true)
            AND NOT EXISTS (SELECT FROM retracted r WHERE r.event_id = earlier.id)
        ORDER BY earlier.counts_at DESC LIMIT 1) AS repeated ON e.own
), input AS (
    SELECT * FROM given WHERE repeats IS NULL
), extended AS (
    INSERT INTO event_repeat AS r (event_id, last_at)
    SELECT repeats, max(counts_from) FROM given WHERE repeats IS NOT NULL GROUP BY repeats
    ON CONFLICT (event_id) DO UPDATE SET last_at = GREATEST(r.last_at, EXCLUDED.last_at)
), appended AS (
    INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, until, source, actor, own, evidence)
    SELECT id, address_id, kind, scope, occurred_at, received_at, %(now)s, counts_from, until,
        source, actor, own, evidence
    FROM input
    ON CONFLICT (id) DO NOTHING
    RETURNING id, seq, address_id, kind, scope, received_at, counts_at, until, own
), live AS (
    SELECT id, address_id, kind, scope, counts_at, until, own FROM appended
    WHERE NOT EXISTS (SELECT FROM retracted r WHERE r.event_id = appended.id)
    UNION ALL
    SELECT repeats, address_id, kind, scope, counts_from, until, own FROM given
    WHERE repeats IS NOT NULL
), {_newest("outs", _SUPPRESSING)}, {_newest("lifts", _LIFTING)}, {_newest("pauses", _PAUSING)},
merged AS (
    INSERT INTO suppression AS s (address_id, scope, out_at, out_event, reason, own,
        lift_at, lift_event, pause_at, pause_event, pause_until)
    SELECT address_id, scope, outs.counts_at, outs.id, outs.kind, COALESCE(outs.own, false),
        lifts.counts_at, lifts.id, pauses.counts_at, pauses.id, pauses.until
    FROM outs FULL JOIN lifts USING (address_id, scope) FULL JOIN pauses USING (address_id, scope)
    ON CONFLICT (address_id, scope) DO UPDATE SET
        {_maximum("out", "out_at", "out_event", "reason", "own")},
        {_maximum("lift", "lift_at", "lift_event")},
        {_maximum("pause", "pause_at", "pause_event", "pause_until")}
), {_newest("consents", _CONSENTING)}, asked AS (
    INSERT INTO consent AS c (address_id, topic, at, event)
    SELECT address_id, scope, counts_at, id FROM consents WHERE scope <> '{ALL_MARKETING}'
    ON CONFLICT (address_id, topic) DO UPDATE SET at = EXCLUDED.at, event = EXCLUDED.event
    WHERE (EXCLUDED.at, EXCLUDED.event) > (c.at, c.event)
), {_WANTED}, ARRAY(SELECT ROW(id, repeats) FROM given WHERE repeats IS NOT NULL)
"""  # noqa: S608 - constants of this module
"""An own opt-out is a repeat while the event that it repeats is active for all that it covers:
where its form, or another of the mailbox, was turned on since, it is an event of its own (I7, I9).
A repeat appends nothing; it moves the time at which its event counts, in `event_repeat`.
"""

APPEND_RETRACTIONS = f"""
WITH appended AS (
    INSERT INTO event (id, address_id, kind, scope, occurred_at, received_at, recorded_at,
        counts_at, source, actor, own, evidence, retracts)
    SELECT id, address_id, '{Kind.RETRACTED}', scope, %(occurred)s, %(occurred)s, %(now)s,
        %(occurred)s, %(source)s, %(actor)s, false, %(evidence)s::jsonb,
        ARRAY(SELECT jsonb_array_elements_text(retracts::jsonb)::uuid)
    FROM unnest(%(ids)b::uuid[], %(addresses)b::bigint[], %(scopes)b::text[],
        %(retracts)b::text[]) AS given (id, address_id, scope, retracts)
    ON CONFLICT (id) DO NOTHING
    RETURNING id, seq, address_id, kind, scope, received_at, counts_at
), {_WANTED}
"""  # noqa: S608 - constants of this module

RAISE_LEARNED = f"""
WITH learned AS (
    SELECT address.id
    FROM json_to_recordset(%(addresses)s) AS given (channel text, digest bytea)
    CROSS JOIN LATERAL (SELECT id FROM address
        WHERE digest = given.digest AND channel = given.channel LIMIT 1) AS address
), form AS (
    SELECT learned.id AS address_id, b.address_id AS other
    FROM learned
    JOIN address_key a ON a.address_id = learned.id
    JOIN address_key b ON b.digest = a.digest AND b.channel = a.channel
    WHERE {MAY_MATCH} <> 0
), news AS (
    SELECT (SELECT max(seq) FROM event WHERE id IN (s.out_event, s.pause_event)) AS seq,
        s.scope, form.address_id AS target, true AS unless_told,
        CASE WHEN form.other = form.address_id THEN {_RECEIVED} ELSE %(now)s END AS waiting_since
    FROM form JOIN suppression s ON s.address_id = form.other
    WHERE s.standing OR s.pause_until > %(now)s
        OR (s.out_at IS NOT NULL AND form.other <> form.address_id)
), {_RAISE}
SELECT ARRAY[]::uuid[], ARRAY(SELECT DISTINCT destination_id FROM raised)
"""  # noqa: S608 - constants of this module
"""Raise the sync states of addresses that came without an event, as from a contact (I9).

Against one of which only a digest was known the "no" has been waiting since it was received;
against a form that is new to us, what other forms said waits from now on, as in `_WANTED`.
"""
