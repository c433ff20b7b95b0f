"""What a destination itself reported as off, against the person's own opt-ins since (I5)."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.domain.events import Kind
from preference_center.domain.sync.state import Heard
from preference_center.storage.db.database import Connection

SOURCE = "destination"
"""The source of every event that a tool reported; its actor is the destination's name."""


def of(connection: Connection, destination: str, ids: Collection[int]) -> dict[int, Heard]:
    """Per address that this destination reported an opt-out of; one look-up by address."""
    found: dict[int, Heard] = {}
    rows = connection.execute(
        """SELECT e.address_id, e.scope, max(e.seq) FILTER (WHERE e.kind <> %(opted_in)s),
            max(e.seq) FILTER (WHERE e.kind = %(opted_in)s)
        FROM event e
        WHERE e.address_id = ANY(%(ids)s) AND (e.kind = %(opted_in)s
                OR (e.kind = ANY(%(opt_outs)s) AND e.source = %(source)s AND e.actor = %(actor)s))
            AND NOT EXISTS (SELECT FROM retracted r WHERE r.event_id = e.id)
        GROUP BY e.address_id, e.scope""",
        {
            "ids": list(ids),
            "opted_in": Kind.OPTED_IN.value,
            "opt_outs": [Kind.OPTED_OUT.value, Kind.COMPLAINED.value],
            "source": SOURCE,
            "actor": destination,
        },
    )
    for address_id, scope, opted_out, opted_in in rows:
        heard = found.setdefault(address_id, Heard())
        if opted_out is not None:
            heard.opt_outs[scope] = opted_out
        if opted_in is not None:
            heard.opt_ins[scope] = opted_in
    return {address_id: heard for address_id, heard in found.items() if heard.opt_outs}
