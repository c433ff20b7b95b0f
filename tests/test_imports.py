"""The order of the subjects, their surfaces and rules: read from the imports and the SQL.

docs/architecture.md draws the order. What a test reports says which import is wrong and what to
do instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Table

from dev.maintenance.layout import (
    PRODUCT,
    RANK,
    ROOT,
    SUBJECTS,
    fault,
    find_cycles,
    imports,
    modules,
    name_of,
    parse,
    subject_of,
    surface_of,
)
from preference_center.app.tables import MODELS
from preference_center.infra.context import db

PACKAGE = ROOT / "preference_center"

LATER_TABLES = {
    "infra/audit": {"person_access"},  # an access is one row of both, in one statement
    "ledger/forms": {"deferred_form"},
    "ledger/sql": {"deferred_form", "destination", "sync_state"},  # raised with the event (I2)
    "ledger/store/addresses": {"erasure", "erasure_task"},
    "destinations/store/erasure_tasks": {"erasure", "erasure_task"},
    "destinations/store/webhooks": {"review_queue"},
    "contacts/notices/store": {"address_move"},
}
"""Modules whose SQL names tables of later subjects. Those of `infra/keys` may name any."""

# What rules must not know: time and chance are arguments, and there is no I/O.
IMPURE = {"flask", "flask_sqlalchemy", "sqlalchemy", "psycopg", "redis", "rq", "httpx", "structlog"}
IMPURE |= {"flask_babel", "os", "random", "secrets", "socket", "subprocess", "time"}
CLOCK_CALLS = {"now", "utcnow", "today"}

CORE = "preference_center.core."
INTEGRATION_BASE = "preference_center.integrations.base"

Import = tuple[Path, str]


def report(found: Iterator[tuple[Path, str]]) -> str:
    return "\n".join(f"{path.relative_to(ROOT)}: {text}" for path, text in found)


def offenders(found: Iterator[Import]) -> list[str]:
    return [f"{path.relative_to(ROOT)} imports {name}" for path, name in found]


def test_every_subject_has_its_place_in_the_order() -> None:
    found = {subject_of(name_of(path)) for path in modules("preference_center")}
    assert found == set(SUBJECTS), "list it in dev/maintenance/layout.py and docs/architecture.md"


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
        ("preference_center.infra.job_queue", "preference_center.app.web.create_app"),
    ],
)
def test_the_rule_catches(module: str, name: str) -> None:
    assert fault(module, name)


@pytest.mark.parametrize(
    "module, name",
    [
        ("preference_center.ledger.feed.api", "preference_center.web.api.endpoint"),
        ("preference_center.rights.pages.ask", "preference_center.rights.requests.steps"),
        ("preference_center.rights.pages.ask", "preference_center.rights.pages.visitor"),
        ("preference_center.app.web", "preference_center.rights.console"),
        ("preference_center.core.addresses", "idna"),
    ],
)
def test_the_rule_lets_pass(module: str, name: str) -> None:
    assert not fault(module, name)


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles = [" < ".join(cycle) for cycle in find_cycles()]
    assert not circles, "move what both need to a module of its own"


def hidden_modules(package: Path) -> set[str]:
    """Modules of a package whose names the package gives to something of another module.

    Importing such a module changes what the name stands for.
    """
    own = {path.stem for path in package.parent.glob("*.py")}
    own |= {path.parent.name for path in package.parent.glob("*/__init__.py")}
    given: set[str] = set()
    for node in parse(package).body:
        if isinstance(node, ast.ImportFrom) and not f"{node.module}.".startswith(
            f"{name_of(package)}."
        ):
            given |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.Assign):
            given |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return own & given


def test_no_package_gives_the_name_of_its_module_to_something_else() -> None:
    faults = report(
        (path, f"{', '.join(hidden)}: import it by another name")
        for path in modules("preference_center")
        if path.name == "__init__.py" and (hidden := hidden_modules(path))
    )
    assert not faults, faults


def pure_modules() -> list[Path]:
    """Those of `core`, and those named `rules` or in a folder of that name.

    Keys and links are left out: they draw nonces and, at a sender, read the clock.
    """
    return [
        path
        for path in modules("preference_center")
        if (path.is_relative_to(PACKAGE / "core") or "rules" in name_of(path).split("."))
        and not path.is_relative_to(PACKAGE / "core/links")
        and path not in {PACKAGE / "core/keys.py", PACKAGE / "core/key_rings.py"}
    ]


def test_rules_are_pure() -> None:
    pure = pure_modules()
    assert not offenders(
        (path, name) for path in pure for name in imports(path) if name.split(".")[0] in IMPURE
    )
    calls = [
        f"{path.relative_to(ROOT)} calls {node.func.attr}(): make the time an argument"
        for path in pure
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
    ]
    assert not calls


def test_rules_import_rules_and_values_only() -> None:
    # the catalogue's own package re-exports its rules; vendors' contract is made of values
    values = {f"{INTEGRATION_BASE}.{each}" for each in ("contract", "presets", "vendor_events")}
    known = {name_of(path) for path in pure_modules()} | values | {"preference_center.catalogue"}

    def is_pure(name: str) -> bool:
        return name in known or name.rpartition(".")[0] in known or name.startswith(CORE)

    assert not offenders(
        (path, name)
        for path in pure_modules()
        for name in imports(path)
        if name.startswith("preference_center.") and not is_pure(name)
    )


def test_integrations_know_core_only() -> None:
    own = ("preference_center.integrations.", CORE)
    banned = IMPURE - {"httpx", "structlog", "os", "random", "secrets", "socket", "time"}
    assert not offenders(
        (path, name)
        for path in modules("preference_center/integrations")
        for name in imports(path)
        if name.split(".")[0] in banned | {"dev", "tests", "bench", "workers"}
        or (name.startswith("preference_center") and not name.startswith(own))
    )


def table_subjects() -> dict[str, str]:
    """The subject whose module maps each table."""
    mapped = {
        value.__tablename__: subject_of(module.__name__)
        for module in MODELS
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and hasattr(value, "__tablename__")
    }
    return mapped | {
        value.name: subject_of(module.__name__)
        for module in MODELS
        for value in vars(module).values()
        if isinstance(value, Table)
    }


_NAMED = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|ONLY|USING)\s+([a-z_]+)")


def tables_named(path: Path) -> set[str]:
    """What the SQL in a module reads or writes."""
    return {
        name
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for name in _NAMED.findall(node.value)
    }


def test_sql_names_tables_of_later_subjects_where_the_list_says_so() -> None:
    owner = table_subjects()
    assert set(owner) == set(db.metadata.tables)
    found: dict[str, set[str]] = {}
    for path in modules("preference_center"):
        rank = RANK[subject_of(name_of(path))]
        later = {name for name in tables_named(path) if name in owner and RANK[owner[name]] > rank}
        module = str(path.relative_to(PACKAGE).with_suffix(""))
        if later and not module.startswith("infra/keys/"):
            found[module] = later
    assert found == LATER_TABLES, "ask by a hook, or list it with its reason in LATER_TABLES"


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
        ("rq", {"preference_center/infra/job_queue.py", "workers"}),
    ],
)
def test_a_library_has_one_home(library: str, only: set[str]) -> None:
    def at_home(path: Path) -> bool:
        return any(path.is_relative_to(ROOT / home) for home in only)

    assert not offenders(
        (path, name)
        for path in modules(*PRODUCT)
        for name in imports(path)
        if name.split(".")[0] == library and not at_home(path)
    )
