"""/console/requests/tasks: what a person has to erase in a tool, and how far erasures are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.core.errors import InvalidInput
from preference_center.infra.db.transactions import run_autocommit
from preference_center.rights import words
from preference_center.rights.console.act_pages import options, read_choice
from preference_center.rights.console.problems import problem_words
from preference_center.rights.erasure import hand_tasks
from preference_center.rights.erasure.erasure_list import (
    DoneByHand,
    ErasureTask,
    HandTask,
    list_erasures,
)
from preference_center.web.console.frame import (
    current_actor,
    current_staff,
    redirect_after_post,
    render_page,
)

_MAX_ERASURES = 100
_MAX_TASKS = 200
"""Tasks on the page, the longest waiting first."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as the page shows it; `address` only where somebody asked to see it."""

    task: ErasureTask
    give_up_at: datetime
    is_readable: bool
    address: str = field(repr=False)


def erasure_tasks() -> ResponseReturnValue:
    """The tasks that wait for a person, by tool, and the erasures that are under way."""
    return _render()


def show_task_addresses() -> ResponseReturnValue:
    """The tasks with the addresses of one tool (POST): that somebody saw them is recorded."""
    return _render(shown=request.form.get("tool", ""))


def finish_task(erasure_id: UUID) -> ResponseReturnValue:
    """Record that the person was erased in a tool, and how."""
    try:
        hand_tasks.end_hand_task(
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
    actor = current_actor()
    found = hand_tasks.list_hand_tasks(actor, with_addresses=False, limit=_MAX_TASKS)
    seen = (
        hand_tasks.list_hand_tasks(actor, with_addresses=True, destination=shown, limit=_MAX_TASKS)
        if shown
        else []
    )
    addresses = {each.task.erasure_id: each.address or "" for each in seen}
    erasures = run_autocommit(lambda c: list_erasures(c, _MAX_ERASURES, only_open=True))
    return render_page(
        "rights/console/tasks",
        status=422 if problem else 200,
        tools=_by_tool(found, shown, addresses),
        shown=shown,
        erasures=erasures,
        ways=options(DoneByHand, words.by_hand_words),
        problem=problem,
        words=words,
    )


def _by_tool(
    tasks: list[HandTask], shown: str, addresses: dict[UUID, str]
) -> list[tuple[str, list[TaskRow]]]:
    """The tasks of each tool, the one that has waited longest first."""
    ordered = sorted(tasks, key=lambda each: each.task.destination)
    return [
        (tool, [_row(each, addresses if tool == shown else {}) for each in group])
        for tool, group in groupby(ordered, key=lambda each: each.task.destination)
    ]


def _row(each: HandTask, addresses: dict[UUID, str]) -> TaskRow:
    address = addresses.get(each.task.erasure_id, "")
    return TaskRow(each.task, each.give_up_at, each.address is not None, address)
