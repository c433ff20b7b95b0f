"""Staff add a destination in four steps: its kind, its settings, its topics, and a preview.

Between the steps it is sealed in the form itself. Nothing is stored before it is confirmed, and no
secret is readable in a page. The seal is for one session, so nobody else's form can be sent in.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import Any

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.store import current_catalogue
from preference_center.core.errors import DecryptionError, DestinationError, KeyMismatch
from preference_center.core.events import SHARING
from preference_center.destinations import set_up
from preference_center.destinations.console.destination import BACKFILL_SECONDS, stop_after
from preference_center.destinations.console.settings import (
    missing_settings,
    place_problems,
    read_settings,
    setting_fields,
    split_problems,
)
from preference_center.destinations.store import backfills, destinations
from preference_center.destinations.validate import (
    DestinationRequest,
    build_config,
    check_without_topics,
    name_problems,
)
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import Capabilities, CheckReport
from preference_center.integrations.registry import get_spec, list_kinds, load_integrations
from preference_center.web.console.frame import (
    current_actor,
    current_staff,
    redirect_after_post,
    render_page,
)
from preference_center.web.languages import page_language


@dataclass(frozen=True, slots=True)
class Draft:
    """What was entered so far: topics with a target in `mapping`, those without in `sends`."""

    name: str
    kind: str
    settings: Mapping[str, str] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)
    sends: tuple[str, ...] = ()
    sends_service: bool = False

    def to_request(self) -> DestinationRequest:
        """The destination to be added."""
        return DestinationRequest(
            self.name,
            self.kind,
            self.settings,
            self.mapping,
            frozenset(self.sends),
            self.sends_service,
        )


def seal_draft(draft: Draft) -> str:
    """The draft as the value of a hidden field."""
    sealed = services().keys.seal(json.dumps(asdict(draft)), context=_context())
    return base64.urlsafe_b64encode(sealed).decode()


def open_draft(text: str) -> Draft | None:
    """The draft of a hidden field; None if it is not one of this session."""
    try:
        sealed = base64.urlsafe_b64decode(text.encode())
        values = json.loads(services().keys.open(sealed, context=_context()))
    except (binascii.Error, ValueError, DecryptionError, KeyMismatch):
        return None
    values["sends"] = tuple(values["sends"])
    return Draft(**values)


def _context() -> bytes:
    return b"console.draft:" + current_staff().id.bytes


NAME = "name"
"""How a problem with the name begins."""


def add_kind() -> ResponseReturnValue:
    """The kinds of tools there are."""
    kinds = [(each.kind, each.title) for each in load_integrations().values()]
    return render_page(
        "destinations/add_kind", kinds=sorted(kinds, key=lambda each: each[1].casefold())
    )


def add_settings() -> ResponseReturnValue:
    """The form of a kind's settings; then the tool is asked whether they are right."""
    draft = _draft() or Draft("", request.values.get("kind", ""))
    if draft.kind not in list_kinds():
        abort(HTTPStatus.NOT_FOUND)
    if request.method != "POST" or "back" in request.form:
        return _settings_page(draft)
    held = draft.settings
    draft = replace(
        draft,
        name=request.form.get("name", "").strip(),
        settings={
            name: value
            for name, value in read_settings(draft.kind, request.form, held).items()
            if value
        },
        sends_service="sends_service" in request.form,
    )
    problems = [*_name_problems(draft.name), *_missing(draft, held)]
    if problems:
        return _settings_page(draft, problems)
    try:
        report = _check(draft)
    except DestinationError as error:
        return _settings_page(draft, list(split_problems(error)))
    return _settings_page(draft, report.problems) if not report.ok else _topics_page(draft, report)


def add_topics() -> ResponseReturnValue:
    """The table of topics and targets; then the whole is checked, and shown before it is stored."""
    draft = _opened_draft()
    if "back" in request.form:
        return _topics_page(draft, _check(draft))
    entered = request.form
    targets = {
        key: entered.get(f"target:{key}", "").strip()[:200] for key in current_catalogue().topics
    } | {SHARING: entered.get(f"target:{SHARING}", "").strip()[:200]}
    mapping = {key: target for key, target in targets.items() if target}
    sends = tuple(key for key in targets if f"sends:{key}" in entered and key not in mapping)
    draft = replace(draft, mapping=mapping, sends=sends)
    try:
        channels, report = set_up.check_request(draft.to_request())
    except DestinationError as error:
        return _topics_page(draft, CheckReport(), list(split_problems(error)))
    wanted = draft.to_request().topics
    found = run_in_transaction(
        lambda c: backfills.preview_backfill(
            c, channels, wanted, services().now(), limit=backfills.MAX_PREVIEWED
        )
    )
    return render_page(
        "destinations/add_preview",
        draft=draft,
        sealed=seal_draft(draft),
        report=report,
        topics=[each for each in _topics(draft) if each.key in wanted],
        preview=found,
        webhook_only=get_spec(draft.kind).is_webhook_only(draft.settings),
    )


def add_destination() -> ResponseReturnValue:
    """Store it, in *observe*: nothing is pushed before it is resumed."""
    draft = _opened_draft()
    try:
        set_up.add_destination(
            draft.to_request(), current_actor(), stop=stop_after(BACKFILL_SECONDS)
        )
    except DestinationError as error:
        return _topics_page(draft, CheckReport(), list(split_problems(error)))
    return redirect_after_post(url_for("console.destination", name=draft.name))


def _draft() -> Draft | None:
    return open_draft(request.form["draft"]) if "draft" in request.form else None


def _opened_draft() -> Draft:
    """The draft of the form; ends the request with 400 if it is not one of this session."""
    draft = _draft()
    if draft is None:
        abort(HTTPStatus.BAD_REQUEST)
    return draft


def _missing(draft: Draft, held: Mapping[str, str]) -> Iterator[str]:
    for name, text in missing_settings(draft.kind, draft.settings, held).items():
        yield f"{name}: {text}"


def _name_problems(name: str) -> list[str]:
    problems = name_problems(name)
    if not problems and run_in_transaction(
        lambda c: destinations.find_by_name(c, services().keys, name)
    ):
        problems = [str(_("there is a destination of this name already: choose another"))]
    return [f"{NAME}: {problem}" for problem in problems]


def _check(draft: Draft) -> CheckReport:
    """What the tool says, with the topics so far. Raises DestinationError."""
    config = build_config(
        draft.name, draft.settings, draft.mapping, sends_service=draft.sends_service
    )
    return check_without_topics(draft.kind, config)


def _settings_page(draft: Draft, problems: Sequence[str] = ()) -> ResponseReturnValue:
    own = [each for each in problems if each.startswith(f"{NAME}: ")]
    fields, rest = place_problems(
        setting_fields(draft.kind, draft.settings),
        [each for each in problems if each not in own],
    )
    return render_page(
        "destinations/add_settings",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        draft=draft,
        sealed=seal_draft(draft),
        kind_title=load_integrations()[draft.kind].title,
        spec=get_spec(draft.kind),
        fields=fields,
        name_problem=", ".join(each.removeprefix(f"{NAME}: ") for each in own),
        problems=rest,
        problem=bool(problems),
    )


@dataclass(frozen=True, slots=True)
class TopicChoice:
    """One row of the table of topics and targets."""

    key: str
    title: str
    channel: str
    target: str
    is_sent: bool


def _topics(draft: Draft) -> Iterator[TopicChoice]:
    """The topics that a tool with these settings can send."""
    catalogue = current_catalogue()
    can = get_spec(draft.kind).capabilities_for(draft.settings)
    if can.shares_only:
        yield _choice(draft, SHARING, _("sharing for advertising"), "")
        return
    for key, topic in sorted(catalogue.topics.items()):
        if not topic.retired and (can.webhook_only or topic.channel in can.channels):
            title = catalogue.localize(topic.title, page_language())
            yield _choice(draft, key, title, topic.channel.value)


def _choice(draft: Draft, key: str, title: str, channel: str) -> TopicChoice:
    return TopicChoice(key, title, channel, draft.mapping.get(key, ""), key in draft.sends)


def _topics_page(
    draft: Draft, report: CheckReport, problems: Sequence[str] = (), **values: Any
) -> ResponseReturnValue:
    can: Capabilities = get_spec(draft.kind).capabilities_for(draft.settings)
    return render_page(
        "destinations/add_topics",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK,
        draft=draft,
        sealed=seal_draft(draft),
        report=report,
        topics=list(_topics(draft)),
        needs_mapping=can.needs_mapping,
        can_lift=can.can_lift,
        problems=problems,
        problem=bool(problems),
        **values,
    )
