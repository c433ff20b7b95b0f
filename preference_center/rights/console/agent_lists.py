"""/console/requests/list: the list of an agent who asks for many people."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from io import TextIOWrapper

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.core.errors import InvalidInput
from preference_center.infra.context import services
from preference_center.rights import words
from preference_center.rights.console.problems import problem_words
from preference_center.rights.requests.agent_list import (
    COLUMNS,
    AgentRow,
    read_agent_list,
    record_row,
)
from preference_center.rights.rules.new_request import Agent
from preference_center.web.console.frame import current_actor, render_page
from preference_center.web.languages import LANGUAGES

MAX_ROWS = 500
"""Rows that one upload records: it is one HTTP request. A longer list is uploaded in parts."""


def agent_list() -> ResponseReturnValue:
    """The form (GET); what a list would record, or has recorded (POST), with lines it can't use."""
    rows: list[AgentRow] | None = None
    problem, applies = "", "apply" in request.form
    if request.method == "POST":
        try:
            rows = _read()
        except InvalidInput as error:
            problem = problem_words(error)
    if rows is not None and applies:
        rows = [record_row(row, current_actor()) for row in rows]
    kinds = Counter(row.request.kind for row in rows or () if row.request)
    return render_page(
        "rights/console/agent_list",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        rows=rows,
        refused=[row for row in rows or () if row.request is None],
        counts=[(words.kind_words(kind), count) for kind, count in kinds.most_common()],
        is_recorded=applies,
        problem=problem,
        entered=request.form,
        languages_of_answers=list(LANGUAGES.items()),
        columns=COLUMNS,
        max_rows=MAX_ROWS,
    )


def _read() -> list[AgentRow]:
    """The rows of the upload. Raises InvalidInput, also for one that is no text."""
    name = request.form.get("agent_name", "").strip()
    agent = Agent(name, request.form.get("agent_address", "").strip())
    agent.check()
    uploaded, language = request.files.get("list"), request.form.get("answers", "")
    if uploaded is None or not uploaded.filename:
        raise InvalidInput(_("Choose a file."))
    if language not in LANGUAGES:
        raise InvalidInput(_("Choose the language of the answers."))
    region = services().settings.phone_region
    rows: list[AgentRow] = []
    try:
        with TextIOWrapper(uploaded.stream, encoding="utf-8-sig", newline="") as lines:
            for row in read_agent_list(lines, agent, language, region):
                if len(rows) == MAX_ROWS:
                    raise InvalidInput(_("The list has more than %(most)s rows.", most=MAX_ROWS))
                rows.append(row)
    except UnicodeDecodeError:
        raise InvalidInput(_("The list is not in UTF-8: save it as CSV in UTF-8.")) from None
    return rows
