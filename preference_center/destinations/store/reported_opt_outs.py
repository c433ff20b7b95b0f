"""Opt-outs that a destination itself reported, and the person's own opt-ins since (I5)."""

from __future__ import annotations

from collections.abc import Collection

from preference_center.core.events import DESTINATION_SOURCE, EventKind
from preference_center.destinations.rules.state import ReportedOptOuts
from preference_center.infra.db.transactions import Connection


def load_reported_opt_outs(
    connection: Connection, destination: str, ids: Collection[int]
) -> dict[int, ReportedOptOuts]:
    """Per address of which this destination reported an opt-out; one look-up by address."""
    found: dict[int, ReportedOptOuts] = {}
    rows = connection.execute(
        """SELECT e.address_id, e.scope, max(e.seq) FILTER (WHERE e.kind <> %(opted_in)s),
            max(e.seq) FILTER (WHERE e.kind = %(opted_in)s)
        FROM event e
        WHERE e.address_id = ANY(%(ids)s) AND (e.kind = %(opted_in)s
                OR (e.kind = ANY(%(opt_outs)s) AND e.source = %(source)s AND e.actor = %(actor)s))
            AND NOT EXISTS (SELECT FROM retraction r WHERE r.event_id = e.id OFFSET 0)
        GROUP BY e.address_id, e.scope""",
        {
            "ids": list(ids),
            "opted_in": EventKind.OPTED_IN.value,
            "opt_outs": [EventKind.OPTED_OUT.value, EventKind.COMPLAINED.value],
            "source": DESTINATION_SOURCE,
            "actor": destination,
        },
    )
    for address_id, scope, opted_out, opted_in in rows:
        reported = found.setdefault(address_id, ReportedOptOuts())
        if opted_out is not None:
            reported.opt_outs[scope] = opted_out
        if opted_in is not None:
            reported.opt_ins[scope] = opted_in
    return {address_id: reported for address_id, reported in found.items() if reported.opt_outs}
