"""Compares the tools, and the deadline of each address in them, with the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from simulation.crew import Redis
from simulation.entry_points import address
from simulation.excuses import Excuse
from simulation.oracle import Oracle
from simulation.people import RESTRICTION, SHARING, START, Form, forms_of
from simulation.tools import Tool
from simulation.violation import Violation

WINDOW = timedelta(hours=72)
SLACK = timedelta(minutes=1)
"""Between the clocks of two web hosts."""
IN_REACH = timedelta(hours=3)
"""How long a tool must have been up before everything must have been pushed to it."""
FOUND_OUT = timedelta(hours=36)
"""How long until it is found out what a tool did by itself, or has not done: in a night."""
PROMPT = timedelta(minutes=15)
"""After so long a tool that is up, and has nothing left to do, has been asked."""
RETRIED = timedelta(hours=12)
"""After so long a tool that is up mails nobody of whom the service knows, whatever failed."""

_ROWS = """
SELECT s.due_at, found.at
FROM unnest(%s::text[], %s::bytea[]) WITH ORDINALITY AS given (name, digest, place)
LEFT JOIN destination d ON d.name = given.name
LEFT JOIN address a ON a.digest = given.digest AND a.channel = 'email'
LEFT JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
LEFT JOIN LATERAL (SELECT max(at) AS at FROM delivery
    WHERE destination_id = d.id AND address_id = a.id AND outcome = 'drift'
        AND at > COALESCE((SELECT max(at) FROM delivery WHERE destination_id = d.id
            AND address_id = a.id AND outcome IN ('reflected', 'absent')), '-infinity')
    ) AS found ON true
ORDER BY given.place
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A tool mails somebody who has opted out for certain."""

    tool: Tool
    form: Form
    topic: str
    begun: datetime | None
    """Since when it should have been pushed; None if that was impossible."""
    caused: bool
    """Whether that is the tool's own doing: it has to be found out first."""
    since: datetime = START
    """When the oldest of the active opt-outs was received."""

    def __str__(self) -> str:
        since = f", since {self.begun:%d %H:%M}" if self.begun else ""
        return f"{self.tool.name} mails {self.form.text} about {self.topic}{since}"


@dataclass(frozen=True, slots=True)
class Row:
    """What the service has noted of one address at one tool."""

    due_at: datetime | None
    found_at: datetime | None
    """When it was found that the tool had forgotten, if nothing was confirmed since."""


@dataclass(slots=True)
class Comparison:
    """Every tool, and every person, who differ; each excuse is counted."""

    oracle: Oracle
    tools: Mapping[str, Tool]
    known: Mapping[Form, datetime]
    redis: Redis
    forms: Mapping[str, Form]
    erased: Mapping[Form, datetime] = field(default_factory=dict)
    """Who is erased: nothing can be turned on for them any more."""
    returned: Mapping[Form, datetime] = field(default_factory=dict)
    """Who was erased and has come back, and when: until then a tool could not be pushed to."""
    done_since: Mapping[str, datetime] = field(default_factory=dict)
    """When workers last began a round that left nothing to be pushed to a tool."""
    excused: Counter[str] = field(default_factory=Counter)

    def free_since(self, tool: Tool) -> datetime | None:
        """Since when workers could reach it; None if they can't."""
        up_since, redis = tool.up_since, self.redis
        return None if up_since is None or redis.away else max(up_since, redis.back_at)

    def tools_in_time(self) -> list[Difference]:
        """No tool mails anybody whose opt-out should have reached it by now (I3, I13).

        Each such address has a deadline of its own. Returns who is mailed still.
        """
        now = services().now()
        found = list(self._differences(now, self.oracle.opt_outs))
        for difference, row in zip(found, _rows(found), strict=True):
            if difference.begun is None:
                self.excused[Excuse.UNKNOWN_FORM] += 1
                continue
            self._has_deadline(difference, row, difference.begun)
            self._is_in_time(difference, row, difference.begun, now)
        return found

    def have_deadlines(self, people: Iterable[int]) -> None:
        """Every tool that still mails these people has a deadline for that (I3)."""
        found = [
            each for each in self._differences(services().now(), people) if each.begun is not None
        ]
        for difference, row in zip(found, _rows(found), strict=True):
            assert difference.begun is not None
            self._has_deadline(difference, row, difference.begun)

    def bystanders(self) -> None:
        """Nobody who never opted out is off anywhere (I5)."""
        for tool in self.tools.values():
            for text, topics in tool.off.items():
                if topics and not self.oracle.opt_outs.get(self.forms[text].person):
                    raise Violation(f"I5: {tool.name} does not mail {text}, who never opted out")

    def at_rest(self) -> list[str]:
        """In which a tool and a person differ, though everybody rests."""
        now, found = services().now(), []
        people = self.oracle.opt_outs
        found += [str(each) for each in self._differences(now, people) if each.begun is not None]
        for tool in self.tools.values():
            if tool.profile.capabilities.can_lift:
                found += [
                    f"{tool.name} does not mail {text} about {topic}"
                    for text, topics in sorted(tool.off.items())
                    for topic in sorted(topics & tool.topics)
                    if self.forms[text] in self.known
                    and self.forms[text] not in self.erased
                    and text not in tool.erased_once
                    and self.oracle.must_be_off(self.forms[text], topic, now) is False
                    and not self._stays_off(self.forms[text], topic)
                ]
        return found

    def _stays_off(self, form: Form, topic: str) -> bool:
        """Whether it was turned off with more, and has not been asked for."""
        if topic != SHARING:
            return self.oracle.has_consent(form, topic, services().now()) is not True
        return any(opt_out.scope == RESTRICTION for opt_out in self.oracle.opt_outs[form.person])

    def _differences(self, now: datetime, people: Iterable[int]) -> Iterator[Difference]:
        some = sorted(people)
        for tool in self.tools.values():
            pauses = tool.profile.capabilities.can_lift
            for person in some:
                for form in forms_of(person):
                    if form.text not in tool.contacts:
                        continue
                    for topic in sorted(tool.topics - tool.off.get(form.text, set())):
                        if self.oracle.must_be_off(form, topic, now, pauses=pauses):
                            yield self._difference(tool, form, topic, now)

    def _difference(self, tool: Tool, form: Form, topic: str, now: datetime) -> Difference:
        pauses = tool.profile.capabilities.can_lift
        since = self.oracle.since(form, topic, now, pauses=pauses)
        assert since
        known = None if form.text in tool.erased else self.known.get(form)
        if known is None and tool.profile.capabilities.can_scan:
            known = tool.contacts[form.text]  # the tool shows it
        if known is None:
            return Difference(tool, form, topic, None, caused=False)
        own = max(tool.own_since.get((form.text, topic), since), tool.contacts[form.text])
        begun = max(since, known, own, self.oracle.unlinked.get(form, START))
        return Difference(tool, form, topic, begun, caused=own > since, since=since)

    def _has_deadline(self, found: Difference, row: Row, begun: datetime) -> None:
        due_at = row.due_at
        if not self.is_slow(found) and (due_at is None or due_at > begun + WINDOW + SLACK):
            due = f"due {due_at:%d %H:%M}" if due_at else "without a deadline"
            raise Violation(f"I3: {found}, is {due}")
        # The tool has to erase it again, and suppresses it first.
        is_erased = found.form in self.erased and found.form.text in found.tool.erased_once
        if row.found_at is None or is_erased:
            return
        found_at = max(row.found_at, self.returned.get(found.form, START), found.since)
        if due_at is None or due_at > found_at + WINDOW + SLACK:
            raise Violation(f"I3: {found}, was found out and has no deadline of then")

    def is_slow(self, found: Difference) -> bool:
        """Whether it had to be found out first."""
        unknown = found.form not in self.known or found.form.text in found.tool.erased
        return found.caused or unknown or found.form.text in found.tool.forgot

    def _is_in_time(self, found: Difference, row: Row, begun: datetime, now: datetime) -> None:
        """Promptly where the tool is up; where something had to be found out, from then on."""
        tool, text = found.tool, found.form.text
        begun = max(begun, tool.forgot.get(text, START))
        pauses = tool.profile.capabilities.can_lift
        known_since = self.oracle.known_since(found.form, found.topic, now, pauses=pauses) or START
        if row.due_at is not None and self.is_slow(found):
            # It was found out, or is asked about together with an opt-out of another topic.
            begun = max(begun, row.due_at - WINDOW)
            recorded = self.oracle.recorded(found.form, row.due_at - WINDOW, SLACK)
            known_since = max(known_since, recorded or START)
        if row.due_at is not None:
            self._is_asked(found, max(begun, known_since), now)
        free_since = self.free_since(tool)
        if free_since is None:
            self.excused[Excuse.DOWN] += 1
            return
        put_off = tool.put_off.get(text, START)
        if self.is_slow(found) and row.due_at is None:
            if now > max(begun, free_since, known_since) + FOUND_OUT:
                raise Violation(f"I3, I13: {found}, and nobody has found out")
            self.excused[Excuse.FOUND_LATE] += 1
            return
        if now > max(begun, put_off) + WINDOW and now > free_since + IN_REACH:
            raise Violation(f"I3: {found}")
        if now <= max(begun, free_since, known_since) + RETRIED:
            self.excused[Excuse.WAITING] += 1
        # The clock of the host where they opted out may be seconds ahead of the worker's.
        elif put_off > begun - SLACK or self._is_put_off(found, now):
            self.excused[Excuse.ASKED_TO_WAIT] += 1
        else:
            raise Violation(f"I3: {found}, though it has been up since {free_since:%d %H:%M}")

    def _is_asked(self, found: Difference, begun: datetime, now: datetime) -> None:
        """A tool that was up, with nothing left to do, has been asked since.

        Redis excuses only the time for which it is away: what waits for it is left to do.
        """
        tool, place = found.tool, (found.form.text, found.topic)
        if tool.up_since is None or self._is_put_off(found, now):
            return
        asked = max(tool.asked_off.get(place, START), tool.put_off.get(found.form.text, START))
        free_since = max(begun, tool.up_since, self.redis.back_at)
        done_since = self.done_since.get(tool.name, START)
        if asked < begun - SLACK and done_since > free_since + PROMPT:
            raise Violation(f"I3: {found}, and was not asked by {done_since:%d %H:%M}")

    def _is_put_off(self, found: Difference, now: datetime) -> bool:
        """Whether the last request about this opt-out is the one that the tool put off.

        What the tool turns on by itself while that row waits is corrected when it is tried again.
        """
        tool, form = found.tool, found.form
        pauses = tool.profile.capabilities.can_lift
        since = self.oracle.since(form, found.topic, now, pauses=pauses)
        asked = tool.asked_off.get((form.text, found.topic))
        put_off = tool.put_off.get(form.text, START)
        return bool(since and asked and since - SLACK <= asked <= put_off)


def _rows(found: Sequence[Difference]) -> list[Row]:
    if not found:
        return []
    digest = services().keys.exact_digest
    given = [[d.tool.name for d in found], [digest(address(d.form)) for d in found]]
    return [Row(*row) for row in run_autocommit(lambda c: c.execute(_ROWS, given).fetchall())]
