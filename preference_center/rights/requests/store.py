"""Store data-subject requests and their steps, and find those that wait for time or the service.

The database is the queue. The rules are those of `rights.rules`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, get_args, get_type_hints
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from preference_center.core.keys import Keys
from preference_center.infra.db.rows import columns_of, insert_row
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys.sealed_columns import rights_request_context
from preference_center.rights.holds import IN_FORCE
from preference_center.rights.rules.deadlines import REPEAT_WINDOW
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestState

_COLUMNS = tuple(column.name for column in fields(RightsRequest))
_STORED = tuple(name for name in _COLUMNS if name != "sealed")


SELECT_REQUESTS = f"SELECT {columns_of(RightsRequest)} FROM rights_request"  # noqa: S608 - constants


_ENUMS: Mapping[str, type[Enum]] = {
    name: kind
    for name, hint in get_type_hints(RightsRequest).items()
    for kind in get_args(hint) or (hint,)
    if isinstance(kind, type) and issubclass(kind, Enum)
}
_EMPTY_IF_NONE = ("extension_reason", "outcome")


_IS_ERASED = """(
    EXISTS (SELECT FROM address WHERE digest = ANY(%(subject_digests)s)
        AND (erased_at IS NOT NULL OR last_erased_at >= %(recorded_at)s))
    OR EXISTS (SELECT FROM contact_external_id named JOIN contact ON contact.id = named.contact_id
        WHERE named.digest = ANY(%(subject_digests)s) AND contact.account = 'erased'))"""
"""Whether the subject of a request is erased, or was since the request was recorded."""


_UPDATE = f"""
UPDATE rights_request SET {", ".join(f"{name} = %({name})s" for name in _STORED)},
    sealed = CASE WHEN %(closed_at)s::timestamptz IS NULL OR NOT {_IS_ERASED}
        THEN %(sealed)s::bytea END
WHERE id = %(id)s
"""  # noqa: S608 - constants


_FIND_SAME = f"""
{SELECT_REQUESTS} WHERE kind = %(kind)s AND extent IS NOT DISTINCT FROM %(extent)s
    AND subject_digests @> %(digests)s AND subject_digests <@ %(digests)s
    AND recorded_at > %(since)s AND closed_at IS NULL
ORDER BY recorded_at, id FOR UPDATE
"""


_FIND_SUBJECT = """
SELECT address.id, linked.contact_id, address.erased_at IS NOT NULL,
    (SELECT count(*) FROM contact_address every WHERE every.contact_id = linked.contact_id)
FROM unnest(%(digests)s::bytea[], %(channels)s::text[]) AS given (digest, channel)
JOIN address ON address.digest = given.digest AND address.channel = given.channel
LEFT JOIN contact_address linked ON linked.address_id = address.id
ORDER BY address.id
"""


@dataclass(frozen=True, slots=True)
class RightsStep:
    """One step of a request. `detail` holds codes and ids only.

    `email_outcome`: what became of the email about it, a SendResult; empty without an email, and
    before it was tried.
    """

    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    email_outcome: str = ""


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """The rows that the addresses of a request have, if any."""

    address_ids: tuple[int, ...]
    contact_id: UUID | None
    """None also where they are of several contacts."""
    is_erased: bool
    contact_addresses: int
    """How many addresses their contacts have in all."""
    has_other_addresses: bool
    """Whether these contacts have addresses besides these."""


@dataclass(frozen=True, slots=True)
class SealedPart:
    """What a request says in words and names in clear: sealed, and wiped with the request."""

    text: str = ""
    addresses: tuple[tuple[str, str], ...] = ()
    """Channel and canonical form of each."""
    external_ids: tuple[str, ...] = ()
    agent: Mapping[str, str] = field(default_factory=dict)
    reporter: str = ""


def insert_request(connection: Connection, request: RightsRequest) -> None:
    """Store a new request; nothing if its id is stored already."""
    insert_row(connection, "rights_request", _to_row(request), "(id) DO NOTHING")


def update_request(connection: Connection, request: RightsRequest) -> None:
    """Store a request that was loaded for update in this transaction.

    The sealed part of a closed one is deleted if its subject is erased (I6): an open request names
    whom it is to be answered.
    """
    connection.execute(_UPDATE, _to_row(request) | {"version": request.version + 1})


def load_request(
    connection: Connection, request_id: UUID, *, for_update: bool = False
) -> RightsRequest | None:
    """The request with this id; `for_update` locks it until the transaction ends."""
    lock = " FOR UPDATE" if for_update else ""
    return _fetch_one(connection, f"{SELECT_REQUESTS} WHERE id = %(id)s{lock}", {"id": request_id})


def find_between(connection: Connection, first: UUID, last: UUID) -> RightsRequest | None:
    """The request whose id lies between these: that of a reference."""
    query = f"{SELECT_REQUESTS} WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id LIMIT 1"
    return _fetch_one(connection, query, {"first": first, "last": last})


def lock_subject(connection: Connection, digests: Sequence[bytes]) -> None:
    """Let other transactions that open a request of this subject wait for this one's end."""
    for digest in sorted(digests):
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (key,))


def find_same(connection: Connection, new: RightsRequest) -> list[RightsRequest]:
    """The open requests that asked for the same about the same people within REPEAT_WINDOW.

    The oldest first; they are locked.
    """
    given = {
        "kind": new.kind,
        "extent": new.extent,
        "digests": list(new.subject_digests),
        "since": new.recorded_at - REPEAT_WINDOW,
    }
    return fetch_requests(connection, _FIND_SAME, given)


def find_subject(
    connection: Connection, digests: Sequence[bytes], channels: Sequence[str]
) -> KnownSubject:
    """The rows of these addresses: exact only (I9)."""
    rows = connection.execute(
        _FIND_SUBJECT, {"digests": list(digests), "channels": list(channels)}
    ).fetchall()
    contacts = {contact: addresses for _, contact, _, addresses in rows}
    in_all = sum(contacts.values())
    return KnownSubject(
        address_ids=tuple(row[0] for row in rows),
        contact_id=next(iter(contacts)) if len(contacts) == 1 else None,
        is_erased=any(erased for _, _, erased, _ in rows),
        contact_addresses=in_all,
        has_other_addresses=in_all > sum(contact is not None for _, contact, _, _ in rows),
    )


def list_requests(
    connection: Connection,
    *,
    states: Collection[RequestState] = (),
    kinds: Collection[RequestKind] = (),
    due_before: datetime | None = None,
    after: UUID | None = None,
    limit: int = 100,
) -> list[RightsRequest]:
    """Requests in the order in which they were recorded, those after the id `after`.

    Without `states` of every state. With `due_before` only open ones whose clock runs and whose
    deadline is not later.
    """
    return fetch_requests(
        connection,
        f"""{SELECT_REQUESTS} WHERE (%(states)s::text[] = '{{}}' OR state = ANY(%(states)s))
            AND (%(kinds)s::text[] = '{{}}' OR kind = ANY(%(kinds)s))
            AND (%(after)s::uuid IS NULL OR id > %(after)s)
            AND (%(due_before)s::timestamptz IS NULL OR closed_at IS NULL AND stopped_at IS NULL
                AND COALESCE(extended_to, due_at) <= %(due_before)s)
        ORDER BY id LIMIT %(limit)s""",
        {
            "states": [str(state) for state in states],
            "kinds": [str(kind) for kind in kinds],
            "due_before": due_before,
            "after": after,
            "limit": limit,
        },
    )


def list_of_subject(connection: Connection, digests: Collection[bytes]) -> list[RightsRequest]:
    """Every request about one of these exact addresses or external ids, the oldest first (I9)."""
    return fetch_requests(
        connection,
        f"{SELECT_REQUESTS} WHERE subject_digests && %(digests)s::bytea[] ORDER BY recorded_at, id",
        {"digests": list(digests)},
    )


def insert_step(connection: Connection, request_id: UUID, step: RightsStep) -> None:
    """Append a step."""
    connection.execute(
        "INSERT INTO rights_step (request_id, at, actor, action, detail) VALUES (%s,%s,%s,%s,%s)",
        (request_id, step.at, step.actor, step.action, Jsonb(dict(step.detail))),
    )


def fetch_steps(connection: Connection, request_id: UUID) -> list[RightsStep]:
    """The steps of a request in their order."""
    rows = connection.execute(
        """SELECT step.at, step.actor, step.action, step.detail, COALESCE(email.outcome, '')
        FROM rights_step step
        LEFT JOIN outgoing_mail email ON email.id = (step.detail->>'mail')::uuid
        WHERE step.request_id = %s ORDER BY step.id""",
        (request_id,),
    )
    return [RightsStep(*row) for row in rows]


def list_newest_steps(
    connection: Connection, request_ids: Sequence[UUID], actions: Collection[str]
) -> dict[UUID, RightsStep]:
    """The newest step with one of these actions, of each of these requests that has one."""
    rows = connection.execute(
        """SELECT DISTINCT ON (request_id) request_id, at, actor, action, detail FROM rights_step
        WHERE request_id = ANY(%s) AND action = ANY(%s) ORDER BY request_id, id DESC""",
        (list(request_ids), list(actions)),
    )
    return {row[0]: RightsStep(*row[1:]) for row in rows}


def list_proposal_steps(connection: Connection) -> dict[UUID, RightsStep]:
    """The newest step about a proposed decision, of each open request that has one."""
    rows = connection.execute(
        """SELECT DISTINCT ON (step.request_id) step.request_id, step.at, step.actor, step.action,
            step.detail
        FROM rights_step step JOIN rights_request request ON request.id = step.request_id
        WHERE step.action IN ('decision_proposed', 'decision_declined')
            AND request.closed_at IS NULL
        ORDER BY step.request_id, step.id DESC"""
    )
    return {row[0]: RightsStep(*row[1:]) for row in rows}


def seal_part(keys: Keys, request_id: UUID, part: SealedPart) -> bytes:
    """`part`, encrypted for the row of this request."""
    return keys.seal(json.dumps(asdict(part)), context=rights_request_context(request_id))


def open_part(keys: Keys, request: RightsRequest) -> SealedPart:
    """What was sealed with the request; empty once it was forgotten. Raises DecryptionError."""
    if request.sealed is None:
        return SealedPart()
    content = json.loads(keys.open(request.sealed, context=rights_request_context(request.id)))
    content["addresses"] = tuple((channel, text) for channel, text in content["addresses"])
    content["external_ids"] = tuple(content["external_ids"])
    return SealedPart(**content)


def _fetch_one(
    connection: Connection, query: str, given: Mapping[str, Any]
) -> RightsRequest | None:
    found = fetch_requests(connection, query, given)
    return found[0] if found else None


def fetch_requests(
    connection: Connection, query: str, given: Mapping[str, Any]
) -> list[RightsRequest]:
    """The requests that a query finds, which begins with SELECT_REQUESTS."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_from_row(row) for row in cursor.execute(query.encode(), given)]


def _from_row(row: dict[str, Any]) -> RightsRequest:
    for name, kind in _ENUMS.items():
        row[name] = None if row[name] in {None, ""} else kind(row[name])
    row["address_ids"] = tuple(row["address_ids"])
    row["subject_digests"] = tuple(map(bytes, row["subject_digests"]))
    return RightsRequest(**row)


def _to_row(request: RightsRequest) -> dict[str, Any]:
    row = {name: getattr(request, name) for name in _COLUMNS}
    row |= {name: row[name] or "" for name in _EMPTY_IF_NONE}
    row |= {name: list(row[name]) for name in ("address_ids", "subject_digests")}
    return row


def list_woken(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """The requests whose `next_at` has come, the earliest first."""
    rows = connection.execute(
        "SELECT id FROM rights_request WHERE next_at <= %s ORDER BY next_at LIMIT %s", (now, limit)
    )
    return [row[0] for row in rows]


def list_acting(
    connection: Connection, kinds: Collection[RequestKind], now: datetime, limit: int
) -> list[RightsRequest]:
    """Open requests of these kinds that wait for nobody, the earliest first.

    An account is erased only when the company has agreed, and nothing of an address under hold.
    """
    return fetch_requests(
        connection,
        f"""{SELECT_REQUESTS} WHERE closed_at IS NULL AND state = 'open' AND kind = ANY(%(kinds)s)
            AND (extent IS NULL OR extent <> ALL(%(asked)s))
            AND (kind <> 'erase' OR NOT EXISTS (SELECT FROM hold
                WHERE address_id = ANY(rights_request.address_ids) AND {IN_FORCE}))
        ORDER BY id LIMIT %(limit)s""",
        {
            "kinds": [str(kind) for kind in kinds],
            "asked": [str(extent) for extent in Extent if extent.rules.of_account],
            "now": now,
            "limit": limit,
        },
    )


def list_asked_by_agents(
    connection: Connection,
    *,
    recorded_from: datetime,
    recorded_until: datetime,
    without_step: str,
    limit: int,
) -> list[UUID]:
    """Requests of agents of that time that nobody has confirmed, and that lack this step."""
    rows = connection.execute(
        """SELECT id FROM rights_request r
        WHERE closed_at IS NULL AND via = 'agent' AND state IN ('received', 'identifying')
            AND recorded_at BETWEEN %(first)s AND %(last)s
            AND NOT EXISTS (SELECT FROM rights_step s
                WHERE s.request_id = r.id AND s.action = %(step)s)
        ORDER BY recorded_at LIMIT %(limit)s""",
        {"first": recorded_from, "last": recorded_until, "step": without_step, "limit": limit},
    )
    return [row[0] for row in rows]


_FORGET_UNANSWERED = """
UPDATE rights_request r SET sealed = NULL
WHERE r.closed_at IS NULL AND r.sealed IS NOT NULL AND EXISTS (
    SELECT FROM erasure e WHERE e.give_up_at <= %(now)s AND e.begun_at >= r.recorded_at AND (
        e.address_id IN (SELECT id FROM address WHERE digest = ANY(r.subject_digests))
        OR e.contact_id IN (SELECT contact_id FROM contact_external_id
            WHERE digest = ANY(r.subject_digests))))
"""


def forget_unanswered(connection: Connection, now: datetime) -> None:
    """Delete what open requests say whose subject's erasure has given up on what is undone."""
    connection.execute(_FORGET_UNANSWERED, {"now": now})


def forget_requests(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """Wipe whom requests were about whose time of keeping is over; returns their ids."""
    rows = connection.execute(
        """UPDATE rights_request SET sealed = NULL, subject_digests = '{}', address_ids = '{}',
            contact_id = NULL, forget_at = NULL, version = version + 1
        WHERE id IN (SELECT id FROM rights_request WHERE forget_at <= %(now)s
            ORDER BY forget_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING id""",
        {"now": now, "limit": limit},
    )
    return [row[0] for row in rows]
