"""Record what a person said: a form, what recording it will do, and the entry in the ledger.

What it will do is shown per topic, now and then, and per tool, with what happens when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import Catalogue, MessageClass, MessageType, Topic
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import words
from preference_center.contacts.console.person import period_of
from preference_center.contacts.rules.statements import (
    SOURCE,
    Statement,
    StatementKind,
    brand_scope,
    build_statement_changes,
    facts_after,
)
from preference_center.contacts.store import find_locale
from preference_center.contacts.words import tool_titles
from preference_center.core.addresses import Address
from preference_center.core.deadlines import WINDOW
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING, SHARING, Change, EventKind, ScopeFact
from preference_center.decisions.rules import Decision, decide
from preference_center.destinations.rules.delivery import (
    BLOCKERS,
    Blocker,
    DestinationSummary,
    concerns,
)
from preference_center.destinations.store.deliveries import list_tools_of_channel
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ReceivedVia,
    RequestOrigin,
    clamp_to_now,
    is_repeated_opt_in,
)
from preference_center.ledger.store.lookup import load_facts
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page
from preference_center.web.console.own_looks import open_look
from preference_center.web.languages import LANGUAGES, match_language, page_language


@dataclass(frozen=True, slots=True)
class TopicEffect:
    """Whether messages of a topic may be sent now, and once it is recorded; why only then."""

    title: str
    is_allowed_now: bool
    is_allowed_then: bool
    why: str


@dataclass(frozen=True, slots=True)
class ToolEffect:
    """What is pushed to a tool, and when."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Effects:
    """What the confirmation shows."""

    topics: Sequence[TopicEffect]
    tools: Sequence[ToolEffect]


def load_effects(
    connection: Connection,
    address: Address,
    catalogue: Catalogue,
    facts: Sequence[ScopeFact],
    changes: Sequence[Change],
) -> Effects:
    """What these changes do to the topics of the address, and in the tools of its channel."""
    now, then = services().now(), facts_after(facts, changes)

    def decide_topic(topic: Topic, known: Sequence[ScopeFact]) -> Decision:
        message_type = MessageType(topic.key, MessageClass.MARKETING, topic.key)
        return decide(message_type, topic, known, now)

    topics = [each for each in catalogue.topics_for_channel(address.channel) if not each.retired]
    keys = {SHARING, *(topic.key for topic in topics)}
    title_of = tool_titles(catalogue)
    return Effects(
        [
            TopicEffect(
                words.scope_title(topic.key, catalogue),
                decide_topic(topic, facts).allow,
                (decision := decide_topic(topic, then)).allow,
                words.rule(decision),
            )
            for topic in topics
            if any(concerns(change.scope, frozenset({topic.key})) for change in changes)
        ],
        [
            ToolEffect(title_of(tool.name), _tool_text(tool, changes, can_lift=can_lift))
            for tool, can_lift in list_tools_of_channel(connection, address.channel, keys)
            if any(
                concerns(each.scope, tool.topics) and each.kind.rules.is_pushed for each in changes
            )
        ],
    )


def _tool_text(tool: DestinationSummary, changes: Sequence[Change], *, can_lift: bool) -> str:
    kind = changes[0].kind
    if kind is EventKind.OPTED_IN and not can_lift:
        return str(_("stays off there: this tool can’t turn it on again"))
    if kind is EventKind.PAUSED and not can_lift:
        return words.blocker(Blocker.PAUSE_UNSUPPORTED)
    blocker = BLOCKERS.get(tool.connection)
    soon = words.blocker(blocker) if blocker else str(_("within seconds, while the tool is up"))
    if not kind.suppresses:
        return soon
    due_at = min(change.received_at for change in changes) + WINDOW
    if due_at <= services().now():
        return str(
            _("%(soon)s; late already, it was due by %(time)s", soon=soon, time=words.time(due_at))
        )
    return str(_("%(soon)s; at the latest by %(time)s", soon=soon, time=words.time(due_at)))


_FIELDS = (
    "id",
    "kind",
    "scope",
    "via",
    "received_at",
    "until",
    "frequency",
    "wording",
    "wording_language",
    "note",
)


class _Problem(Exception):
    """What is wrong with the form; the message is in the language of the page."""


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A form without a problem: its changes, less those that are recorded already."""

    statement: Statement
    changes: Sequence[Change]
    effects: Effects


def record_statement(access_id: UUID) -> ResponseReturnValue:
    """The form (GET), what it would do (POST), and with `confirm` the record of it."""
    look = open_look(access_id)
    if request.method != "POST":
        return _form(access_id, look.address, _defaults(look.address))
    values = {name: request.form.get(name, "").strip() for name in _FIELDS}
    if "edit" in request.form:
        return _form(access_id, look.address, values)
    try:
        parsed = _parse(look.address, values)
    except _Problem as problem:
        return _form(access_id, look.address, values, str(problem))
    if "confirm" not in request.form:
        return _confirmation(access_id, look.address, values, parsed)
    recorded = record(parsed.changes) if parsed.changes else None
    done = "recorded" if recorded and recorded.events else "unchanged"
    return redirect_after_post(url_for("console.person", access_id=access_id, done=done))


def _defaults(address: Address) -> dict[str, str]:
    context = services()
    now = context.now().astimezone(ZoneInfo(context.settings.time_zone))
    return {
        "id": str(context.new_id()),
        "kind": StatementKind.OPT_OUT,
        "scope": ALL_MARKETING,
        "via": ReceivedVia.PHONE,
        "received_at": f"{now:%Y-%m-%dT%H:%M}",
        "wording_language": language_of(address),
    }


def language_of(address: Address) -> str:
    """The language of the contact with this address, if it is known; else that of the page."""
    keys = services().keys
    locale = run_in_transaction(lambda connection: find_locale(connection, keys, address))
    return match_language(locale) or page_language()


def _parse(address: Address, values: Mapping[str, str]) -> _Parsed:
    """The changes that the form asks for, and what they do. Raises _Problem."""
    now, catalogue = services().now(), current_catalogue_or_empty()
    statement = _parse_statement(address, values, now)
    facts = load_facts([address])[0]
    origin = RequestOrigin(SOURCE, current_actor(), now)
    try:
        changes = build_statement_changes(statement, origin, catalogue, facts)
    except InvalidInput as error:
        raise _Problem(_problem_of(statement, values, error)) from None
    new = [change for change in changes if not is_repeated_opt_in(change, facts)]
    effects = run_in_transaction(lambda c: load_effects(c, address, catalogue, facts, changes))
    return _Parsed(statement, new, effects)


def _parse_statement(address: Address, values: Mapping[str, str], now: datetime) -> Statement:
    try:
        statement_id = UUID(values["id"])
        kind, via = StatementKind(values["kind"]), ReceivedVia(values["via"])
    except ValueError:
        raise _Problem(_("Choose what the person said, and how.")) from None
    until = _parse_end(values["until"]) if kind is StatementKind.PAUSE else None
    return Statement(
        statement_id,
        kind,
        address,
        values["scope"],
        via,
        _parse_received_at(values["received_at"], now),
        until,
        values["wording"],
        values["wording_language"],
        values["frequency"] if kind is StatementKind.FREQUENCY else "",
        values["note"],
    )


def _parse_received_at(text: str, now: datetime) -> datetime:
    """A time of TIME_ZONE, not in the future, in UTC."""
    zone = ZoneInfo(services().settings.time_zone)
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=zone)
        return clamp_to_now(at.astimezone(UTC), now)
    except (ValueError, OverflowError):
        raise _Problem(_("Enter when it was received: a day and a time.")) from None
    except InvalidInput:
        raise _Problem(
            _("This time lies in the future, or before the year 2000: enter when it was received.")
        ) from None


def _parse_end(text: str) -> datetime:
    """The end of a pause: the end of that day in TIME_ZONE."""
    try:
        return period_of(date.fromisoformat(text))[1].astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Problem(_("Enter the day on which the pause ends.")) from None


def _problem_of(statement: Statement, values: Mapping[str, str], error: InvalidInput) -> str:
    """What to change, in the language of the page."""
    if not values["wording"] and statement.kind is not StatementKind.OPT_OUT:
        return str(_("Write what the person said or agreed to: it is the evidence."))
    if "@" in values["wording"] + values["note"] or "address" in str(error):
        return str(_("Write no address into what the person said, nor into the note."))
    if statement.kind is StatementKind.PAUSE:
        return str(
            _(
                "This can’t be paused: a pause ends within a year from now, and nothing is paused"
                " of a closed account, of limited data, or of sale and sharing."
            )
        )
    if statement.kind is StatementKind.FREQUENCY:
        return str(_("Choose a topic, and a frequency that it offers."))
    return str(_("This can’t be recorded: choose another topic."))


def _form(
    access_id: UUID, address: Address, values: Mapping[str, str], problem: str = ""
) -> ResponseReturnValue:
    now = services().now().astimezone(ZoneInfo(services().settings.time_zone))
    return render_page(
        "contacts/record",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        access_id=access_id,
        address=address,
        values=values,
        problem=problem,
        kinds=[*words.statement_kinds().items()],
        scopes=_scope_options(address),
        ways=[*words.received_via().items()],
        tongues=[*LANGUAGES.items()],
        frequencies=_frequency_options(address),
        latest=f"{now:%Y-%m-%dT%H:%M}",
        tomorrow=f"{now + timedelta(days=1):%Y-%m-%d}",
    )


def _scope_options(address: Address) -> list[tuple[str, str]]:
    catalogue = current_catalogue_or_empty()
    topics = [each for each in catalogue.topics_for_channel(address.channel) if not each.retired]
    brands = dict.fromkeys(topic.brand for topic in topics)
    options = [(ALL_MARKETING, words.scope_title(ALL_MARKETING, catalogue))]
    for brand in brands:
        name = catalogue.localize(catalogue.brands[brand].name, page_language())
        if len(brands) > 1:
            options.append((brand_scope(brand), str(_("everything of %(brand)s", brand=name))))
        options += [
            (topic.key, words.scope_title(topic.key, catalogue))
            for topic in topics
            if topic.brand == brand
        ]
    return [*options, (SHARING, words.scope_title(SHARING, catalogue))]


def _frequency_options(address: Address) -> list[tuple[str, str]]:
    """Every frequency that some topic offers to such an address."""
    catalogue = current_catalogue_or_empty()
    options = {
        key: catalogue.localize(title, page_language())
        for topic in catalogue.topics_for_channel(address.channel)
        if not topic.retired
        for key, title in topic.frequencies.items()
    }
    return [*options.items()]


def _confirmation(
    access_id: UUID, address: Address, values: Mapping[str, str], parsed: _Parsed
) -> ResponseReturnValue:
    statement = parsed.statement
    scopes, frequencies = dict(_scope_options(address)), dict(_frequency_options(address))
    return render_page(
        "contacts/confirm",
        access_id=access_id,
        address=address,
        values=values,
        statement=statement,
        what=words.statement_kinds()[statement.kind],
        scope=scopes.get(statement.scope, statement.scope),
        way=words.received_via()[statement.via],
        often=frequencies.get(statement.frequency, ""),
        effects=parsed.effects,
        is_new=bool(parsed.changes),
    )
