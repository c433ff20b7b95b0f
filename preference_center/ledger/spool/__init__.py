"""Opt-outs accepted while the database is away: written to local disk, then replayed (I1).

`record_or_spool` records opt-outs or spools them; `start_spool` makes a process do so, and replay
what is pending. `docs/decisions/0032-spool.md` explains the design.
"""

from preference_center.ledger.spool.folder import SpoolFolder, SpoolStatus, SpoolUnavailable
from preference_center.ledger.spool.recorder import (
    Spool,
    attempt_to_record,
    current_spool,
    record_or_spool,
    spool_request,
)
from preference_center.ledger.spool.replay import ReplayStats, SpooledRequest, SpoolHandler
from preference_center.ledger.spool.replayer import (
    count_pending,
    install_spool,
    register_handler,
    replay_abandoned,
    start_spool,
)

__all__ = [
    "ReplayStats",
    "Spool",
    "SpoolFolder",
    "SpoolHandler",
    "SpoolStatus",
    "SpoolUnavailable",
    "SpooledRequest",
    "attempt_to_record",
    "count_pending",
    "current_spool",
    "install_spool",
    "record_or_spool",
    "register_handler",
    "replay_abandoned",
    "spool_request",
    "start_spool",
]
