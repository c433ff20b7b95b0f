"""What happens in a process that somebody must learn of (`infra.occurrences` notes it)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Occurrence(StrEnum):
    """What can happen."""

    OPT_OUT_REFUSED = "opt_out_refused"
    """A person's opt-out was neither recorded nor spooled."""
    UNKNOWN_MESSAGE_TYPE = "unknown_message_type"
    """A sender asked about a message type that the catalogue does not have."""
    KEY_REFUSED = "key_refused"
    """A request with an API key that was revoked, or that lacks what it needs."""
    JOB_FAILED = "job_failed"
    """A job of a worker failed with an error of ours."""
    LINKS_FAIL = "links_fail"
    """A link is of no key of ours."""
    LINKS_UNVERIFIED = "links_unverified"
    """Several links, or addresses for opt-outs by mail, were not signed by the key they name."""
    WEBHOOK_UNVERIFIED = "webhook_unverified"
    """A webhook of a tool was not proved to be the tool's."""


Noted = tuple[Occurrence, str]
"""With its subject, of a closed set: the name of an API key, of a destination or of a job, a
LinkKeyProblem, or nothing."""


@dataclass(slots=True)
class Threshold:
    """Whether something has occurred `count` times in `period`."""

    count: int
    period: timedelta
    _times: deque[float] = field(default_factory=deque)

    def reached(self, at: float) -> bool:
        """It occurs at this time, in seconds of a clock that only grows."""
        self._times.append(at)
        while len(self._times) > self.count or self._times[0] <= at - self.period.total_seconds():
            self._times.popleft()
        return len(self._times) == self.count
