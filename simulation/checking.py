"""Compares the service's decisions, and the events it has of tools, with the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle

import psycopg

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.decisions.api import decide_all
from preference_center.decisions.rules import DecisionRule, Denial, decide, find_sharing_denial
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.ledger.store.lookup import load_facts_as_of
from simulation.alarms import check_alarms
from simulation.comparing import FOUND_OUT, Comparison
from simulation.entry_points import address
from simulation.excuses import Excuse
from simulation.frequencies import Frequencies
from simulation.lists import CLOCK_TRUSTED
from simulation.oracle import OptOut, Oracle
from simulation.people import BOUNCED, OFFERS, SHARING, START, TOPICS, Form, forms_of
from simulation.tools import Tool
from simulation.violation import Violation

SHOWS_OLD = timedelta(minutes=11)
"""How long a tool may go on showing what was before it was asked."""
MESSAGES = {"acme.news": "send.news", "acme.offers": "send.offers", "acme.club": "send.club"}
MARKETING = {topic: MESSAGES[topic] for topic in TOPICS}
_RECORDED = """
SELECT given.place - 1, found.at
FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
    WITH ORDINALITY AS given (digest, scope, actor, first, place)
CROSS JOIN LATERAL (
    SELECT min(e.recorded_at) AS at FROM event e JOIN address a ON a.id = e.address_id
    WHERE a.digest = given.digest AND e.scope = given.scope AND e.actor = given.actor
        AND e.recorded_at >= given.first AND e.source = 'destination') AS found
WHERE found.at IS NOT NULL
"""
SERVICE, AFTER_CLOSING = "invoice", "password_reset"
ASKED = (*MARKETING.items(), ("", SERVICE), ("", AFTER_CLOSING))
"""What is asked of everybody: the topic, "" for none, and the message type."""


@dataclass(slots=True)
class Checks:
    """All checks of one run."""

    oracle: Oracle
    comparison: Comparison
    known: dict[Form, datetime]
    url: str
    awaited: list[tuple[OptOut, Tool]] = field(default_factory=list)
    frequencies: Frequencies | None = None
    _side_connection: psycopg.Connection | None = None
    _in_turn: Iterator[tuple[str, str]] = field(default_factory=lambda: cycle(ASKED))

    # --- decisions

    def touched(self, forms: Iterable[Form]) -> None:
        """Check the next decision about these forms (I2), and the response to a sender."""
        found, now, catalogue = list(forms), services().now(), current_catalogue()
        facts, _ = load_facts_as_of([address(form) for form in found])
        for form, known in zip(found, facts, strict=True):
            for topic, name in ASKED:
                message = catalogue.message_types[name]
                decision = decide(message, catalogue.topics.get(topic), known, now)
                self._evaluate(form, topic, name, str(decision.rule), allow=decision.allow)
                if self.frequencies and topic == OFFERS and decision.allow:
                    self.frequencies.check(form, decision.frequency)
                end = decision.until if isinstance(decision, Denial) else None
                if end and self.oracle.must_be_off(form, topic, now, pauses=False):
                    raise Violation(f"I3: {topic} to {form.text} is off until {end}, for good")
                expected = self.oracle.pause_end(form, topic, now)
                if decision.rule is DecisionRule.PAUSED and expected and end != expected:
                    raise Violation(f"I5: {topic} to {form.text} is paused until {end}: {expected}")
            denial = find_sharing_denial(known, now)
            must_not = self.oracle.must_be_off(form, SHARING, now)
            if must_not is not None and must_not is (denial is None):
                result = "may" if denial is None else f"may not ({denial.rule})"
                raise Violation(f"I2, I5, I9: what is known of {form.text} {result} be shared")
        self._sent_for(found)

    def _sent_for(self, forms: Sequence[Form]) -> None:
        """The same about one message, another each time, as senders ask."""
        topic, name = next(self._in_turn)
        texts, now = [form.text for form in forms], services().now()
        decided = decide_all(texts, name, Channel.EMAIL, current_catalogue(), "IT", now)
        for form, decision in zip(forms, decided.decisions, strict=True):
            if self.frequencies and topic == OFFERS and decision.allow:
                self.frequencies.check(form, decision.frequency)
            self._evaluate(form, topic, name, str(decision.rule), allow=decision.allow)

    def everything(self, people: Iterable[int]) -> None:
        """The same of all who opted out and of these `people`; then the tools."""
        asked = sorted({*self.oracle.opt_outs, *people})
        self.touched([form for person in asked for form in forms_of(person)])
        self._unknown_means_no(services().now())
        check_alarms(self.comparison, self.comparison.tools_in_time())
        self.comparison.bystanders()
        self.recorded_in_time()

    def _evaluate(self, form: Form, topic: str, name: str, rule: str, *, allow: bool) -> None:
        now = services().now()
        if topic:
            may = self.oracle.may_send(form, topic, now)
        elif name == AFTER_CLOSING:
            may = True
        else:
            closed = self.oracle.closed(form, now)
            may = None if closed is None else not closed
        if may is not None and may is not allow:
            result = "allowed" if allow else "denied"
            rules = "I2, I5, I9" if topic else "I4"
            raise Violation(f"{rules}: {name} to {form.text} is {result} ({rule})")

    def _unknown_means_no(self, now: datetime) -> None:
        catalogue = current_catalogue()
        for text, name in (("nobody", "send.news"), ("a@example.com", "send.unknown")):
            (decision,) = decide_all([text], name, Channel.EMAIL, catalogue, "IT", now).decisions
            if decision.allow:
                raise Violation(f"I11: {name} to {text} is allowed")

    # --- events of tools

    def await_event(self, opt_out: OptOut, tool: Tool) -> None:
        """A person did this in a tool: it must be recorded, and then stay (I13)."""
        self.awaited.append((opt_out, tool))

    def learn(self) -> None:
        """See what of it is in the ledger by now."""
        now, recorded = services().now(), self._recorded()
        for index, at in recorded.items():
            opt_out, tool = self.awaited[index]
            # A worker may have recorded it and asked other tools already, before this check.
            opt_out.sure, opt_out.last, opt_out.received = (
                True,
                max(now, opt_out.first + CLOCK_TRUSTED),
                at,
            )
            opt_out.reported, opt_out.tool, opt_out.known = True, tool.name, at
            opt_out.dated = opt_out.first - tool.profile.believed_behind
            self.known.setdefault(opt_out.form, at)
            self.oracle.changed[opt_out.form.person] = now
        self.awaited = [each for index, each in enumerate(self.awaited) if index not in recorded]

    def recorded_in_time(self) -> None:
        """A tool that was up so long has none that is older and not in the ledger (I13)."""
        now = services().now()
        for opt_out, tool in self._not_recorded():
            free_since = self.comparison.free_since(tool)
            if free_since and now > max(opt_out.first, free_since) + FOUND_OUT:
                raise Violation(f"I13: {_describe(opt_out, tool)} since {opt_out.first:%d %H:%M}")

    def unrecorded(self) -> list[str]:
        """What tools report or show of people that is not in the ledger yet (I13)."""
        return [_describe(opt_out, tool) for opt_out, tool in self._not_recorded()]

    def _not_recorded(self) -> Iterator[tuple[OptOut, Tool]]:
        for opt_out, tool in self.awaited:
            is_visible = tool.reports_events or self._shows(opt_out, tool)
            if opt_out.scope != BOUNCED and is_visible:
                yield opt_out, tool

    def _shows(self, opt_out: OptOut, tool: Tool) -> bool:
        """Whether the tool's contacts show it, and no other active opt-out accounts for it."""
        text = opt_out.form.text
        shows_off = tool.profile.capabilities.off_means_opt_out and text in tool.contacts
        if not shows_off or tool.has_on(text, opt_out.scope) or text in tool.erased_once:
            return False
        # It can't be distinguished from what the service has turned off there itself, or must now.
        now, pauses = services().now(), tool.profile.capabilities.can_lift
        other = self.oracle.must_be_off(
            opt_out.form, opt_out.scope, now, pauses=pauses, besides=opt_out
        )
        hidden = other is not False
        hidden = hidden or self.oracle.asked_since(opt_out.form, opt_out.scope, opt_out.first)
        hidden = hidden or self.oracle.taken_back(opt_out.form, opt_out.scope)
        place = (opt_out.form.text, opt_out.scope)
        asked_off, shown_on = tool.asked_off.get(place), tool.shown_on.get(place, START)
        # Once turned off there by us, it has to be seen on again to be distinguished from that.
        seen_since = asked_off is None or asked_off + SHOWS_OLD < shown_on < opt_out.first
        return not hidden and seen_since

    def count_unsure(self) -> None:
        """Count the opt-outs that are uncertain even after the end, and were not undone."""
        left = sum(
            not opt_out.sure and opt_out.gone is not True
            for opt_outs in self.oracle.opt_outs.values()
            for opt_out in opt_outs
        )
        self.comparison.excused[Excuse.NEVER_SURE] += left
        self.comparison.excused[Excuse.HIDDEN] += sum(
            tool.profile.capabilities.off_means_opt_out
            and not tool.has_on(opt_out.form.text, opt_out.scope)
            for opt_out, tool in self.awaited
            if opt_out.scope != BOUNCED
        )

    def _recorded(self) -> dict[int, datetime]:
        """Which of what is awaited is in the ledger, by its place, and when it was recorded."""
        if not self.awaited:
            return {}
        columns = zip(
            *(
                (
                    services().keys.exact_digest(address(opt_out.form)),
                    opt_out.scope,
                    tool.name,
                    opt_out.first,
                )
                for opt_out, tool in self.awaited
            ),
            strict=True,
        )
        given = [list(column) for column in columns]
        return dict(run_autocommit(lambda c: c.execute(_RECORDED, given).fetchall()))

    def disconnect(self) -> None:
        """End the session of its own: the database goes away."""
        if self._side_connection is not None:
            self._side_connection.close()

    def nudged(self, destination: int) -> None:
        """A quick worker that is nudged must find what it is nudged for."""
        if self._side_connection is None or self._side_connection.closed:
            self._side_connection = psycopg.connect(self.url, autocommit=True)
        rows = self._side_connection.execute(
            """SELECT FROM sync_state WHERE destination_id = %s
            AND (next_at IS NOT NULL OR lease IS NOT NULL) LIMIT 1""",
            (destination,),
        ).fetchall()
        if not rows:
            raise Violation("a worker is nudged before there is anything to find")


def _describe(opt_out: OptOut, tool: Tool) -> str:
    how = "reported" if tool.reports_events else "shows"
    form, scope = opt_out.form.text, opt_out.scope
    return f"{tool.name} {how} an opt-out of {form} about {scope}, not recorded"
