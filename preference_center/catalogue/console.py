"""The console shows the catalogue in force, compares its versions, edits it and applies it.

The editor checks a text, shows what it changes, and applies exactly that. `recipients.console`
shows the previews of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.apply import CatalogueReview, apply_catalogue, review_catalogue
from preference_center.catalogue.rules.brand import fold_files, inline_files
from preference_center.catalogue.rules.diff import DiffLine, diff_catalogues, diff_texts
from preference_center.catalogue.rules.model import PRIVACY, Catalogue
from preference_center.catalogue.rules.parser import catalogue_digest
from preference_center.catalogue.rules.reader import LocalizedText
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.catalogue.words import in_words
from preference_center.core.addresses import Channel
from preference_center.core.errors import CatalogueConflict, CatalogueError
from preference_center.core.events import SHARING
from preference_center.core.staff import Permission
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_autocommit, run_in_transaction
from preference_center.web.console.frame import (
    Route,
    current_actor,
    redirect_after_post,
    render_page,
)
from preference_center.web.languages import known_texts, page_language


def catalogue_page(template: str, **values: Any) -> ResponseReturnValue:
    """A page of this area: with the words for values, and the texts in the reader's language."""
    catalogue: Catalogue = values.pop("catalogue", None) or current_catalogue_or_empty()
    language = page_language()

    def localized(texts: LocalizedText) -> str:
        return catalogue.localize(texts, language)

    return render_page(
        template,
        catalogue=catalogue,
        in_words=in_words,
        localized=localized,
        **values,
    )


def catalogue_overview() -> ResponseReturnValue:
    """The brands, and which version is in force."""
    newest = run_autocommit(lambda connection: catalogues.list_versions(connection, 1))
    return catalogue_page("catalogue/overview", newest=newest[0] if newest else None)


def catalogue_topics() -> ResponseReturnValue:
    """The topics per brand and channel, retired ones last."""
    catalogue = current_catalogue_or_empty()
    groups = [
        (brand, channel, found)
        for brand in catalogue.brands.values()
        for channel in Channel
        if (
            found := sorted(
                (
                    topic
                    for topic in catalogue.topics.values()
                    if topic.brand == brand.key and topic.channel is channel
                ),
                key=lambda topic: topic.retired,
            )
        )
    ]
    return catalogue_page("catalogue/topics", catalogue=catalogue, topic_groups=groups)


def catalogue_message_types() -> ResponseReturnValue:
    """The message types: of which class, about which topic or on which ground."""
    return catalogue_page("catalogue/message_types")


def catalogue_websites() -> ResponseReturnValue:
    """The websites that ask about cookies."""
    return catalogue_page("catalogue/websites")


def catalogue_privacy() -> ResponseReturnValue:
    """The controller, policy versions, rights, retention and recipients."""
    catalogue = current_catalogue_or_empty()
    return catalogue_page(
        "catalogue/privacy",
        catalogue=catalogue,
        in_force=catalogue.policy_in_force(services().now()),
        policy=PRIVACY,
        sharing=SHARING,
    )


VERSIONS_PER_PAGE = 50


MAX_DIFF_LINES = 2_000
"""Lines of a difference that a page shows."""


@dataclass(frozen=True, slots=True)
class TextDiff:
    """The difference of two texts: runs of lines, and whether more was left out."""

    runs: list[list[DiffLine]]
    is_cut: bool


def catalogue_versions() -> ResponseReturnValue:
    """The versions that were applied, the newest first."""
    before = request.args.get("before", type=_version_number)
    found = run_autocommit(
        lambda connection: catalogues.list_versions(connection, VERSIONS_PER_PAGE + 1, before)
    )
    shown = found[:VERSIONS_PER_PAGE]
    older = ""
    if len(found) > len(shown):
        older = url_for("console.catalogue_versions", before=shown[-1].number)
    return catalogue_page("catalogue/versions", versions=shown, older=older)


def catalogue_version(number: int) -> ResponseReturnValue:
    """The file of one version, by lines."""
    text, _files = fold_files(_text_of(number))
    return catalogue_page("catalogue/version", version=number, lines=text.splitlines())


def compare_catalogues() -> ResponseReturnValue:
    """What is different between two versions: in words, and line by line."""
    newest = run_autocommit(
        lambda connection: catalogues.list_versions(connection, VERSIONS_PER_PAGE)
    )
    numbers = [version.number for version in newest]
    new = request.args.get("new", numbers[0] if numbers else 0, type=int)
    old = request.args.get("old", max((n for n in numbers if n < new), default=new), type=int)
    if not numbers:
        return catalogue_page("catalogue/compare", catalogue=catalogues.EMPTY_CATALOGUE)
    before, after = _text_of(old), _text_of(new)
    return catalogue_page(
        "catalogue/compare",
        versions=newest,
        old=old,
        new=new,
        changes=_changes_in_words(before, after),
        text_diff=shown_diff(before, after),
    )


def shown_diff(before: str, after: str) -> TextDiff:
    """The difference of two catalogues' texts; brands' files stand in it by name."""
    runs: list[list[DiffLine]] = []
    count = 0
    found = diff_texts(fold_files(before)[0], fold_files(after)[0])
    for run in found:
        if count >= MAX_DIFF_LINES:
            return TextDiff(runs, is_cut=True)
        runs.append(run[: MAX_DIFF_LINES - count])
        count += len(run)
    return TextDiff(runs, is_cut=count > MAX_DIFF_LINES)


def _version_number(text: str) -> int:
    """A number that a version can have; raises ValueError for another."""
    number = int(text)
    if number not in range(1 << 31):
        raise ValueError(number)
    return number


def _changes_in_words(before: str, after: str) -> list[str]:
    old, new = _parse(before), _parse(after)
    if old is None or new is None:
        return [_("A version is not valid by today’s rules, so only its text is compared.")]
    return diff_catalogues(old, new).format_lines()


def _parse(text: str) -> Catalogue | None:
    try:
        return catalogues.parse_stored(text)
    except CatalogueError:
        return None


def _text_of(number: int) -> str:
    text = run_autocommit(lambda connection: catalogues.load_version_text(connection, number))
    if text is None:
        abort(HTTPStatus.NOT_FOUND)
    return text


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


_VIEW = Permission.VIEW_CATALOGUE


ROUTES = (
    Route("/catalogue", catalogue_overview, _VIEW),
    Route("/catalogue/topics", catalogue_topics, _VIEW),
    Route("/catalogue/message-types", catalogue_message_types, _VIEW),
    Route("/catalogue/websites", catalogue_websites, _VIEW),
    Route("/catalogue/privacy", catalogue_privacy, _VIEW),
    Route("/catalogue/versions", catalogue_versions, _VIEW),
    Route("/catalogue/versions/<int:number>", catalogue_version, _VIEW),
    Route("/catalogue/compare", compare_catalogues, _VIEW),
    Route("/catalogue/edit", edit_catalogue, Permission.APPLY_CATALOGUE, ("GET", "POST")),
)
