"""Store erasures: a row of `erasure` hides an address, `erasure_task` erases it in one tool."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from preference_center.contacts.store import ConcurrentContactUpdate
from preference_center.core.addresses import Address, Channel, HashedAddress
from preference_center.core.keys import Keys
from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.infra.db.transactions import Connection
from preference_center.ledger.store.addresses import pushable_ciphertext
from preference_center.rights.rules.requests import Extent

READABLE_FOR = timedelta(days=30)
"""How long the address of an unfinished erasure is kept at most (I6)."""


LATE_REASON = "the tool was not brought to erase it: do it there before the address is forgotten"


WARNED_BEFORE = timedelta(days=5)
"""How long before that what is open becomes a task for a person."""


_SELECT_SUBJECTS = f"""
SELECT DISTINCT a.id, a.channel, a.digest, {pushable_ciphertext("a")}, a.erased_at IS NOT NULL,
    newest.id, newest.extent, newest.begun_at, linked.contact_id
FROM address a LEFT JOIN contact_address linked ON linked.address_id = a.id
LEFT JOIN LATERAL (SELECT id, extent, max(begun_at) OVER () AS begun_at FROM erasure
    WHERE address_id = a.id
    ORDER BY finished_at IS NULL DESC, begun_at DESC, id DESC LIMIT 1) AS newest ON true
WHERE a.id = ANY(ARRAY(SELECT unnest(%(addresses)s::bigint[])
    UNION SELECT address_id FROM contact_address WHERE contact_id = ANY(%(contacts)s)))
ORDER BY a.id
"""  # noqa: S608 - constants


_SELECT_ACCOUNTS = """
SELECT id, version, locale, account = 'erased' FROM contact
WHERE merged_into IS NULL AND id = ANY(%(contacts)s::uuid[] || ARRAY(
    SELECT contact_id FROM contact_address WHERE address_id = ANY(%(addresses)s)))
ORDER BY id
"""


_LOCK_ACCOUNTS = """
SELECT contact.id FROM contact JOIN unnest(%(ids)s::uuid[], %(versions)s::int[])
    AS given (id, version) ON contact.id = given.id AND contact.version = given.version
ORDER BY contact.id FOR UPDATE OF contact
"""


_INSERT = f"""
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(addresses)s::bigint[], %(contacts)s::uuid[])
        AS given (id, address_id, contact_id)
), replaced AS (
    UPDATE erasure e SET ciphertext = NULL, finished_at = %(now)s FROM given
    WHERE e.address_id = given.address_id AND e.finished_at IS NULL AND e.id <> ALL(%(ids)s)
    RETURNING e.id
), ended AS (
    UPDATE erasure_task t SET outcome = '{TaskOutcome.REPLACED}', next_at = NULL, lease = NULL,
        by_hand_since = NULL
    FROM replaced WHERE t.erasure_id = replaced.id AND t.outcome = ''
), created AS (
    INSERT INTO erasure (id, address_id, contact_id, extent, request_id, ciphertext, begun_at,
        give_up_at)
    SELECT given.id, a.id, given.contact_id, %(extent)s, %(request)s, {pushable_ciphertext("a")},
        %(begun)s, %(give_up)s
    FROM given LEFT JOIN address a ON a.id = given.address_id
    ON CONFLICT (id) DO NOTHING RETURNING id, address_id, ciphertext
)
INSERT INTO erasure_task (erasure_id, destination_id, destination, next_at)
SELECT created.id, d.id, d.name, %(now)s
FROM created JOIN address a ON a.id = created.address_id
JOIN destination d ON a.channel = ANY(d.channels) OR d.channels = '{{}}'
WHERE created.ciphertext IS NOT NULL
"""  # noqa: S608 - constants
"""To be executed while the addresses are readable: it copies their sealed forms.

A destination without channels only reports by its webhook: it may hold anybody.

An address that is erased further, say the whole account after marketing, has one erasure under
way: the earlier one ends, and its address goes to the later one.
"""


_INSERT_REPEATS = """
WITH created AS (
    INSERT INTO erasure (id, address_id, contact_id, extent, request_id, begun_at, give_up_at,
        finished_at)
    SELECT given.id, e.address_id, e.contact_id, e.extent, %(request)s, %(at)s, %(give_up)s,
        %(at)s
    FROM unnest(%(ids)s::uuid[], %(of)s::uuid[]) AS given (id, of) JOIN erasure e ON e.id = given.of
    ON CONFLICT (id) DO NOTHING RETURNING address_id
)
UPDATE address SET last_erased_at = GREATEST(last_erased_at, %(at)s)
FROM created WHERE address.id = created.address_id
"""


_NUMBER = """
WITH given AS (
    SELECT id, row_number() OVER (ORDER BY id) AS number FROM erasure
    WHERE id = ANY(%(ids)s) AND entry IS NULL
), counted AS (
    INSERT INTO erasure_journal AS j (id, last_entry) SELECT 1, count(*) FROM given
    ON CONFLICT (id) DO UPDATE SET last_entry = j.last_entry + EXCLUDED.last_entry
    RETURNING last_entry
)
UPDATE erasure SET entry = (SELECT last_entry FROM counted)
    - (SELECT count(*) FROM given) + given.number
FROM given WHERE erasure.id = given.id
"""


_END = """
WITH ended AS (
    UPDATE erasure SET {assignments} WHERE {condition} RETURNING address_id
), acknowledged AS (
    DELETE FROM delivery_ack WHERE delivery_id = ANY(ARRAY(
        SELECT id FROM delivery WHERE address_id = ANY(ARRAY(SELECT address_id FROM ended))))
)
SELECT address_id FROM ended WHERE address_id IS NOT NULL ORDER BY address_id
"""
"""What tools answered since the erasure goes, too. Arrays, not joins: a join may be made by a plan
that goes through a whole table, kept from when it was small.
"""


STOP_WAITING = """
UPDATE sync_state SET due_at = NULL, next_at = NULL, verify_at = NULL
WHERE destination_id = ANY(ARRAY(SELECT id FROM destination)) AND address_id = %(id)s
    AND lease IS NULL AND (SELECT erased_at FROM address WHERE id = %(id)s) IS NOT NULL
"""
"""Nothing can be pushed about an address that nobody can read: its sync states wait for nothing."""


_NO_OPEN_TASK = """finished_at IS NULL AND NOT EXISTS (
    SELECT FROM erasure_task t WHERE t.erasure_id = erasure.id AND t.outcome = '' OFFSET 0)"""


_DONE = "ciphertext = NULL, finished_at = %(now)s"


_FINISH = _END.format(assignments=_DONE, condition=f"{_NO_OPEN_TASK} AND id = ANY(%(ids)s)")


_OVERDUE = "ciphertext IS NOT NULL AND give_up_at <= %(now)s"


_FORGET = _END.format(assignments="ciphertext = NULL", condition="id = ANY(%(ids)s)")


_END_RETURNED = """
WITH ended AS (
    UPDATE erasure SET ciphertext = NULL, finished_at = %(now)s
    WHERE address_id = %(address)s AND finished_at IS NULL RETURNING id
)
UPDATE erasure_task SET outcome = %(outcome)s, next_at = NULL, lease = NULL,
    by_hand_since = NULL
WHERE erasure_id = ANY(ARRAY(SELECT id FROM ended)) AND outcome = ''
"""


_HAND_OVER = """
UPDATE erasure_task SET by_hand_since = %(now)s,
    reason = CASE WHEN reason = '' THEN %(reason)s ELSE reason END
WHERE erasure_id = ANY(ARRAY(SELECT id FROM erasure
        WHERE ciphertext IS NOT NULL AND give_up_at <= %(warned)s))
    AND outcome = '' AND by_hand_since IS NULL
RETURNING destination
"""
"""The tool is still retried until the address is forgotten: it or a person erases it there."""


_LEAVE_TO_PEOPLE = """
UPDATE erasure_task SET by_hand_since = COALESCE(by_hand_since, %(now)s), next_at = NULL,
    lease = NULL
WHERE erasure_id = ANY(%(ids)s) AND outcome = ''
"""


@dataclass(frozen=True, slots=True)
class ErasureSubject:
    """A stored address that is to be erased, and what is known of it."""

    address_id: int
    channel: Channel
    digest: bytes
    text: str | None = field(repr=False)
    """Its canonical form, while it can be read."""
    is_erased: bool
    erasure_id: UUID | None
    """Its erasure that is under way, else the newest, and how far that went."""
    extent: Extent | None
    begun_at: datetime | None
    """From when its newest erasure counts (UTC)."""
    contact_id: UUID | None

    def is_covered(self, extent: Extent) -> bool:
        """Whether it is erased that far already."""
        return self.is_erased and self.extent in extent.rules.covered_by


@dataclass(frozen=True, slots=True)
class ErasedAccount:
    """A contact that is to be erased, as it was read."""

    id: UUID
    version: int
    locale: str | None
    is_erased: bool


@dataclass(frozen=True, slots=True)
class NewErasure:
    """One erasure to be stored: of an address, or of a contact that has none."""

    id: UUID
    address_id: int | None
    contact_id: UUID | None


def find_address_ids(
    connection: Connection, keys: Keys, addresses: Sequence[Address | HashedAddress]
) -> list[int]:
    """The ids of those of these addresses that are stored, exactly as they are (I9)."""
    rows = connection.execute(
        """SELECT address.id FROM address
        JOIN unnest(%(digests)s::bytea[], %(channels)s::text[]) AS given (digest, channel)
            ON address.digest = given.digest AND address.channel = given.channel
        ORDER BY address.id""",
        {
            "digests": [keys.exact_digest(address) for address in addresses],
            "channels": [address.channel.value for address in addresses],
        },
    )
    return [row[0] for row in rows]


def load_accounts(
    connection: Connection, address_ids: Collection[int], contact_ids: Collection[UUID]
) -> list[ErasedAccount]:
    """These contacts, and those that these addresses belong to."""
    given = {"addresses": list(address_ids), "contacts": list(contact_ids)}
    return [ErasedAccount(*row) for row in connection.execute(_SELECT_ACCOUNTS, given)]


def load_subjects(
    connection: Connection, keys: Keys, address_ids: Collection[int], contact_ids: Collection[UUID]
) -> list[ErasureSubject]:
    """These addresses, and all those of these contacts."""
    given = {"addresses": list(address_ids), "contacts": list(contact_ids)}
    return [
        ErasureSubject(
            number,
            Channel(channel),
            bytes(digest),
            None if sealed is None else keys.open(sealed, context=digest),
            erased,
            erasure,
            Extent(extent) if extent else None,
            *rest,
        )
        for number, channel, digest, sealed, erased, erasure, extent, *rest in connection.execute(
            _SELECT_SUBJECTS, given
        )
    ]


def lock_accounts(connection: Connection, accounts: Sequence[ErasedAccount]) -> None:
    """Lock contacts, after the addresses. Raises ConcurrentContactUpdate if one was changed."""
    given = {"ids": [each.id for each in accounts], "versions": [each.version for each in accounts]}
    if len(connection.execute(_LOCK_ACCOUNTS, given).fetchall()) != len(accounts):
        raise ConcurrentContactUpdate


def insert_erasures(
    connection: Connection,
    erasures: Sequence[NewErasure],
    extent: Extent,
    request_id: UUID | None,
    *,
    begun_at: datetime,
    now: datetime,
) -> None:
    """Store erasures, each with a task for every destination that may hold the address.

    The addresses must be locked and not cleared yet. Safe to repeat. Their 30 days begin `now`: a
    replay may come later than those of `begun_at` ended, and tools have the person again.
    """
    lock_unfinished(connection, [each.address_id for each in erasures if each.address_id])
    connection.execute(
        _INSERT,
        {
            "ids": [each.id for each in erasures],
            "addresses": [each.address_id for each in erasures],
            "contacts": [each.contact_id for each in erasures],
            "extent": extent,
            "request": request_id,
            "begun": begun_at,
            "give_up": now + READABLE_FOR,
            "now": now,
        },
    )


def insert_repeats(
    connection: Connection, repeated: Mapping[UUID, UUID], request_id: UUID | None, at: datetime
) -> None:
    """Store erasures, each by its id, that repeat others at `at` (UTC), and have no tasks.

    The addresses count as erased from then on: no choice of before is kept. What is under way in
    tools goes on.
    """
    connection.execute(
        _INSERT_REPEATS,
        {
            "ids": list(repeated),
            "of": list(repeated.values()),
            "request": request_id,
            "at": at,
            "give_up": at + READABLE_FOR,
        },
    )


def number_entries(connection: Connection, ids: Collection[UUID]) -> None:
    """Give these erasures the next numbers of the journal.

    To be called last: others that erase wait for this transaction's end.
    """
    connection.execute(_NUMBER, {"ids": list(ids)})


def lock_erasure(connection: Connection, erasure_id: UUID) -> None:
    """Lock an erasure, before one of its tasks is opened or ended by hand."""
    _lock(connection, "id = %(id)s", {"id": erasure_id})


def lock_unfinished(connection: Connection, address_ids: Collection[int]) -> None:
    """Lock what is under way of these addresses, before tasks are opened or ended with it."""
    condition = "address_id = ANY(%(addresses)s) AND finished_at IS NULL"
    _lock(connection, condition, {"addresses": list(address_ids)})


def _lock(connection: Connection, condition: str, given: Mapping[str, Any]) -> list[UUID]:
    """Lock erasures until the end of the transaction; returns their ids.

    It is a statement by itself, so that the next one sees the tasks that others, for whom it has
    waited, have opened.
    """
    query = f"""SELECT id FROM erasure
        WHERE id = ANY(ARRAY(SELECT id FROM erasure WHERE {condition}))
        ORDER BY id FOR UPDATE"""  # noqa: S608 - constants
    return [row[0] for row in connection.execute(query.encode(), given)]


def finish_erasures(
    connection: Connection, now: datetime, ids: Collection[UUID] | None = None
) -> None:
    """Forget the addresses of those of these erasures, or of all, that have no open task."""
    which = _NO_OPEN_TASK if ids is None else f"{_NO_OPEN_TASK} AND id = ANY(%(ids)s)"
    if locked := _lock(connection, which, {"ids": list(ids or ())}):
        _end(connection, _FINISH, {"now": now, "ids": locked})


def end_returned(connection: Connection, address_id: int, now: datetime) -> None:
    """End what is open of an address whose person came back: nothing more is erased in tools."""
    lock_unfinished(connection, [address_id])
    given = {"address": address_id, "now": now, "outcome": TaskOutcome.RETURNED}
    connection.execute(_END_RETURNED, given)


def forget_overdue(connection: Connection, now: datetime) -> None:
    """Forget the addresses that were readable for 30 days, whatever is open (I6)."""
    if locked := _lock(connection, _OVERDUE, {"now": now}):
        given = {"now": now, "ids": locked}
        connection.execute(_LEAVE_TO_PEOPLE, given)
        _end(connection, _FORGET, given)


def _end(connection: Connection, query: str, given: Mapping[str, Any]) -> None:
    """Forget the addresses of what the query ends; nothing waits for them any more."""
    ended = [{"id": address_id} for (address_id,) in connection.execute(query.encode(), given)]
    connection.cursor().executemany(STOP_WAITING, ended)


def hand_over_late_tasks(connection: Connection, now: datetime) -> list[str]:
    """Make tasks for a person of those whose address is soon forgotten; returns the tools."""
    given = {"now": now, "warned": now + WARNED_BEFORE, "reason": LATE_REASON}
    return [row[0] for row in connection.execute(_HAND_OVER, given)]
