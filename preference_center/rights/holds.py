"""Place legal holds: what is claimed in court, or must be kept by law, is not erased."""

from __future__ import annotations

from datetime import datetime

from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.rights.rights_holds import Hold, end_holds, insert_hold, list_in_force
from preference_center.rights.rules.decisions import check_ends_hold

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
    nothing that is gone can be held. Raises InvalidInput if it would have ended already, and
    Unavailable.
    """
    context = services()
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
            insert_hold(connection, hold)
        detail = {"reference": reference, "holds": [str(hold.id) for hold in placed]}
        audit.insert_audit_entry(connection, now, actor, "holds.placed", detail)

    record([], write, known_addresses=[address])
    return placed


def end_hold(reference: str, actor: str) -> int:
    """End the holds of a case; returns how many were in force.

    Raises SecondPersonRequired for who of the staff placed one of them, and Unavailable.
    """
    now = services().now()

    def write(connection: Connection) -> int:
        for hold in list_in_force(connection, reference, now):
            check_ends_hold(hold.placed_by, actor)
        ended = end_holds(connection, reference, now, actor)
        if ended:
            detail = {"reference": reference, "ended": str(ended)}
            audit.insert_audit_entry(connection, now, actor, "holds.ended", detail)
        return ended

    return run_in_transaction(write)
