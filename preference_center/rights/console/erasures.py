"""Show legal holds, what a person has to erase in a tool, and how far erasures are.

/console/requests/holds: what must be kept for a claim or by law, and is not erased meanwhile.

/console/requests/tasks: what a person has to erase in a tool, and how far erasures are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights import words
from preference_center.rights.console import progress
from preference_center.rights.console.acts import (
    ActPage,
    Field,
    address_fields,
    handle_act,
    options,
    problem_words,
    read_address,
    read_choice,
    read_line,
    read_time,
)
from preference_center.rights.erasure import tasks
from preference_center.rights.erasure.tasks import DoneByHand, ErasureTask, HandTask, list_erasures
from preference_center.rights.holds import Hold, end_hold, list_holds, place_hold
from preference_center.web.console.frame import (
    current_actor,
    current_staff,
    redirect_after_post,
    render_page,
)

_MAX_HOLDS = 500


class Case(NamedTuple):
    """The holds that were placed together, one for each address."""

    first: Hold
    addresses: int
    is_in_force: bool


def hold_list() -> ResponseReturnValue:
    """The newest cases, and whether they last."""
    holds = run_autocommit(lambda connection: list_holds(connection, _MAX_HOLDS))
    return render_page(
        "rights/console/holds", cases=list(_cases(holds)), actor=current_actor(), progress=progress
    )


def place_case() -> ResponseReturnValue:
    """Hold an address and the others of its contact: the form (GET), and the hold (POST)."""
    page = ActPage(
        _("Place a hold"),
        [
            _("While it lasts, neither erasure nor retention touches this address and the others of"
              " its contact. Opt-outs count as always. It counts at once; another person ends it.")
        ],
        _("Place the hold"),
        (
            *address_fields(_("Channel"), _("Address")),
            Field("reference", _("Case"), hint=_("As you name it, and nothing personal")),
            Field("ground", _("Ground"), hint=_("The person reads it, e.g. claims")),
            Field(
                "until",
                _("Until"),
                type="datetime-local",
                hint=_("Empty: until somebody ends it"),
                required=False,
            ),
        ),
    )  # fmt: skip
    return handle_act(page, _place, url_for("console.hold_list"))


def _place() -> str:
    reference, ground = read_line("reference"), read_line("ground")
    if not reference or not ground:
        raise InvalidInput(_("State the case and the ground."))
    place_hold(read_address(), reference, ground, current_actor(), read_time("until"))
    return url_for("console.hold_list")


def end_case() -> ResponseReturnValue:
    """End the holds of a case: a page that says so first, then the end (POST)."""
    reference, holds = request.form.get("reference", ""), url_for("console.hold_list")

    def end() -> str:
        end_hold(reference, current_actor())
        return holds

    page = ActPage(
        _("End a hold"),
        [
            _("Case %(case)s: erasure and retention of its people go on.", case=reference),
            _("Who placed the hold can’t end it."),
        ],
        _("End the hold"),
        (
            Field("reference", "", type="hidden", value=reference),
            Field("confirmed", "", type="hidden", value="yes"),
        ),
        danger=True,
    )
    return handle_act(page, end, holds, is_pressed="confirmed" in request.form)


def _cases(holds: Iterable[Hold]) -> Iterable[Case]:
    now = services().now()
    for _key, group in groupby(holds, key=lambda hold: (hold.reference, hold.placed_at)):
        placed = list(group)
        yield Case(placed[0], len(placed), any(hold.is_in_force(now) for hold in placed))


_MAX_ERASURES = 100


_MAX_TASKS = 200
"""Tasks on the page, the longest waiting first."""


class TaskRow(NamedTuple):
    """A task as the page shows it; `address` only where somebody asked to see it."""

    task: ErasureTask
    give_up_at: datetime
    is_readable: bool
    address: str


def erasure_tasks() -> ResponseReturnValue:
    """The tasks that wait for a person, by tool, and the erasures that are under way."""
    return _render()


def show_task_addresses() -> ResponseReturnValue:
    """The tasks with the addresses of one tool (POST): that somebody saw them is recorded."""
    return _render(shown=request.form.get("tool", ""))


def finish_task(erasure_id: UUID) -> ResponseReturnValue:
    """Record that the person was erased in a tool, and how."""
    try:
        tasks.end_hand_task(
            erasure_id,
            request.form.get("tool", ""),
            current_staff().name,
            current_actor(),
            read_choice(DoneByHand, "how"),
        )
    except InvalidInput as error:
        return _render(problem=problem_words(error))
    return redirect_after_post(url_for("console.erasure_tasks"))


def _render(shown: str = "", problem: str = "") -> ResponseReturnValue:
    load = partial(tasks.list_hand_tasks, current_actor(), limit=_MAX_TASKS)
    found = load(with_addresses=False)
    seen = load(with_addresses=True, destination=shown) if shown else []
    addresses = {each.task.erasure_id: each.address or "" for each in seen}
    erasures = run_autocommit(lambda c: list_erasures(c, _MAX_ERASURES, only_open=True))
    return render_page(
        "rights/console/tasks",
        status=422 if problem else 200,
        tools=_by_tool(found, shown, addresses),
        shown=shown,
        erasures=erasures,
        ways=options(DoneByHand),
        problem=problem,
        words=words,
    )


def _by_tool(
    tasks: list[HandTask], shown: str, addresses: dict[UUID, str]
) -> list[tuple[str, list[TaskRow]]]:
    """The tasks of each tool, the one that has waited longest first."""

    def row(each: HandTask) -> TaskRow:
        address = addresses.get(each.task.erasure_id, "") if each.task.destination == shown else ""
        return TaskRow(each.task, each.give_up_at, each.address is not None, address)

    ordered = sorted(tasks, key=lambda each: each.task.destination)
    groups = groupby(ordered, key=lambda each: each.task.destination)
    return [(tool, [*map(row, group)]) for tool, group in groups]
