"""The kinds of tools there are: what they can, and their vices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from preference_center.core.addresses import Channel
from preference_center.integrations.base.contract import (
    Capabilities,
    EraseMode,
    ListingMode,
    SupportedScope,
)
from simulation.people import SHARING, TOPICS

TARGETS = {topic: str(11 + number) for number, topic in enumerate((*TOPICS, SHARING))}
HOUR = 3600.0
YEAR = 365 * 24 * HOUR
BELIEVED = timedelta(days=3)
"""How old the service believes a report of a tool to be: the limit of vendors' retries (I5)."""
TRUSTED = 60.0
"""Seconds after which a request is dead where nothing can be read back: see `sync.ECHO`."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One tool's nature. Shares and probabilities are 0..1, times seconds."""

    title: str
    capabilities: Capabilities
    posts: bool = False
    """Whether it reports by webhook what people do in it."""
    lists_off: bool = True
    """Whether its list of contacts shows what is off."""
    lists_ours: bool = False
    """Whether its list of opt-outs holds ours too."""
    by_change: bool = True
    shows_old: float = 0.0
    """Seconds for which its lists still show off what has been turned on."""
    polite: bool = False
    """Whether our own limiter keeps us below its limit, so that it never responds 429."""
    per_minute: int = 60
    latency: float = 2.0
    errors: float = 0.0
    timeouts: float = 0.0
    acts_within: float = TRUSTED
    rows_fail: float = 0.0
    forgets: float = 0.0
    skew: float = 0.0
    """Seconds that its clock is ahead."""
    local: float | None = 0.0
    """Seconds by which its webhooks' times are not in UTC, though they claim it; None if they
    are all 0."""
    targets: Mapping[str, str] = field(default_factory=lambda: TARGETS)

    @property
    def believed_behind(self) -> timedelta:
        """How long before an act its webhook may date it, and be believed."""
        ahead = self.skew + (self.local or 0), self.skew
        behind = (timedelta(seconds=-seconds) for seconds in ahead)
        return max((b for b in behind if timedelta() < b <= BELIEVED), default=timedelta())

    @property
    def can_be_watched(self) -> bool:
        """Whether it can be found out to have reported wrongly."""
        return self.capabilities.can_read


def _able(**given: object) -> Capabilities:
    return replace(
        Capabilities(
            channels=frozenset({Channel.EMAIL}),
            scopes=frozenset({SupportedScope.TOPIC}),
            can_lift=True,
            batch_size=50,
        ),
        **given,  # type: ignore[arg-type]
    )


MAILER = Profile(
    "a mailer with webhooks",
    _able(
        can_read=True,
        scans=ListingMode.CHANGES,
        pulls=ListingMode.CHANGES,
        erase=EraseMode.FORGETS_OPT_OUT,
        confirms_erasure=True,
    ),
    posts=True,
    shows_old=540,
)
CRM = Profile(
    "a CRM that is swept",
    _able(
        can_read=True,
        scans=ListingMode.FULL,
        erase=EraseMode.KEEPS_OPT_OUT,
        confirms_erasure=True,
    ),
    by_change=False,
)
ONE_WAY = Profile(
    "a tool that can't lift", _able(can_lift=False, can_read=True, scans=ListingMode.CHANGES)
)
BLIND = Profile("a tool that can only be pushed to", _able(erase=EraseMode.FORGETS_OPT_OUT))
LISTS = Profile(
    "a list server that lists our opt-outs too",
    _able(can_read=True, scans=ListingMode.CHANGES, pulls=ListingMode.CHANGES),
    lists_off=False,
    lists_ours=True,
    shows_old=540,
)
KINDS = (MAILER, CRM, ONE_WAY, BLIND, LISTS)


def drawn(kind: Profile, random: Random) -> Profile:
    """A tool of this kind, with its own pace, limits and vices."""

    def seldom(most: float) -> float:
        return random.choice([0.0, random.uniform(0, most)])

    watched = kind.can_be_watched
    able = replace(kind.capabilities, batch_size=random.choice([1, 5, 10, 50, 100, 100]))
    return replace(
        kind,
        capabilities=able,
        polite=random.random() < 0.5,
        per_minute=random.choice([10, 60, 600]),
        latency=random.choice([0.2, 2.0, 20.0]),
        errors=seldom(0.2),
        timeouts=seldom(0.25),
        acts_within=random.choice([TRUSTED, HOUR]) if watched else TRUSTED,
        rows_fail=seldom(0.15),
        forgets=seldom(0.1) if watched else 0.0,
        skew=random.choice([0.0, 0.0, random.uniform(-600, 600)]),
        local=random.choice([0.0, 0.0, -7 * HOUR, 5.75 * HOUR, -2 * YEAR, None]),
    )
