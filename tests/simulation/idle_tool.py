"""A tool that does nothing by itself."""

from __future__ import annotations

from random import Random
from typing import Any

from simulation.ground import Clock
from simulation.people import NEWS, START
from simulation.profiles import MAILER
from simulation.tools import Tool


def idle_tool(clock: Clock | None = None, **given: Any) -> Tool:
    """A tool that is up and has not been asked for anything."""
    return Tool(
        "tool-0",
        MAILER,
        frozenset({NEWS}),
        clock or Clock(),
        Random("tool-0"),
        lambda *_: None,
        lambda _: None,
        lambda _: None,
        good_since=START,
        **given,
    )
