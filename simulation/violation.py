"""What ends a run: a broken rule."""

from __future__ import annotations


class Violation(BaseException):
    """A rule is broken; the text begins with which.

    No `Exception`: most are raised while the service is calling a tool or a web host, and it
    handles whatever those raise as a failure of theirs.
    """
