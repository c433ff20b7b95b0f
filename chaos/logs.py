"""What the processes wrote: nothing personal (I12), and no unexpected error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

PERSONAL = re.compile(r"person-\d+-\d+|/u/")
"""What every address of ours, and every path with a token, has in it."""
UNEXPECTED = '"unexpected"'
"""The event of an error that no handler of the service expected."""
TRACEBACK = "Traceback (most recent call last):"
FORESEEN = re.compile(r"(rq|redis)\.exceptions\.|ConnectionRefusedError")
"""How RQ logs a job that Redis forgot meanwhile, and a Redis that is away."""
DIED = "Unexpected exit from worker"
"""What the web server writes when it loses one of its processes."""


def log_faults(logs: Iterable[Iterable[str]], shot: int) -> Iterator[str]:
    """A line for each kind of entry in the logs that may not be there.

    `shot`: how many processes of the web server were killed alone.
    """
    seen: Counter[str] = Counter()
    unforeseen: Counter[str] = Counter()
    for log in logs:
        raised = False
        for line in log:
            seen["personal"] += bool(PERSONAL.search(line))
            seen["unexpected"] += UNEXPECTED in line
            seen["died"] += DIED in line
            if raised and line.strip() and not line[0].isspace():
                raised = False  # where it was raised is indented, what was raised is not
                if not FORESEEN.match(line):
                    unforeseen[re.split(r"[:\s]", line, maxsplit=1)[0]] += 1
            raised = raised or line.startswith(TRACEBACK)
    if seen["personal"]:
        yield f"{seen['personal']} lines of the logs with an address or a token"
    if seen["unexpected"]:
        yield f"{seen['unexpected']} unexpected errors in the logs"
    for name, times in unforeseen.items():
        yield f"{times} tracebacks in the logs that end with {name}"
    if seen["died"] > shot:
        yield f"{seen['died']} processes of the web server died, and {shot} were killed"
