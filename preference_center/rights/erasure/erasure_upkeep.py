"""What happens to erasures by themselves: they are finished, handed over to people, forgotten."""

from __future__ import annotations

from datetime import datetime

import structlog

from preference_center.core.errors import JournalUnavailable
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.rights.erasure.journal import write_journal
from preference_center.rights.erasure.store import erasures

log = structlog.get_logger()


def tidy_erasures(now: datetime) -> None:
    """Bring erasures to where they should be at `now`; safe to repeat. Raises Unavailable.

    Those without an open task are finished. Five days before an address is forgotten, what a
    tool has not done becomes a task for a person; after 30 days it is forgotten, whatever is
    open. What the journal could not take before is written.
    """
    run_in_transaction(lambda connection: erasures.finish_erasures(connection, now))
    for tool in run_in_transaction(lambda c: erasures.hand_over_late_tasks(c, now)):
        log.warning("erasure_handed_over", destination=tool)
    run_in_transaction(lambda connection: erasures.forget_overdue(connection, now))
    try:
        write_journal()
    except JournalUnavailable as error:
        log.warning("erasure_journal_unavailable", reason=str(error))
