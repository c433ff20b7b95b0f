"""Editing the catalogue in the browser: check it, see what it changes, apply exactly that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.apply import CatalogueReview, apply_catalogue, review_catalogue
from preference_center.catalogue.console.reading import catalogue_page
from preference_center.catalogue.console.versions import shown_diff
from preference_center.catalogue.rules.brand_files import fold_files, inline_files
from preference_center.catalogue.rules.parser import catalogue_digest
from preference_center.console.access import current_actor
from preference_center.console.rendering import redirect_after_post
from preference_center.core.errors import CatalogueConflict, CatalogueError
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.languages import known_texts

_PROBLEM = re.compile(r"line (\d+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong, and on which line; 0 if with the whole file."""

    line: int
    text: str


def edit_catalogue() -> ResponseReturnValue:
    """The catalogue as a text to edit; a POST checks it, or applies what was checked."""
    current = run_autocommit(catalogues.load_current_text) or ""
    if request.method != "POST":
        return _edit_page(fold_files(current)[0], _base_of(current))
    typed = request.form.get("text", "").replace("\r\n", "\n")
    base = request.form.get("base", "")
    try:
        text = inline_files(typed, _reader(current))
        if request.form.get("checked") == catalogue_digest(text):
            return _apply(text, typed, base)
        review = _review(text)
    except CatalogueError as error:
        return _edit_page(typed, base, problems=[_line_problem(each) for each in error.problems])
    return _review_page(typed, text, base, review, current)


def _review(text: str) -> CatalogueReview:
    return run_in_transaction(lambda c: review_catalogue(c, text, known_texts()))


def _apply(text: str, typed: str, base: str) -> ResponseReturnValue:
    def apply(connection: Connection) -> tuple[CatalogueReview, int | None]:
        return apply_catalogue(connection, text, known_texts(), current_actor(), base=base)

    try:
        review, version = run_in_transaction(apply)
    except CatalogueConflict:
        current = run_autocommit(catalogues.load_current_text) or ""
        review = _review(text)
        return _review_page(typed, text, base, review, current)
    if version is None and not review.is_current:
        current = run_autocommit(catalogues.load_current_text) or ""
        return _review_page(typed, text, base, review, current)
    catalogues.clear_catalogue_cache()
    return redirect_after_post(url_for("console.catalogue_versions", applied=version))


def _review_page(
    typed: str, text: str, base: str, review: CatalogueReview, current: str
) -> ResponseReturnValue:
    """The text with what it changes. Somebody who was overtaken compares with the new version."""
    is_overtaken = review.base != base
    problem = ""
    if review.refused:
        problem = _("This catalogue can’t be applied. Nothing was changed.")
    elif is_overtaken:
        problem = _(
            "Somebody else has applied another version since you began. Below is what yours would"
            " change of it, also what it would take back. Nothing was changed yet."
        )
    return _edit_page(
        typed,
        review.base,
        review=review,
        problem=problem,
        checked="" if review.refused or review.is_current else catalogue_digest(text),
        text_diff=shown_diff(current, text),
    )


def _edit_page(typed: str, base: str, **values: Any) -> ResponseReturnValue:
    is_wrong = bool(values.get("problems") or values.get("problem"))
    return catalogue_page(
        "catalogue/edit",
        status=422 if is_wrong else 200,
        text=typed,
        base=base,
        lines=typed.split("\n"),
        problem_lines=_lines_of(values.get("problems", ()), typed.count("\n") + 1),
        **values,
    )


def _lines_of(problems: Iterable[LineProblem], line_count: int) -> list[int]:
    """The lines that problems name, in order."""
    return sorted({each.line for each in problems if 0 < each.line <= line_count})


def _reader(current: str) -> Callable[[str], bytes]:
    """Reads the files of the version in force, by the paths that they have in the editor."""
    _folded, files = fold_files(current)

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, _("it is not one of the version in force"))
        return files[path]

    return read


def _base_of(current: str) -> str:
    return catalogue_digest(current) if current else ""


def _line_problem(problem: str) -> LineProblem:
    match = _PROBLEM.fullmatch(problem)
    return LineProblem(int(match[1]), match[2]) if match else LineProblem(0, problem)
