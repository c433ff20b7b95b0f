"""People text STOP to the numbers that marketing comes from: it is about their number alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.decisions.api import decide_all
from preference_center.destinations.store import destinations
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import ConsentEvidence, build_opt_in_change
from simulation.acts import Act
from simulation.entry_points import EntryPoints, origin
from simulation.oracle import OptOut, Oracle
from simulation.people import ALERTS, ALL, FLASH, Form
from simulation.violation import Violation

MESSAGES = {FLASH: "send.flash", ALERTS: "send.alerts"}
OURS, OF_FLASH = "+15550100", "+15550101"
"""The number that everything comes from, and one that only FLASH does."""
STOPS = ("STOP", "stop.", "Unsubscribe")
_NAME, _TOKEN = "texts", "0123456789abcdef"


@dataclass(slots=True)
class Texts:
    """Acts by their names; each returns its outcome, for the trace. Knows no email address."""

    client: Any
    entry_points: EntryPoints
    oracle: Oracle = field(default_factory=Oracle)
    """Of numbers alone."""
    sent: dict[int, dict[str, str]] = field(default_factory=dict)
    """By person, the last text to us."""
    acted: set[int] = field(default_factory=set)
    """Who has texted us, or asked to be texted."""

    def add_destination(self) -> None:
        """Where texts arrive: a tool that is pushed nothing."""
        context = services()

        def add(connection: Connection) -> None:
            destinations.insert_destination(
                connection,
                context.keys,
                name=_NAME,
                kind="twilio",
                settings={"auth_token": _TOKEN},
                channels=frozenset(),
                mapping={FLASH: OF_FLASH},
                sends=frozenset({FLASH}),
                sends_service=False,
                now=context.now(),
            )

        run_in_transaction(add)

    def text_stop(self, act: Act) -> str:
        """STOP is about what comes from the number that it is texted to, STOPALL about all."""
        self.acted.add(act.who)
        form, scope = number_of(act.who), FLASH if act.scope == FLASH else ALL
        is_whole = scope == ALL and act.number % 2 == 1
        words = "STOPALL" if is_whole else STOPS[act.number % len(STOPS)]
        to = OF_FLASH if scope == FLASH or is_whole else OURS
        fields = {"From": form.text, "To": to, "Body": words}
        self.sent[act.who] = fields | {"MessageSid": f"SM{act.at}-{act.number}-{act.who}"}
        with self._host(act):
            now = services().now()
            is_new = self.oracle.has_none_of_its_own(form, scope, now)
            reply = self._post(self.sent[act.who])
            if is_new is not None and is_new is not ("<Message>" in reply) and scope == ALL:
                raise Violation(f"I7: {words} is answered {reply!r}, new: {is_new}")
            lifts = [opt_in.at for opt_in in self.oracle.opt_ins[form]]
            known = self.entry_points.clock.now
            self.oracle.add_opt_out(
                OptOut(form, scope, now, max([now, *lifts]), now, own=True, known=known)
            )
        return f"{words} to {to}"

    def text_again(self, act: Act) -> str:
        """The vendor delivers their last text once more, which is not said once more."""
        if act.who not in self.sent:
            return "no text"
        with self._host(act):
            self._post(self.sent[act.who])
        return "repeated"

    def text_start(self, act: Act) -> str:
        """START lifts nothing: anybody can forge a number (I5)."""
        fields = {"From": number_of(act.who).text, "To": OURS, "Body": "START"}
        with self._host(act):
            self._post(fields | {"MessageSid": f"SM{act.at}-start-{act.who}"})
        return "START"

    def text_opt_in(self, act: Act) -> str:
        """On a page, they ask to be texted."""
        self.acted.add(act.who)
        form, topic = number_of(act.who), act.scope if act.scope in MESSAGES else FLASH
        with self._host(act):
            now = services().now()
            proof = ConsentEvidence("page", "Yes, text me", "en", now)
            change = build_opt_in_change(
                services().new_id(), as_number(form), topic, proof, origin(), current_catalogue()
            )
            record([change])
            self.oracle.add_opt_in(form, topic, now, self.entry_points.clock.now)
        return topic

    def check(self, people: Iterable[int]) -> None:
        """What may be texted to those of these people who texted us, whatever they did by email."""
        forms = [number_of(person) for person in people if person in self.acted]
        texts, now = [form.text for form in forms], services().now()
        for topic, name in MESSAGES.items():
            decided = decide_all(texts, name, Channel.SMS, current_catalogue(), "IT", now)
            for form, decision in zip(forms, decided.decisions, strict=True):
                may = self.oracle.may_send(form, topic, now)
                if may is not None and may is not decision.allow:
                    result = "allowed" if decision.allow else "denied"
                    raise Violation(f"I2, I5: {name} to {form.text} is {result} ({decision.rule})")

    def _host(self, act: Act) -> Any:
        hosts = self.entry_points.hosts
        return self.entry_points.clock.of_host(hosts[act.number % len(hosts)])

    def _post(self, fields: dict[str, str]) -> str:
        signed = f"{services().links.public_url}/in/{_NAME}"
        signed += "".join(name + value for name, value in sorted(fields.items()))
        digest = hmac.digest(_TOKEN.encode(), signed.encode(), hashlib.sha1)
        answer = self.client.post(
            f"/in/{_NAME}",
            data=urlencode(fields),
            headers={"X-Twilio-Signature": base64.b64encode(digest).decode()},
            content_type="application/x-www-form-urlencoded",
        )
        if answer.status_code != 200:
            raise Violation(f"I1: a text is answered {answer.status_code}")
        text: str = answer.text
        return text


def number_of(person: int) -> Form:
    """The phone number of a person."""
    return Form(person, "number", f"+39333{1_000_000 + person}")


def as_number(form: Form) -> Address:
    """The number as the service reads it."""
    return parse_address(form.text, Channel.SMS)
