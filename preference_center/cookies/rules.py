"""Check a browser's choices about cookies, count choices, and say what the browser's signal means.

The choices are about the cookies of one site, and a cookie holds them. In the counts small cells
are merged as in other statistics. The signal is Global Privacy Control, and its meaning is for an
address (docs/decisions/0015).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from preference_center.catalogue.rules.sites import CookieCategory, Site
from preference_center.core.errors import InvalidInput
from preference_center.core.events import SHARING, Event, ScopeFact
from preference_center.core.small_cells import MonthlyCell, merge_small_cells
from preference_center.decisions.rules import newest_opt_in

CONSENT_DURATION = timedelta(seconds=15_768_000)
"""Half a year: sooner nobody is asked again (Garante, 10 June 2021), later everybody."""


CONSENT_MONTHS = 6
"""The same as people and scripts read it."""


_COOKIE = re.compile(
    r"1\.(?P<id>[0-9a-f]{32})\.(?P<version>[0-9a-z]{1,20})\.(?P<day>[0-9]{8})"
    r"\.(?P<granted>-|[a-z]+(?:\+[a-z]+)*)"
    r"(?:\.[a-z]+\.(?:-|[a-z]+(?:\+[a-z]+)*)\.(?P<ended>-|[0-9a-f]{32}(?:\+[0-9a-f]{32})*))?"
)


_NOTHING = "-"


MAX_ENDED = 8
"""Choices without an answer that a newer one ends; the script keeps no more."""


class ConsentMethod(StrEnum):
    """How a choice was made."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    CHOOSE = "choose"
    CLOSE = "close"
    """The X of the banner: continue without accepting."""
    GPC = "gpc"
    """By the browser's Global Privacy Control; the person pressed nothing."""
    PAGE = "page"
    """On the page that works without a script."""
    UNSAVED = "unsaved"
    """Nobody's choice: an earlier one that allowed something got no answer, so the browser keeps
    everything off and asks again."""

    @property
    def grants_nothing(self) -> bool:
        """Whether it can only refuse."""
        return self not in {ConsentMethod.ACCEPT, ConsentMethod.CHOOSE, ConsentMethod.PAGE}


class CookieChoiceState(StrEnum):
    """Whether a recorded choice still counts."""

    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    """The same browser has chosen again."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class BrowserConsent:
    """One recorded choice: nothing in it says who made it (docs/decisions/0077).

    `id` is random, made by the browser's script, so that it can send a choice twice. `previous` is
    the choice of the same browser that this one ends.
    `policy_version` is of the policy that applied then; None if the site names none.
    """

    id: UUID
    site: str
    choices: Mapping[CookieCategory, bool]
    method: ConsentMethod
    version: str
    language: str
    decided_at: datetime
    policy_version: str | None = None
    previous: UUID | None = None
    unanswered: tuple[UUID, ...] = ()
    """Choices of the browser since `previous`, oldest first, whose answers were lost: each may be
    on record, may come later, or never. Not read back."""

    @property
    def expires_at(self) -> datetime:
        """When everybody is asked again."""
        return self.decided_at + CONSENT_DURATION

    def state(self, *, is_superseded: bool, now: datetime) -> CookieChoiceState:
        """Whether it counts at `now`, given whether the browser has chosen again."""
        if is_superseded:
            return CookieChoiceState.SUPERSEDED
        return CookieChoiceState.IN_FORCE if now < self.expires_at else CookieChoiceState.EXPIRED

    @property
    def cookie(self) -> ConsentCookie:
        """What the browser keeps of it."""
        granted = frozenset(category for category, on in self.choices.items() if on)
        return ConsentCookie(self.id, self.version, self.decided_at.date(), granted)


@dataclass(frozen=True, slots=True)
class ConsentCookie:
    """The value of the cookie `pc_consent`: `1.<id>.<version>.<yyyymmdd>.<granted, or ->`.

    `day` is in UTC. The script reads it, too; it holds no secret. While the script has no answer it
    adds `.<method>.<wanted>.<ended>`, where `ended` are the choices that this one ends.
    """

    id: UUID
    version: str
    day: date
    granted: frozenset[CookieCategory]
    ended: tuple[UUID, ...] | None = None
    """None once it has been answered."""

    def __str__(self) -> str:
        granted = "+".join(category for category in CookieCategory if category in self.granted)
        return f"1.{self.id.hex}.{self.version}.{self.day:%Y%m%d}.{granted or _NOTHING}"

    def answers(self, site: Site, today: date) -> bool:
        """Whether it still says what this browser chose; otherwise the site asks again."""
        age = today - self.day
        return self.version == site.version and timedelta(0) <= age <= CONSENT_DURATION


def parse_consent_cookie(value: str | None) -> ConsentCookie | None:
    """The cookie; None where it is missing or was written by somebody else."""
    match = _COOKIE.fullmatch(value or "")
    if match is None:
        return None
    words = [] if match["granted"] == _NOTHING else match["granted"].split("+")
    digits = match["day"]
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
        granted = frozenset(CookieCategory(word) for word in words)
    except ValueError:
        return None
    ids = re.findall(r"\w+", match["ended"] or "")[-MAX_ENDED:]
    ended = tuple(UUID(hex=each) for each in ids) if match["ended"] else None
    return ConsentCookie(UUID(hex=match["id"]), match["version"], day, granted, ended)


def parse_ended(sent: object) -> tuple[UUID, ...]:
    """The ids of choices that one ends, oldest first. Raises InvalidInput."""
    if not isinstance(sent, list) or len(sent) > MAX_ENDED:
        raise InvalidInput(f"ends is a list of at most {MAX_ENDED} ids, oldest first")
    return tuple(parse_consent_id(each) for each in sent)


def parse_consent_id(sent: object) -> UUID:
    """The id of a choice. Raises InvalidInput."""
    if not isinstance(sent, str) or not re.fullmatch(r"[0-9a-f]{32}", sent):
        raise InvalidInput("an id is 32 hexadecimal digits in small letters")
    return UUID(hex=sent)


def check_choices(
    site: Site, choices: Mapping[str, object], method: ConsentMethod, *, gpc: bool
) -> dict[CookieCategory, bool]:
    """The choice of each optional category of `site`.

    With `gpc`, the browser's Global Privacy Control, advertising is off whatever was chosen.
    Raises InvalidInput where `choices` are not exactly those of the site, or contradict `method`.
    """
    names = sorted(category.value for category in site.optional)
    if sorted(choices) != names or any(not isinstance(on, bool) for on in choices.values()):
        known = ", ".join(f'"{name}"' for name in names) or "none"
        raise InvalidInput(f"choices needs true or false for each optional category: {known}")
    if method.grants_nothing and any(choices.values()):
        raise InvalidInput(f'method "{method}" allows nothing; send false for each category')
    return {
        category: choices[category.value] is True
        and not (gpc and category is CookieCategory.ADVERTISING)
        for category in site.optional
    }


GRANTED, REFUSED = "granted", "refused"


@dataclass(frozen=True, slots=True)
class ConsentCount:
    """How often one category of one site was chosen in one way on one day (UTC)."""

    site: str
    day: date
    category: str
    method: str
    outcome: str
    count: int


def count_choices(counts: Iterable[ConsentCount]) -> list[ConsentCount]:
    """The counts, by site and day; those of a site, day and category are merged if small."""
    by_category: dict[tuple[str, date, str], list[ConsentCount]] = defaultdict(list)
    for each in counts:
        by_category[each.site, each.day, each.category].append(each)
    return [
        ConsentCount(site, day, category, cell.source, cell.outcome, cell.count)
        for (site, day, category), found in sorted(by_category.items())
        for cell in merge_small_cells(
            MonthlyCell("choice", category, each.method, each.outcome, each.count) for each in found
        )
    ]


SOURCE = "global_privacy_control"
"""The source, and the method, of the opt-outs that the signal records."""


class GpcStatus(StrEnum):
    """How the signal is treated; shown by `gpc_notice.html`."""

    PENDING = "pending"
    """It is recorded once any button is pressed: a GET never writes (I7)."""
    HONOURED = "honoured"
    """Sale and sharing of what belongs to this address is opted out of."""
    OVERRIDDEN = "overridden"
    """The person has agreed to it since the signal was recorded (11 CCR 7025(c)(3))."""


def gpc_status(facts: Sequence[ScopeFact], first_signal_at: datetime | None) -> GpcStatus:
    """The status of the signal, given the exact facts of the address (I9).

    `first_signal_at` is when it was first recorded for the address, if ever. A consent from before
    that does not outweigh the signal: the person may have turned the signal on since.
    """
    if any(fact.exact and fact.scope == SHARING and fact.state.is_suppressed for fact in facts):
        return GpcStatus.HONOURED
    consent = newest_opt_in(SHARING, facts)
    if consent and first_signal_at and consent.at > first_signal_at:
        return GpcStatus.OVERRIDDEN
    return GpcStatus.PENDING


def find_first_signal(events: Iterable[Event], retracted: Collection[UUID]) -> datetime | None:
    """When the signal was first recorded, by the events of exactly one address."""
    return min(
        (
            event.counts_at
            for event in events
            if event.source == SOURCE and event.scope == SHARING and event.id not in retracted
        ),
        default=None,
    )
