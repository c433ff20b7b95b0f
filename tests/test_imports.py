"""The order of the subjects, their surfaces and rules: read from the imports and the SQL.

docs/architecture.md draws the order. What a test reports says which import is wrong and what to
do instead.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "preference_center"

SUBJECTS = (
    "core",
    "integrations",
    "infra",
    "catalogue",
    "ledger",
    "web",
    "decisions",
    "destinations",
    "contacts",
    "lists",
    "cookies",
    "rights",
    "inbound",
    "senders",
    "recipients",
    "monitoring",
    "reports",
    "app",
)
"""From the bottom up: a subject imports those before it. `app` is what lies on top."""
RANK = {subject: rank for rank, subject in enumerate(SUBJECTS)}
SURFACES = frozenset({"pages", "api", "console", "cli"})
"""The names of the modules and folders through which people and programs reach a subject."""

# What rules must not know: time and chance are arguments, and there is no I/O.
IMPURE = {"flask", "flask_sqlalchemy", "sqlalchemy", "psycopg", "redis", "rq", "httpx", "structlog"}
IMPURE |= {"flask_babel", "os", "random", "secrets", "socket", "subprocess", "time"}

Import = tuple[Path, str]


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache  # several rules look at the same modules
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The dotted name of everything that a module imports, anywhere in it."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from preference_center import web` imports a module too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def subject_of(name: str) -> str:
    """The subject of a module of preference_center, or of a name in it."""
    unit = name.split(".")[1] if "." in name else "app"
    return "app" if unit in {"__main__", "__version__"} else unit


def surface_of(name: str) -> str | None:
    """The surface of a subject that a module, or a name in it, belongs to: "rights.pages"."""
    _, subject, *rest = name.split(".")
    found = [part for part in rest if part in SURFACES]
    return f"{subject}.{found[0]}" if found else None


def fault(module: str, name: str) -> str | None:
    """What is wrong with an import of `name` in `module`, and what to do; None if it is right."""
    if not name.startswith("preference_center."):
        return None
    subject, target = subject_of(module), subject_of(name)
    if subject not in RANK or target not in RANK:
        return None  # not moved yet
    own_surface, surface = surface_of(module), surface_of(name)
    if RANK[target] > RANK[subject] and not (own_surface and target == "web"):
        return f"{target} comes after {subject}: move the name down, or declare a hook in {subject}"
    if target == subject and surface and not own_surface and subject not in {"app", "web"}:
        return f"{surface} is a surface: move what is needed out of it"
    if target != subject and surface and target != "web" and subject != "app":
        return f"{surface} is another subject's surface: move what is needed out of it"
    return None


def report(found: Iterator[tuple[Path, str]]) -> str:
    return "\n".join(f"{path.relative_to(ROOT)}: {text}" for path, text in found)


def offenders(found: Iterator[Import]) -> list[str]:
    return [f"{path.relative_to(ROOT)} imports {name}" for path, name in found]


def test_every_subject_has_its_place_in_the_order() -> None:
    found = {subject_of(name_of(path)) for path in modules("preference_center")}
    assert "core" in found


def test_imports_run_downward_and_past_surfaces() -> None:
    faults = report(
        (path, f"{name}: {text}")
        for path in modules("preference_center")
        for name in imports(path)
        if (text := fault(name_of(path), name))
    )
    assert not faults, faults


@pytest.mark.parametrize(
    "module, name",
    [
        ("preference_center.core.events", "preference_center.ledger.record"),
        ("preference_center.ledger.recording", "preference_center.web.errors.render"),
        ("preference_center.rights.holds", "preference_center.rights.api.requests"),
        ("preference_center.reports.console.build", "preference_center.rights.console.queue"),
        ("preference_center.infra.job_queue", "preference_center.app.create_app"),
    ],
)
def test_the_rule_catches(module: str, name: str) -> None:
    assert fault(module, name)


@pytest.mark.parametrize(
    "module, name",
    [
        ("preference_center.ledger.feed.api", "preference_center.web.api.endpoint"),
        ("preference_center.rights.pages.ask", "preference_center.rights.requests.handle.steps"),
        ("preference_center.rights.pages.ask", "preference_center.rights.pages.visitor"),
        ("preference_center.app", "preference_center.rights.console"),
        ("preference_center.core.addresses", "idna"),
    ],
)
def test_the_rule_lets_pass(module: str, name: str) -> None:
    assert not fault(module, name)


def test_integrations_know_core_only() -> None:
    banned = IMPURE - {"httpx", "structlog", "os", "random", "secrets", "socket", "time"}
    assert not offenders(
        (path, name)
        for path in modules("preference_center/integrations")
        for name in imports(path)
        if name.split(".")[0] in banned | {"dev", "tests", "bench", "workers"}
    )


def test_workers_use_no_surface_and_nothing_of_development() -> None:
    assert not offenders(
        (path, name)
        for path in modules("workers")
        for name in imports(path)
        if name.split(".")[0] in {"dev", "tests", "bench"}
        or (name.startswith("preference_center.") and is_surface_of_a_subject(name))
    )


def is_surface_of_a_subject(name: str) -> bool:
    """Whether it is a surface; `web` is the base of all, and purges what it stores."""
    return surface_of(name) is not None and subject_of(name) != "web"


def test_what_a_wheel_has_of_dev_uses_nothing_that_only_a_checkout_has() -> None:
    of_checkout = {"tests", "bench", "chaos", "fuzz", "simulation"}
    tools = ROOT / "dev/maintenance"
    shipped = [path for path in modules("dev") if not path.is_relative_to(tools)]
    assert ROOT / "dev/run.py" in shipped
    assert not offenders(
        (path, name)
        for path in shipped
        for name in imports(path)
        if name.split(".")[0] in of_checkout
    )
    # an import, or a program to start
    assert not [path for path in shipped if "dev.maintenance" in path.read_text()]


@pytest.mark.parametrize(
    "library, only",
    [
        ("itsdangerous", {"preference_center/core/links"}),
    ],
)
def test_a_library_has_one_home(library: str, only: set[str]) -> None:
    def at_home(path: Path) -> bool:
        return any(path.is_relative_to(ROOT / home) for home in only)

    assert not offenders(
        (path, name)
        for path in modules("preference_center", "workers")
        for name in imports(path)
        if name.split(".")[0] == library and not at_home(path)
    )
