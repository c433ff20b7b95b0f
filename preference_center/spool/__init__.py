"""The spool: opt-outs accepted while the database is away, on local disk until recorded (I1).

`accept` records opt-outs or spools them; `start` has a process do so, and replay what waits.
`docs/decisions/0032-spool.md` says why it is as it is.
"""

from preference_center.spool.folder import CannotSpool, Folder, Status
from preference_center.spool.record_or_spool import Spool, accept, current, keep
from preference_center.spool.replay import Handler, Replayed
from preference_center.spool.replayer import handle, install, replay_abandoned, start

__all__ = [
    "CannotSpool",
    "Folder",
    "Handler",
    "Replayed",
    "Spool",
    "Status",
    "accept",
    "current",
    "handle",
    "install",
    "keep",
    "replay_abandoned",
    "start",
]
