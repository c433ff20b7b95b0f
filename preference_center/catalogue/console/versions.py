"""The versions of the catalogue, and what is different between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import store as catalogues
from preference_center.catalogue.console.reading import catalogue_page
from preference_center.catalogue.rules.brand_files import fold_files
from preference_center.catalogue.rules.diff import diff_catalogues
from preference_center.catalogue.rules.model import Catalogue
from preference_center.catalogue.rules.text_diff import DiffLine, diff_texts
from preference_center.core.errors import CatalogueError
from preference_center.infra.db.transactions import run_autocommit

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
