"""Place and end legal holds: what is claimed in court, or must be kept by law, is not erased.

While one lasts, neither erasure nor retention touches its address.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput, NamesAddress
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.rows import columns_of, fetch_rows, insert_row
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import contains_address, is_opaque
from preference_center.rights.rules.decisions import check_ends_hold

IN_FORCE = "ended_at IS NULL AND (ends_at IS NULL OR ends_at > %(now)s)"
"""A condition on `hold`: whether it lasts at the time `now`."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on one address. `reference` is the case, as the company names it."""

    id: UUID
    reference: str
    ground: str
    address_id: int
    placed_at: datetime
    placed_by: str
    ends_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: str | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Whether it lasts at `now`."""
        return self.ended_at is None and (self.ends_at is None or self.ends_at > now)


_SELECT = f"SELECT {columns_of(Hold)} FROM hold"  # noqa: S608 - constants


def list_holds(connection: Connection, limit: int = 10_000) -> list[Hold]:
    """The newest holds, the newest first."""
    query = f"{_SELECT} ORDER BY placed_at DESC, id DESC LIMIT %(limit)s"
    return fetch_rows(connection, Hold, query, {"limit": limit})


def held_addresses(
    connection: Connection, address_ids: Collection[int], now: datetime
) -> dict[int, str]:
    """Those of these addresses that are under a hold, each with the ground of one."""
    rows = connection.execute(
        f"""SELECT address_id, max(ground) FROM hold
        WHERE address_id = ANY(%(ids)s) AND {IN_FORCE} GROUP BY address_id""",  # noqa: S608 - a constant
        {"ids": list(address_ids), "now": now},
    )
    return dict(rows.fetchall())


_WITH_CONTACT = """
SELECT a.id FROM address a WHERE a.digest = %(digest)s AND a.channel = %(channel)s
UNION SELECT other.address_id FROM address a
    JOIN contact_address own ON own.address_id = a.id
    JOIN contact_address other USING (contact_id)
WHERE a.digest = %(digest)s AND a.channel = %(channel)s
ORDER BY 1
"""


def place_hold(
    address: Address, reference: str, ground: str, actor: str, ends_at: datetime | None = None
) -> list[Hold]:
    """Hold exactly this address, and those of its contact; one hold for each.

    `ends_at` (UTC) is its own end, else it lasts until `end_hold`. It counts at once, since
    nothing that is gone can be held. Raises InvalidInput without a case or a ground, or if it would
    have ended already; NamesAddress if one of the two names somebody; and Unavailable.
    """
    context = services()
    if not reference or not ground:
        raise InvalidInput("state the case and the ground")
    for text in (reference, ground):
        if not is_opaque(text) or contains_address(text, address):
            raise NamesAddress("state the case and the ground without an address or a number")
    now = context.now()
    if ends_at is not None and ends_at <= now:
        raise InvalidInput("the end of the hold is not in the future")
    placed: list[Hold] = []

    def write(connection: Connection, _: RecordResult) -> None:
        key = {"digest": context.keys.exact_digest(address), "channel": address.channel.value}
        placed[:] = [
            Hold(context.new_id(), reference, ground, row[0], now, actor, ends_at)
            for row in connection.execute(_WITH_CONTACT, key)
        ]
        for hold in placed:
            insert_row(connection, "hold", asdict(hold))
        detail = {"reference": reference, "holds": [str(hold.id) for hold in placed]}
        audit.insert_audit_entry(connection, now, actor, "holds.placed", detail)

    record([], write, known_addresses=[address])
    return placed


def end_hold(reference: str, actor: str) -> int:
    """End the holds of a case; returns how many were in force.

    Raises SecondPersonRequired for who of the staff placed one of them, and Unavailable.
    """
    now = services().now()

    given = {"reference": reference, "now": now}

    def write(connection: Connection) -> int:
        query = f"{_SELECT} WHERE reference = %(reference)s AND {IN_FORCE} ORDER BY id FOR UPDATE"
        found = fetch_rows(connection, Hold, query, given)
        for hold in found:
            check_ends_hold(hold.placed_by, actor)
        if found:
            end = "UPDATE hold SET ended_at = %s, ended_by = %s WHERE id = ANY(%s)"
            connection.execute(end, (now, actor, [hold.id for hold in found]))
            detail = {"reference": reference, "ended": str(len(found))}
            audit.insert_audit_entry(connection, now, actor, "holds.ended", detail)
        return len(found)

    return run_in_transaction(write)
