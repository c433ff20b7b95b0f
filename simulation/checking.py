"""Holds the service and the tools against the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import cycle

import psycopg

from preference_center.domain.addresses import Channel
from preference_center.domain.decisions import decide
from preference_center.extensions import services
from preference_center.senders.decisions import decide_all
from preference_center.storage import syncs
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.database import run, run_at_once
from preference_center.storage.facts import facts_as_of
from simulation.doors import Violation, address
from simulation.oracle import No, Oracle
from simulation.people import BOUNCED, START, TOPICS, Form, forms_of
from simulation.tools import Tool

WINDOW, AT_RISK = timedelta(hours=72), timedelta(hours=36)
IN_REACH = timedelta(hours=3)
"""How long a tool must have been up before it can be asked of it to have been told."""
FOUND_OUT = timedelta(hours=26)
"""The same where it has to be found out first, at night."""
CLOCK_TRUSTED = timedelta(minutes=15)
"""How much later than a tool's clock says a "no" may count, if it was heard by then."""
MESSAGES = {"acme.news": "send.news", "acme.offers": "send.offers", "acme.club": "send.club"}
MARKETING = {topic: MESSAGES[topic] for topic in TOPICS}
_RECORDED = """
SELECT given.place
FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
    WITH ORDINALITY AS given (digest, scope, actor, first, place)
WHERE EXISTS (
    SELECT FROM event e JOIN address a ON a.id = e.address_id
    WHERE a.digest = given.digest AND e.scope = given.scope AND e.actor = given.actor
        AND e.recorded_at >= given.first AND e.source = 'destination')
"""
SERVICE, AFTER_CLOSING = "invoice", "password_reset"
ASKED = (*MARKETING.items(), ("", SERVICE), ("", AFTER_CLOSING))
"""What is asked of everybody: the topic, "" for none, and the message type."""


@dataclass(slots=True)
class Checks:
    """All checks of one run."""

    oracle: Oracle
    people_of: Mapping[str, Tool]
    known: dict[Form, datetime]
    url: str
    awaited: list[tuple[No, Tool]] = field(default_factory=list)
    forms: dict[str, Form] = field(default_factory=dict)
    _beside: psycopg.Connection | None = None
    _in_turn: Iterator[tuple[str, str]] = field(default_factory=lambda: cycle(ASKED))

    def __post_init__(self) -> None:
        names = {name for tool in self.people_of.values() for name in tool.contacts}
        people = range(20_000)
        for person in people:
            found = forms_of(person)
            self.forms |= {form.text: form for form in found}
            if len(self.forms) > 3 * len(names) + 1000:
                break

    # --- decisions

    def touched(self, forms: Iterable[Form]) -> None:
        """What the next check answers about these forms (I2)."""
        found, now, catalogue = list(forms), services().now(), current_catalogue()
        facts, _ = facts_as_of([address(form) for form in found])
        for form, known in zip(found, facts, strict=True):
            for topic, name in ASKED:
                message = catalogue.message_types[name]
                decision = decide(message, catalogue.topics.get(topic), known, now)
                self._judge(form, topic, name, str(decision.rule), allow=decision.allow)

    def everything(self) -> None:
        """The same of everybody, about one message each time as senders ask; then the tools."""
        now, catalogue = services().now(), current_catalogue()
        forms = [f for person in sorted(self.oracle.noes | {0: []}) for f in forms_of(person)]
        self.touched(forms)
        topic, name = next(self._in_turn)
        texts = [form.text for form in forms]
        decided = decide_all(texts, name, Channel.EMAIL, catalogue, "IT", now)
        for form, decision in zip(forms, decided.decisions, strict=True):
            self._judge(form, topic, name, str(decision.rule), allow=decision.allow)
        self._unknown_means_no(now)
        self.tools()
        self._shouted(now)

    def _judge(self, form: Form, topic: str, name: str, rule: str, *, allow: bool) -> None:
        now = services().now()
        if topic:
            may = self.oracle.may_send(form, topic, now)
        elif name == AFTER_CLOSING:
            may = True
        else:
            closed = self.oracle.closed(form, now)
            may = None if closed is None else not closed
        if may is not None and may is not allow:
            said = "allowed" if allow else "denied"
            rules = "I2, I5, I9" if topic else "I4"
            raise Violation(f"{rules}: {name} to {form.text} is {said} ({rule})")

    def _unknown_means_no(self, now: datetime) -> None:
        catalogue = current_catalogue()
        for text, name in (("nobody", "send.news"), ("a@example.com", "send.unheard")):
            (decision,) = decide_all([text], name, Channel.EMAIL, catalogue, "IT", now).decisions
            if decision.allow:
                raise Violation(f"I11: {name} to {text} is allowed")

    # --- tools

    def tools(self) -> None:
        """No tool mails anybody whom it should have been told of by now (I3, I13)."""
        now = services().now()
        for tool in self.people_of.values():
            for form, topic in self._wrong(tool, now):
                begun, caused = self._begun(tool, form, topic, now)
                good = tool.good_since
                if begun is None or good is None:
                    continue
                slow = caused or form not in self.known or tool.profile.forgets
                patience = FOUND_OUT if slow else IN_REACH
                # Found out, what it only said that it did is due 72 hours later, as any drift.
                lied = tool.forgot.get(form.text, START) + FOUND_OUT
                # Of whom we heard late, it may ask to be told later, too.
                asked = tool.put_off.get(form.text, START) if slow else START
                if now > max(begun, lied, asked) + WINDOW and now > good + patience:
                    raise Violation(
                        f"I3: {tool.name} mails {form.text} about {topic}, since {begun:%d %H:%M}"
                    )

    def disagreements(self) -> list[str]:
        """In which a tool and a person differ, though everybody rests."""
        now, found = services().now(), []
        for tool in self.people_of.values():
            found += [
                f"{tool.name} mails {form.text} about {topic}"
                for form, topic in self._wrong(tool, now)
                if self._begun(tool, form, topic, now)[0] is not None
            ]
            if tool.profile.capabilities.can_lift:
                found += [
                    f"{tool.name} does not mail {text} about {topic}"
                    for text, topics in sorted(tool.off.items())
                    for topic in sorted(topics & tool.topics)
                    if self.forms[text] in self.known
                    and self.oracle.must_be_off(self.forms[text], topic, now) is False
                ]
        return found

    def _wrong(self, tool: Tool, now: datetime) -> list[tuple[Form, str]]:
        pauses = tool.profile.capabilities.can_lift
        return [
            (form, topic)
            for person in sorted(self.oracle.noes)
            for form in forms_of(person)
            if form.text in tool.contacts
            for topic in sorted(tool.topics)
            if tool.has_on(form.text, topic)
            and self.oracle.must_be_off(form, topic, now, pauses=pauses)
        ]

    def _begun(
        self, tool: Tool, form: Form, topic: str, now: datetime
    ) -> tuple[datetime | None, bool]:
        """Since when it should have been told, and whether that is the tool's own doing."""
        pauses = tool.profile.capabilities.can_lift
        since = self.oracle.since(form, topic, now, pauses=pauses)
        known = self.known.get(form)
        if known is None and tool.profile.capabilities.can_scan:
            known = tool.contacts[form.text]  # the tool shows it
        if since is None or known is None:
            return None, False
        own = max(tool.on_since.get((form.text, topic), since), tool.contacts[form.text])
        return max(since, known, own), own > since

    def _shouted(self, now: datetime) -> None:
        """What waits for long is visible long before it is late (I3)."""
        told = {late.destination for late in run(lambda c: syncs.late(c, now))}
        for tool in self.people_of.values():
            for form, topic in self._wrong(tool, now):
                begun, caused = self._begun(tool, form, topic, now)
                risky = begun is not None and now > begun + AT_RISK + timedelta(minutes=5)
                # One that confirms and forgets has to be found out first.
                caused |= form.text in tool.forgot
                if risky and not caused and form in self.known and tool.name not in told:
                    raise Violation(f"I3: {tool.name} is late with {form.text}, and nobody is told")

    # --- news

    def await_news(self, no: No, tool: Tool) -> None:
        """A person said this in a tool: it must be heard of, and then stand (I13)."""
        self.awaited.append((no, tool))

    def learn(self) -> None:
        """See what of it is in the ledger by now."""
        now, recorded = services().now(), self._recorded()
        for index in recorded:
            no, _ = self.awaited[index]
            no.sure, no.last, no.received = True, max(now, no.first + CLOCK_TRUSTED), now
            self.known.setdefault(no.form, now)
        self.awaited = [each for index, each in enumerate(self.awaited) if index not in recorded]

    def unheard(self) -> list[str]:
        """What tools have told of people, asked or not, that is not in the ledger yet (I13)."""
        return [
            f"{tool.name} told a no of {no.form.text}, unheard"
            for no, tool in self.awaited
            if (tool.profile.posts or tool.profile.capabilities.can_pull) and no.scope != BOUNCED
        ]

    def _recorded(self) -> set[int]:
        """Which of what is awaited is in the ledger, by its place."""
        if not self.awaited:
            return set()
        columns = zip(
            *(
                (services().keys.exact(address(no.form)), no.scope, tool.name, no.first)
                for no, tool in self.awaited
            ),
            strict=True,
        )
        given = [list(column) for column in columns]
        rows = run_at_once(lambda c: c.execute(_RECORDED, given).fetchall())
        return {row[0] - 1 for row in rows}

    def nudged(self, destination: int) -> None:
        """A quick worker that is nudged must find what it is nudged for."""
        if self._beside is None or self._beside.closed:
            self._beside = psycopg.connect(self.url, autocommit=True)
        rows = self._beside.execute(
            """SELECT FROM sync_state WHERE destination_id = %s
            AND (next_at IS NOT NULL OR lease IS NOT NULL) LIMIT 1""",
            (destination,),
        ).fetchall()
        if not rows:
            raise Violation("a worker is nudged before there is anything to find")
