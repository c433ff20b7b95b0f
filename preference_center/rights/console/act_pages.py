"""The page of one act: what it will do, its fields, and one button that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import to_utc

from preference_center.core.errors import InvalidInput, UnknownRequest
from preference_center.rights.console.problems import problem_words
from preference_center.rights.requests.request_steps import load_request
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import redirect_after_post, render_page

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. With `options`, pairs of value and label, a choice: of one, or of `several`.

    Without them `type` is that of the input, or `textarea`.
    """

    name: str
    label: str
    options: Sequence[tuple[str, str]] = ()
    several: bool = False
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
    build: Callable[[RightsRequest], ActPage],
    act: Callable[[RightsRequest], object],
) -> ResponseReturnValue:
    """Show the page of an act (GET), or do it (POST) and go to the request.

    What is not possible is explained on the page, with what was entered.
    """
    asked, problem = load_or_404(request_id), ""
    if request.method == "POST":
        try:
            act(asked)
        except InvalidInput as error:
            problem = problem_words(error)
        else:
            return redirect_after_post(url_of(asked))
    page = build(asked)
    return render_act(page, url_of(asked), problem, asked)


def render_act(
    page: ActPage, back: str, problem: str = "", asked: RightsRequest | None = None
) -> ResponseReturnValue:
    """The page of an act; `back` is where its second link leads."""
    return render_page(
        "rights/console/act",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        page=page,
        asked=asked,
        back=back,
        problem=problem,
        entered=request.form,
    )


def load_or_404(request_id: UUID) -> RightsRequest:
    """The request of a page, which answers 404 if there is none."""
    try:
        return load_request(request_id)
    except UnknownRequest:
        abort(HTTPStatus.NOT_FOUND)


def url_of(asked: RightsRequest) -> str:
    """The page of a request."""
    return url_for("console.show_request", request_id=asked.id)


def options(choices: Iterable[E], words: Callable[[E], str]) -> list[tuple[str, str]]:
    """The choices of a field, with their words."""
    return [(choice.value, words(choice)) for choice in choices]


def read_choice(choices: type[E], name: str, among: Iterable[E] | None = None) -> E:
    """What was chosen in a field of the form. Raises InvalidInput."""
    typed = request.form.get(name, "")
    for choice in choices if among is None else among:
        if choice.value == typed:
            return choice
    raise InvalidInput(_("Choose one of the list: %(field)s.", field=name))


def read_time(name: str) -> datetime | None:
    """The time of a `datetime-local` field in the time zone of the pages; None if it is empty.

    Raises InvalidInput.
    """
    typed = request.form.get(name, "").strip()
    if not typed:
        return None
    try:
        utc: datetime = to_utc(datetime.fromisoformat(typed).replace(tzinfo=None))
    except (ValueError, OverflowError):  # the latter: the first day that there is
        raise InvalidInput(_("Write the time as 2026-11-24T09:30.")) from None
    return utc.replace(tzinfo=UTC)
