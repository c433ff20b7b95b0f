"""The documentation, as far as a program can check it."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, filterfalse
from pathlib import Path

import click
import pytest
from flask import Flask
from pydantic_core import PydanticUndefined
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import MapAdapter

from preference_center.app.web import create_app
from preference_center.infra.commands import COMMANDS, LazyCommand
from preference_center.infra.config import Settings
from preference_center.integrations.registry import list_specs, load_integrations
from tests.docs.reading import ROOT, anchors, code, pages, prose, rows
from tests.environment import settings_for
from workers.web import DEFAULTS

SETTINGS = ROOT / "docs/settings.md"
DEPENDENCIES = ROOT / "docs/decisions/0001-dependencies.md"

RULES = ROOT / "docs/rules.md"
CITING = ("preference_center", "workers", "dev", "tests", "bench", "simulation")

_CITED = re.compile(r"\bRULES ([A-G]\d+(?:(?:, | and |-)[A-G]\d+)*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FLASK = re.compile(r"(?:^|[\s(&;])(?<!from )flask ([a-z][^|#;&]*)")
_MAKE = re.compile(r"(?:^|[\s(&;])(?<!flask snapshot )make ([a-z][a-z-]*)")
_MODULE = re.compile(r"\bpython -m ([a-z][\w.]*)")
_ROUTE = re.compile(r"(?:^|[\s\w$])(/(?:v1/[a-z-]+(?:\.json)?|healthz|readyz|livez))\b")


@pytest.fixture(scope="module")
def service() -> Flask:
    """The service with every command; nothing is connected to."""
    return create_app(settings_for("postgresql://nobody@localhost/none", "redis://localhost"))


def test_relative_links_lead_somewhere() -> None:
    assert [*_problems(_broken_links)] == []


def _problems(find: Callable[[Path], Iterable[str]]) -> Iterator[str]:
    """What `find` reports of each page, with the page's name."""
    for page in pages():
        yield from (f"{page.relative_to(ROOT)}: {problem}" for problem in find(page))


def _broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link} leads nowhere"
        elif not target.is_relative_to(ROOT):
            yield f"{link} leaves the repository"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


def test_commands_and_their_options_exist(service: Flask) -> None:
    assert [*_problems(partial(_unknown_commands, service.cli))] == []


def _unknown_commands(root: click.Command, page: Path) -> Iterator[str]:
    for line in code(page):
        for words in _FLASK.findall(line):
            yield from unknown_words(root, words)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [*_problems(lambda page: _found(_MAKE, page) - targets)] == []


def test_modules_to_run_exist() -> None:
    assert [*_problems(lambda page: filterfalse(_is_module, _found(_MODULE, page)))] == []


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def test_routes_exist(service: Flask) -> None:
    urls = service.url_map.bind("localhost")

    def unanswered(page: Path) -> Iterator[str]:
        for path in _found(_ROUTE, page):
            if not any(_is_route(urls, each) for each in (path, f"{path}/ID")):
                yield f"nothing answers at {path}"

    assert [*_problems(unanswered)] == []


def _found(pattern: re.Pattern[str], page: Path) -> set[str]:
    """What the pattern finds in the code of a page."""
    return {found for line in code(page) for found in pattern.findall(line)}


def _is_route(urls: MapAdapter, path: str) -> bool:
    try:
        urls.match(path, method="GET")
    except MethodNotAllowed:
        return True
    except NotFound:
        return False
    return True


def test_all_commands_are_in_the_list_for_operators() -> None:
    found = rows(ROOT / "docs/operations.md", "| command | subcommands | what for |")
    listed = {name: set(re.findall(r"`([a-z-]+)`", cells[0])) for name, cells in found.items()}
    expected = {f"flask {name}": subcommands(command.load()) for name, command in COMMANDS.items()}
    expected["flask db"] = {"upgrade", "grants"}  # the others are for development
    assert listed == expected


def subcommands(command: click.Command) -> set[str]:
    return set(command.commands) if isinstance(command, click.Group) else set()


def test_every_setting_is_in_the_table_and_nothing_else() -> None:
    expected = {
        name.upper(): [
            "required" if field.default is PydanticUndefined else str(field.default or "none"),
            _without_markup(field.description or ""),
        ]
        for name, field in Settings.model_fields.items()
    }
    found = rows(SETTINGS, "| setting | default | what it is |")
    plain = {name: [_without_markup(cell) for cell in cells] for name, cells in found.items()}
    assert plain == expected


def _without_markup(cell: str) -> str:
    """The words of a cell, without code marks and a link to read on at its end."""
    return re.sub(r"(?:\.? \[[^\]]+\]\([^)]+\))?$", "", cell).replace("`", "")


def test_every_other_variable_is_in_the_second_table() -> None:
    expected = dict(DEFAULTS)
    sources = [*(ROOT / "preference_center").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    named = {
        name
        for source in sources
        if "integrations" not in source.parts  # constants of vendors look like variables
        for name in re.findall(r'^\w+ = "([A-Z]+(?:_[A-Z]+)+)"$', source.read_text(), re.MULTILINE)
    }
    assert "CONNECTORS_ALLOW_PRIVATE" in named
    expected |= dict.fromkeys(named, "unset")

    found: dict[str, str] = {}
    for names, (defaults, _) in rows(SETTINGS, "| variable | default | what it is |").items():
        found |= dict(zip(names.split(", "), defaults.split(", "), strict=True))
    assert found == expected


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = rows(DEPENDENCIES, "| needed to run | for |")
    development = rows(DEPENDENCIES, "| needed to develop | for |")
    assert names(project["project"]["dependencies"]) == split(runtime)
    groups = chain.from_iterable(project["dependency-groups"].values())
    assert names(groups) == split(development)


def test_the_readme_labels_each_connector_as_the_registry_does() -> None:
    found = rows(ROOT / "README.md", "| connector | `--kind` | tested against | which, when |")
    assert found == {
        each.title: [f"`{spec.kind}`", spec.tested_against.value, spec.tested_versions]
        for each, spec in zip(load_integrations().values(), list_specs(), strict=True)
        if not spec.capabilities.webhook_only
    }
    assert all(which for _, _, which in found.values())


def test_every_rule_that_is_cited_is_written_down() -> None:
    files = [
        *(path for folder in CITING for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / "templates").rglob("*.html"),
        *pages(),
    ]
    cited = {
        rule
        for file in files
        for words in _CITED.findall(file.read_text(encoding="utf-8"))
        for rule in re.findall(r"[A-G]\d+", words)
    }
    assert cited - set(re.findall(r"^\| ([A-G]\d+) \|", RULES.read_text(), re.MULTILINE)) == set()
    assert "A12" in cited


def test_no_page_names_a_folder_of_somebodys_machine() -> None:
    folder = re.compile(r"/(?:work|home|root|Users)/")
    assert [*_problems(lambda page: folder.findall(page.read_text()))] == []


def unknown_words(root: click.Command, words: str) -> Iterator[str]:
    """What of `words` is no command below `root`, or no option of its command."""
    lexer = shlex.shlex(words, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command = root
    for word in lexer:
        if isinstance(command, click.Group) and not word.startswith("-"):
            if word not in command.commands:
                yield f"flask {words}: there is no {word}"
                return
            command = command.commands[word]
            command = command.load() if isinstance(command, LazyCommand) else command
        elif word.startswith("--") and word.partition("=")[0] not in set(options(command)):
            yield f"flask {words}: no option {word}"


def options(command: click.Command) -> Iterator[str]:
    yield "--help"
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


def split(table: dict[str, list[str]]) -> set[str]:
    return {name for cell in table for name in cell.split(", ")}
