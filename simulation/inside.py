"""What people do in the tools themselves, which the service has to learn (I13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask.testing import FlaskClient

from preference_center.integrations.base.vendor_events import VendorEventKind
from simulation.acts import Act
from simulation.checking import Checks
from simulation.ground import Clock
from simulation.oracle import OptOut, Oracle
from simulation.people import ALL, BOUNCED, EVER, TOPICS, Form, forms_of
from simulation.reports import make_event, report
from simulation.tools import Tool


@dataclass(frozen=True, slots=True)
class Inside:
    """Acts by their names. Each returns its outcome, for the trace."""

    clock: Clock
    oracle: Oracle
    checks: Checks
    tools: Mapping[str, Tool]
    client: FlaskClient

    def in_tool(self, act: Act) -> str:
        """A person follows the tool's own link."""
        form = forms_of(act.who)[act.form]
        tool = self._tool_with(form, act.number)
        if tool is None or not (act.scope == ALL or act.scope in tool.topics):
            return "in no tool"
        whole = act.scope == ALL
        topics = tool.topics if whole else frozenset({act.scope})
        if not any(tool.has_on(form.text, topic) for topic in topics):
            return "off there already"
        tool.turn_off(form.text, topics)
        topic = None if whole else act.scope
        event = make_event(tool, VendorEventKind.OPTED_OUT, form.text, topic, act.number)
        report(tool, event, self.client)
        is_reported = tool.profile.posts or tool.profile.capabilities.can_pull
        if whole and is_reported:
            self._unsure(form, ALL, tool)
        for each in sorted(topics):
            # A list of contacts may show it topic by topic, before the tool reports it whole.
            self._unsure(form, each, None if whole and is_reported else tool)
        return tool.name

    def complaint(self, act: Act) -> str:
        """Somebody marks a mail of the tool as spam."""
        return self._reported(act, VendorEventKind.COMPLAINED, ALL)

    def bounce(self, act: Act) -> str:
        """A mail of the tool bounces permanently."""
        return self._reported(act, VendorEventKind.BOUNCED, BOUNCED)

    def _reported(self, act: Act, kind: VendorEventKind, scope: str) -> str:
        form = forms_of(act.who)[act.form]
        tool = next((t for t in self.tools.values() if t.profile.posts), None)
        if tool is None or form.text not in tool.contacts:
            return "in no tool"
        report(tool, make_event(tool, kind, form.text, None, act.number), self.client)
        self._unsure(form, scope, tool)
        return tool.name

    def in_tool_again(self, act: Act) -> str:
        """Somebody subscribes there, which lifts nothing here (I5)."""
        form = forms_of(act.who)[act.form]
        tool = self._tool_with(form, act.number)
        topic = TOPICS[act.number % len(TOPICS)]
        if tool is None or not tool.profile.can_be_watched or topic not in tool.topics:
            return "in no tool"
        tool.turn_on(form.text, frozenset({topic}))
        if tool.profile.posts:
            report(
                tool,
                make_event(tool, VendorEventKind.RESUBSCRIBED, form.text, topic, act.number),
                self.client,
            )
        return tool.name

    def _unsure(self, form: Form, scope: str, tool: Tool | None) -> None:
        """An opt-out that the service knows once the tool reports it."""
        opt_out = self.oracle.add_opt_out(
            OptOut(form, scope, self.clock(), EVER, self.clock(), sure=False)
        )
        if tool is not None:
            self.checks.await_event(opt_out, tool)

    def _tool_with(self, form: Form, number: int) -> Tool | None:
        having = [
            tool
            for tool in self.tools.values()
            if form.text in tool.contacts and (tool.profile.posts or tool.profile.can_be_watched)
        ]
        return having[number % len(having)] if having else None
