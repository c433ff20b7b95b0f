"""The tools of a run, drawn from its seed, each with its destination."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from preference_center.core.addresses import Channel
from preference_center.destinations.rules.states import DestinationStatus
from preference_center.destinations.scan import supported_listings
from preference_center.destinations.store import destinations, listings
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import PushItem
from simulation.acts import Options
from simulation.ground import Clock
from simulation.people import SHARING, START, TOPICS, first_forms_of
from simulation.profiles import KINDS, drawn
from simulation.reports import KIND, SETTINGS
from simulation.tools import Tool

MIXED = 0.5
"""How often some kinds of tools are there several times, and others not at all."""
SHARED_WITH = 0.4
"""With how many of the tools data is shared for advertising, besides what they send."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a tool calls: see `Tool`."""

    later: Callable[[datetime, str, Callable[[], None]], None]
    step: Callable[[str], None]
    trace: Callable[[str], None]
    asked: Callable[[Tool, Sequence[PushItem]], None]
    seems_off: Callable[[str, str], None]


def hosts(seed: str) -> list[timedelta]:
    """How far ahead the clock of each web host is: the first one's is right."""
    random = Random(f"{seed}/hosts")
    return [timedelta(0), *(timedelta(seconds=random.uniform(-6, 6)) for _ in range(2))]


def made(seed: str, options: Options, clock: Clock, hooks: Hooks) -> dict[str, Tool]:
    """All tools by name, with the contacts that they begin with."""
    mixed = Random(f"{seed}/kinds").random() < MIXED
    tools = {}
    for number in range(options.tools):
        random = Random(f"{seed}/tool {number}")
        kind = random.choice(KINDS) if mixed else KINDS[number % len(KINDS)]
        profile = drawn(kind, random)
        topics = frozenset(random.sample(TOPICS, random.choice([1, 2, 3, 3])))
        if Random(f"{seed}/sharing {number}").random() < SHARED_WITH:
            topics |= {SHARING}
        tool = Tool(
            f"tool-{number}", profile, topics, clock, random, hooks.later, hooks.step,
            hooks.trace, good_since=START, asked=hooks.asked, seems_off=hooks.seems_off,
        )  # fmt: skip
        for person in range(options.people):
            for form in first_forms_of(person):
                if random.random() < (0.6 if form == first_forms_of(person)[0] else 0.2):
                    tool.gains(form.text)
        tools[tool.name] = tool
        add_destination(tool)
    return tools


def add_destination(tool: Tool) -> None:
    """Connect it, and have it pushed to and read."""
    able, context = tool.profile.capabilities, services()

    def add(connection: Connection) -> None:
        number = destinations.insert_destination(
            connection,
            context.keys,
            name=tool.name,
            kind=KIND if tool.profile.posts else "webhook",
            settings=SETTINGS if tool.profile.posts else {},
            channels=frozenset({Channel.EMAIL}),
            mapping={topic: tool.target_of(topic) for topic in sorted(tool.topics)},
            sends=tool.topics,
            sends_service=True,
            can_lift=able.can_lift,
            wait_for_pull=able.can_pull,
            now=context.now(),
        )
        destinations.set_status(connection, number, DestinationStatus.ACTIVE)
        listings.schedule_listings(connection, number, supported_listings(able), context.now())

    run_in_transaction(add)
