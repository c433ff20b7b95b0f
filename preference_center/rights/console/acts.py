"""List what may be done next to a request, and show each act as a page with one button.

The page says what the act will do, has its fields, and says why the act could not be done, in the
language of the page. The likeliest act comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_date, lazy_gettext, to_utc
from flask_babel import gettext as _
from flask_babel.speaklater import LazyString

from preference_center.catalogue.words import in_words as channel_words
from preference_center.core import errors
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.staff import Permission
from preference_center.infra.context import services
from preference_center.rights.requests.steps import load_request
from preference_center.rights.rules.decisions import (
    Decision,
    OwnDecision,
    ProposalChanged,
    SecondPersonRequired,
    needs_second_person,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind
from preference_center.rights.words import in_words
from preference_center.web.console.frame import redirect_after_post, render_page


@dataclass(frozen=True, slots=True)
class Action:
    """A link to the page of an act, and what it does."""

    url: str
    label: str
    hint: str
    permission: Permission = Permission.HANDLE_REQUESTS


def next_actions(asked: RightsRequest, extendable_to: datetime | None) -> list[Action]:
    """What the state of the request allows. `extendable_to` as the law has it, None for no."""
    if asked.state.closed:
        return []
    return [
        *_identity(asked),
        *_corrections(asked),
        *_fulfilment(asked),
        *_others(asked, extendable_to),
    ]


FULFIL: Mapping[RequestKind, tuple[LazyString, LazyString]] = {
    RequestKind.ACCESS: (
        lazy_gettext("Mark as answered"),
        lazy_gettext(
            "A worker builds the file and completes the request by itself, within minutes. Only"
            " where you have answered in another way."
        ),
    ),
    RequestKind.CORRECT: (
        lazy_gettext("Mark as corrected"),
        lazy_gettext("Where you have corrected it elsewhere, as in your own systems."),
    ),
    RequestKind.ERASE: (
        lazy_gettext("Propose to erase"),
        lazy_gettext("Here and in every tool. Another person has to agree."),
    ),
    RequestKind.RESTRICT: (
        lazy_gettext("Restrict"),
        lazy_gettext("No marketing until the person ends it; service mail goes on."),
    ),
    RequestKind.UNRESTRICT: (
        lazy_gettext("End the restriction"),
        lazy_gettext("What they opted in to counts again."),
    ),
    RequestKind.CLOSE: (
        lazy_gettext("Close the account"),
        lazy_gettext("No mail any more, but what must be sent after closing."),
    ),
    RequestKind.REOPEN: (
        lazy_gettext("Reopen the account"),
        lazy_gettext("Service mail goes on; marketing stays off."),
    ),
    RequestKind.OBJECT: (
        lazy_gettext("Mark as answered"),
        lazy_gettext("The objection counts already; this ends the request."),
    ),
    RequestKind.DONT_SELL_OR_SHARE: (
        lazy_gettext("Mark as answered"),
        lazy_gettext("It counts already; this ends the request."),
    ),
    RequestKind.COMPLAINT: (
        lazy_gettext("Mark as answered"),
        lazy_gettext("After you have written to the person."),
    ),
    RequestKind.MINOR: (
        lazy_gettext("The report is right: propose to erase"),
        lazy_gettext("Closes the account and erases it. Another person has to agree."),
    ),
}
"""What fulfilling a request of this kind does, as a button, and what that brings about."""


def _identity(asked: RightsRequest) -> Iterator[Action]:
    if asked.state.rules.waits_for_proof:
        yield Action(
            _url("identify_request", asked),
            lazy_gettext("Ask for proof, or confirm identity"),
            lazy_gettext("Or record that a check failed; the third one refuses the request."),
        )
    if asked.confirm_by and not asked.confirmed_at:
        yield Action(
            _url("confirm_request_receipt", asked),
            lazy_gettext("Receipt was confirmed"),
            lazy_gettext("The person was informed of the reference, by letter or by phone."),
        )


def _corrections(asked: RightsRequest) -> Iterator[Action]:
    if asked.kind is not RequestKind.CORRECT or not asked.is_open:
        return
    yield Action(
        _url("move_address", asked),
        lazy_gettext("Move to another address"),
        lazy_gettext("Opt-outs and consents follow; it can be undone for 7 days."),
        Permission.DECIDE_REQUESTS,
    )
    yield Action(
        _url("retract_request_consent", asked),
        lazy_gettext("Retract a consent"),
        lazy_gettext("One that the person never gave, by its reference."),
        Permission.DECIDE_REQUESTS,
    )


def _fulfilment(asked: RightsRequest) -> Iterator[Action]:
    if not asked.is_open:
        return
    by_two = needs_second_person(asked.kind, Decision.FULFIL)
    yield Action(
        _url("propose_fulfilment" if by_two else "fulfil_request", asked),
        *FULFIL[asked.kind],
        Permission.HANDLE_REQUESTS if by_two else Permission.DECIDE_REQUESTS,
    )


def _others(asked: RightsRequest, extendable_to: datetime | None) -> Iterator[Action]:
    if extendable_to and not asked.extended_to:
        day = format_date(extendable_to, "d MMM y")
        yield Action(
            _url("extend_request", asked),
            lazy_gettext("Extend"),
            lazy_gettext("Until %(day)s, once; the person is informed why.", day=day),
            Permission.DECIDE_REQUESTS,
        )
    is_report = asked.kind is RequestKind.MINOR
    yield Action(
        _url("propose_refusal", asked),
        lazy_gettext("The report is wrong: propose to dismiss it")
        if is_report
        else lazy_gettext("Propose to refuse"),
        lazy_gettext("The holder of the address is informed. Another person has to agree.")
        if is_report
        else lazy_gettext(
            "The person is informed, and how to complain. Another person has to agree."
        ),
    )
    if asked.via.rules.by_agent:
        yield Action(
            _url("add_request_proof", asked),
            lazy_gettext("Add a file"),
            lazy_gettext("A power of attorney or another proof that came by letter or mail."),
        )
    if not is_report:
        yield Action(
            _url("withdraw_request", asked),
            lazy_gettext("Withdraw"),
            lazy_gettext("The person no longer asks for it."),
        )


def _url(endpoint: str, asked: RightsRequest) -> str:
    return url_for(f"console.{endpoint}", request_id=asked.id)


def problem_words(error: errors.InvalidInput) -> str:
    """What to fix. Of what is rare the error's own words, which are English."""
    match error:
        case OwnDecision():
            text = _("You proposed or placed this yourself: another person has to decide.")
        case SecondPersonRequired():
            text = _("Two people decide this: one proposes it, then another one decides.")
        case ProposalChanged():
            text = _("Something else is proposed now: read it below, then decide.")
        case errors.ForbiddenTransition():
            text = _("This can’t be done now: the request is closed, or identity is not proven.")
        case errors.UnderHold():
            text = _("A legal hold keeps this person from being erased.")
        case errors.InvalidAddress():
            text = _("This is no address that can be used: check it.")
        case errors.AddressConflict():
            text = _("The new address is another person’s: merge the two first.")
        case errors.NamesAddress():
            text = _("The case is a number or a name of yours, and never an address.")
        case errors.UnknownEvent():
            text = _("No event of this person has this reference.")
        case _:
            text = str(error)
    return str(text)


E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. With `options`, pairs of value and label, a choice: of one, or of `several`.

    To `ask` is to preselect none of them. Without them `type` is that of the input, or `textarea`.
    """

    name: str
    label: str
    options: Sequence[tuple[str, str]] = ()
    several: bool = False
    ask: bool = False
    type: str = "text"
    hint: str = ""
    value: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True)
class ActPage:
    """What the page says before the button, and how it looks; `danger` if nothing undoes it."""

    title: str
    says: Sequence[str]
    button: str
    fields: Sequence[Field] = ()
    danger: bool = False


def act_on_request(
    request_id: UUID,
    page: ActPage | Callable[[RightsRequest], ActPage],
    act: Callable[[RightsRequest], object],
) -> ResponseReturnValue:
    """Show the page of an act (GET), or do it (POST) and go to the request."""
    asked = load_or_404(request_id)

    def press() -> str:
        act(asked)
        return url_of(asked)

    build = page if isinstance(page, ActPage) else partial(page, asked)
    return handle_act(build, press, url_of(asked), asked=asked)


def handle_act(
    page: ActPage | Callable[[], ActPage],
    press: Callable[[], str],
    back: str,
    *,
    is_pressed: bool | None = None,
    asked: RightsRequest | None = None,
) -> ResponseReturnValue:
    """Show a page (GET), or `press` its button (POST) and go to the URL which that returns.

    What is not possible is explained on the page, with what was entered. `back` is where its second
    link leads; `is_pressed` is said of a page that is shown by POST.
    """
    problem = ""
    if request.method == "POST" if is_pressed is None else is_pressed:
        try:
            return redirect_after_post(press())
        except errors.InvalidInput as error:
            problem = problem_words(error)
    return render_page(
        "rights/console/act",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        page=page if isinstance(page, ActPage) else page(),
        asked=asked,
        back=back,
        problem=problem,
        entered=request.form,
    )


def load_or_404(request_id: UUID) -> RightsRequest:
    """The request of a page, which answers 404 if there is none."""
    try:
        return load_request(request_id)
    except errors.UnknownRequest:
        abort(HTTPStatus.NOT_FOUND)


def url_of(asked: RightsRequest) -> str:
    """The page of a request."""
    return url_for("console.show_request", request_id=asked.id)


def options(choices: Iterable[E], words: Callable[[E], str] = in_words) -> list[tuple[str, str]]:
    """The choices of a field, with their words."""
    return [(choice.value, words(choice)) for choice in choices]


def address_fields(channel: str, address: str) -> tuple[Field, Field]:
    """The two fields, with these labels, that `read_address` reads."""
    return Field("channel", channel, options(Channel, channel_words)), Field("address", address)


def read_address() -> Address:
    """The address that was typed. Raises InvalidInput."""
    region = services().settings.phone_region
    typed, channel = request.form.get("address", ""), read_choice(Channel, "channel")
    return parse_address(typed, channel, region=region)


def read_line(name: str) -> str:
    """What was typed in a field, without spaces around it."""
    return request.form.get(name, "").strip()


def read_choice(choices: type[E], name: str, among: Iterable[E] | None = None) -> E:
    """What was chosen in a field of the form. Raises InvalidInput."""
    typed = request.form.get(name, "")
    for choice in choices if among is None else among:
        if choice.value == typed:
            return choice
    raise errors.InvalidInput(_("Choose one of the list: %(field)s.", field=name))


def read_time(name: str) -> datetime | None:
    """The time of a `datetime-local` field in the time zone of the pages; None if it is empty.

    Raises InvalidInput.
    """
    typed = read_line(name)
    if not typed:
        return None
    try:
        utc: datetime = to_utc(datetime.fromisoformat(typed).replace(tzinfo=None))
    except (ValueError, OverflowError):  # the latter: the first day that there is
        raise errors.InvalidInput(_("Write the time as 2026-11-24T09:30.")) from None
    return utc.replace(tzinfo=UTC)
