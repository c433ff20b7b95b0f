"""When the scheduler last looked for due work, for other threads of its process."""

from __future__ import annotations

from datetime import datetime


class Heartbeat:
    """The time of the last tick; `at` is the start until there is one."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def beat(self, now: datetime) -> None:
        """Record a tick that did its work."""
        self.at = now
