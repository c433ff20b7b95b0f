"""Say what staff read of people: the choices of forms, and what the codes on a page mean.

All of it is in the language of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue
from preference_center.contacts.rules.statements import StatementKind
from preference_center.core.events import (
    ALL_MARKETING,
    DESTINATION_PREFIX,
    DESTINATION_SOURCE,
    EVERYTHING,
    MOVE_SOURCE,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Event,
    EventKind,
)
from preference_center.core.staff import AccessReason
from preference_center.decisions.rules import POLICY_CHANGED, Decision, DecisionRule
from preference_center.destinations.rules.delivery import Blocker, DeliveryState, DeliveryStatus
from preference_center.ledger.rules import ReceivedVia
from preference_center.web.languages import format_short_time, once_per_language, page_language


def tool_titles(catalogue: Catalogue) -> Callable[[str], str]:
    """What staff read for a destination: its title, or its name where it has none."""

    def title_of(name: str) -> str:
        recipient = catalogue.recipients.get(name)
        return catalogue.localize(recipient.title, page_language()) if recipient else name

    return title_of


@once_per_language
def access_reasons() -> Mapping[AccessReason, str]:
    """Why somebody looks a person up, or a system does, in the order of the list."""
    return {
        AccessReason.CALLED: _("They called"),
        AccessReason.WROTE: _("They wrote"),
        AccessReason.IN_PERSON: _("They are here in person"),
        AccessReason.DATA_REQUEST: _("For a data-subject request"),
        AccessReason.COMPLAINT: _("For a complaint"),
        AccessReason.INVESTIGATION: _("To find out what went wrong"),
        AccessReason.AUTHORITY: _("An authority or a court asked"),
        AccessReason.OWN_ADDRESS: _("It is my own address"),
        AccessReason.KEY_QUERY: _("A system asked by its API key"),
    }


@once_per_language
def received_via() -> Mapping[ReceivedVia, str]:
    """How something reached the company, as staff choose it."""
    return {
        ReceivedVia.PHONE: _("by phone"),
        ReceivedVia.POSTAL_MAIL: _("by letter"),
        ReceivedVia.CERTIFIED_MAIL: _("by certified email (PEC)"),
        ReceivedVia.IN_PERSON: _("in person"),
        ReceivedVia.REPLY: _("by email"),
        ReceivedVia.CHAT: _("in a chat"),
    }


@once_per_language
def statement_kinds() -> Mapping[StatementKind, str]:
    """What staff record of what a person said."""
    return {
        StatementKind.OPT_OUT: _("Opt-out: the person wants it no more"),
        StatementKind.OPT_IN: _("Opt-in: the person asks for it"),
        StatementKind.PAUSE: _("Pause: the person wants a break"),
        StatementKind.FREQUENCY: _("Frequency: the person wants it more or less often"),
    }


_TITLE_OF = Callable[[str], str]


def scope_title(scope: str, catalogue: Catalogue) -> str:
    """What it covers: a topic with its brand, or by its key once the catalogue has it no longer."""
    if reserved := _reserved_scopes().get(scope):
        return reserved
    topic = catalogue.topics.get(scope)
    if topic is None:
        return scope
    language = page_language()
    brand = catalogue.localize(catalogue.brands[topic.brand].name, language)
    return f"{catalogue.localize(topic.title, language)} ({brand})"


@once_per_language
def _reserved_scopes() -> Mapping[str, str]:
    return {
        ALL_MARKETING: _("all marketing"),
        EVERYTHING: _("everything"),
        UNDELIVERABLE: _("all marketing, since messages bounce"),
        RESTRICTION: _("all marketing, while the use of the data is limited"),
        SHARING: _("sale and sharing of data"),
    }


def event_title(event: Event, catalogue: Catalogue) -> str:
    """What happened."""
    return _event_titles()[event.kind] % {
        "what": scope_title(event.scope, catalogue),
        "end": time(event.until) if event.until else "",
        "often": _frequency(event, catalogue),
    }


@once_per_language
def _event_titles() -> Mapping[EventKind, str]:
    return {
        EventKind.OPTED_OUT: _("Opted out: %(what)s"),
        EventKind.OPTED_IN: _("Opted in: %(what)s"),
        EventKind.CONSENTED: _("Consent recorded by others: %(what)s"),
        EventKind.PAUSED: _("Paused until %(end)s: %(what)s"),
        EventKind.FREQUENCY_CHOSEN: _("Chose how often: %(what)s, %(often)s"),
        EventKind.BOUNCED: _("A message bounced"),
        EventKind.COMPLAINED: _("Complained about a message: %(what)s"),
        EventKind.DEACTIVATED: _("Account closed"),
        EventKind.ERASED: _("Data erased"),
        EventKind.REOPENED: _("Account reopened"),
        EventKind.RESTRICTED: _("Use of the data limited"),
        EventKind.UNRESTRICTED: _("Limit of the use ended"),
        EventKind.MOVED: _("Address replaced by another"),
        EventKind.RETRACTED: _("Earlier entries retracted: %(what)s"),
    }


def event_origin(event: Event, title_of: _TITLE_OF) -> str:
    """How an event reached the company, and who entered it: `by phone, entered by ada`."""
    if event.source == MOVE_SOURCE:
        return str(_("copied from the address that this one replaced"))
    if event.source == DESTINATION_SOURCE:
        return str(_("reported by %(tool)s", tool=title_of(event.actor)))
    how = event.evidence.get("via") or event.evidence.get("method") or event.source
    said = _entry_points().get(how, how)
    kind, _colon, name = event.actor.partition(":")
    match kind:
        case "console" | "cli" if name:
            return str(_("%(how)s, entered by %(name)s", how=said, name=name))
        case "key":
            return str(_("%(how)s, sent by the system %(name)s", how=said, name=name))
        case _:
            return said


def source_title(source: str, title_of: _TITLE_OF) -> str:
    """How events reached the company, as reports count them."""
    if source.startswith(DESTINATION_PREFIX):
        tool = title_of(source.removeprefix(DESTINATION_PREFIX))
        return str(_("reported by %(tool)s", tool=tool))
    if source == MOVE_SOURCE:
        return str(_("copied from the address that this one replaced"))
    return str(_entry_points().get(source, source))


@once_per_language
def _entry_points() -> Mapping[str, str]:
    return {
        **{via.value: text for via, text in received_via().items()},
        ReceivedVia.FORM: _("with a form of ours"),
        ReceivedVia.APP: _("in our app"),
        "one_click": _("with the unsubscribe button of the email app"),
        "mailto": _("by an email to the unsubscribe address"),
        "unsubscribe_page": _("on the unsubscribe page"),
        "preference_page": _("on the preference page"),
        "confirmed_by_mail": _("by a confirmation link"),
        "global_privacy_control": _("by the browser’s Global Privacy Control"),
        "sms": _("by a text message"),
        "feedback_report": _("with the spam button of the email app"),
        "delivery_report": _("by a delivery report"),
        "import": _("from an imported list"),
        "senders": _("by the API"),
        "rights": _("by a data-subject request"),
        "cli": _("with a command"),
        "console": _("in this console"),
    }


def evidence_name(name: str) -> str:
    """What a value of the evidence is; its own name where it has no other."""
    return _evidence_names().get(name, name)


@once_per_language
def _evidence_names() -> Mapping[str, str]:
    return {
        "wording": _("What was said"),
        "language": _("Language"),
        "source": _("Where"),
        "note": _("Note"),
        "policy": _("Privacy policy"),
        "text_version": _("Version of the text"),
        "message_id": _("Message id"),
        "issued_at": _("Link made"),
        "key_id": _("Link key"),
        "destination": _("Destination"),
        "import": _("Import"),
    }


def rule(found: Decision) -> str:
    """Why, without when and how."""
    return _rules()[found.rule]


def decision(found: Decision, event: Event | None, title_of: _TITLE_OF) -> str:
    """Why, with when and how: the rule and the event that decided."""
    why = rule(found)
    if found.rule is DecisionRule.NO_CONSENT and found.advisory == POLICY_CHANGED:
        why = str(_("asked for it before the privacy policy changed, and not again since"))
    if found.since is None:
        return why
    since = _("%(rule)s, since %(time)s", rule=why, time=time(found.since))
    if event is None:
        return str(_("%(what)s, by another form of the same mailbox", what=since))
    return f"{since}, {event_origin(event, title_of)}"


@once_per_language
def _rules() -> Mapping[DecisionRule, str]:
    return {
        DecisionRule.CLOSED: _("the account is closed"),
        DecisionRule.AFTER_CLOSING: _("may be sent even after closing"),
        DecisionRule.SERVICE: _("service mail"),
        DecisionRule.RESTRICTED: _("the person limits the use of their data"),
        DecisionRule.OPTED_OUT_OF_TOPIC: _("opted out of this topic"),
        DecisionRule.OPTED_OUT_OF_ALL_MARKETING: _("opted out of all marketing"),
        DecisionRule.OPTED_OUT_OF_SHARING: _("opted out of sale and sharing"),
        DecisionRule.COMPLAINED: _("complained about a message"),
        DecisionRule.BOUNCED: _("messages bounce"),
        DecisionRule.PAUSED: _("paused"),
        DecisionRule.NO_CONSENT: _("needs an opt-in, and there is none"),
        DecisionRule.RETIRED_TOPIC: _("no longer sent to anybody"),
        DecisionRule.CONSENTED: _("asked for it"),
        DecisionRule.NOT_OPTED_OUT: _("not opted out"),
        DecisionRule.UNPARSEABLE_ADDRESS: _("the address can’t be read"),
        DecisionRule.UNREADABLE_LINE: _("the line can’t be read"),
        DecisionRule.UNKNOWN_MESSAGE_TYPE: _("not in the catalogue"),
        DecisionRule.WRONG_CHANNEL: _("of another channel"),
    }


def delivery_status(status: DeliveryStatus) -> str:
    """How far a tool is with one event."""
    if status.is_done:
        words = (
            _("confirmed") if status.state is DeliveryState.CONFIRMED else _("address not there")
        )
        return f"{words}, {time(status.confirmed_at)}" if status.confirmed_at else str(words)
    why = blocker(status.blocker) if status.blocker else str(_("pending"))
    if status.due_at is None:
        return why
    if status.late:
        return str(_("%(why)s; late, it was due by %(time)s", why=why, time=time(status.due_at)))
    return str(_("%(why)s; due by %(time)s", why=why, time=time(status.due_at)))


def blocker(found: Blocker) -> str:
    """Why a tool has not confirmed, and will not at once."""
    return _blockers()[found]


@once_per_language
def _blockers() -> Mapping[Blocker, str]:
    return {
        Blocker.REFUSED: _("refused; tried again every day"),
        Blocker.PAUSED: _("waits, since the destination is paused"),
        Blocker.OBSERVED: _("waits, since the destination is being set up"),
        Blocker.UNREACHABLE: _("waits, since the last push there failed; the window says why"),
        Blocker.NO_ACCESS: _("waits, since the tool refuses us access; the window says why"),
        Blocker.PAUSE_UNSUPPORTED: _("a pause can’t be set there"),
        Blocker.ADDRESS_UNREADABLE: _("can’t be pushed: only a digest of the address is left"),
    }


def outcome(code: str) -> str:
    """What a tool answered to a push."""
    return _outcomes().get(code, code)


@once_per_language
def _outcomes() -> Mapping[str, str]:
    return {
        "reflected": _("confirmed"),
        "absent": _("address not there"),
        "later": _("failed for now"),
        "refused": _("refused"),
        "superseded": _("overtaken by a newer entry"),
    }


def _frequency(event: Event, catalogue: Catalogue) -> str:
    key = event.frequency.key if event.frequency else ""
    topic = catalogue.topics.get(event.scope)
    title = topic.frequencies.get(key) if topic else None
    return catalogue.localize(title, page_language()) if title else key


def time(at: datetime) -> str:
    """A time, as tables show it."""
    return format_short_time(at)
