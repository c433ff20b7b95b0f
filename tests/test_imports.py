"""Imports run downward only. Read from the source, so that nothing is missed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ENTRY_POINTS = frozenset({"pages", "api", "inbound", "console", "probes"})

# From the bottom up. A unit imports from layers below its own, and from its own layer
# unless that is one of ENTRY_POINTS.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"domain"}),
    frozenset({"integrations"}),
    frozenset({"atomic_files", "config", "database_timeouts", "http_body", "ids", "links"})
    | frozenset({"key_rings", "keys"})
    | frozenset(
        {
            "logs",
            "console_settings",
            "mail_server",
            "mail_settings",
            "mailcheck",
            "metrics",
            "queue",
            "rate_limiter",
            "redis_acl",
            "redis_connection",
        }
    )
    | frozenset({"locations", "processes", "request_ids", "setting_files", "telemetry"}),
    frozenset({"context", "extensions", "hooks", "languages"}),
    frozenset({"storage"}),
    frozenset({"bounces", "contacts", "ledger", "mailer"}),
    frozenset(
        {
            "burst_scan",
            "catalogue_check",
            "catalogue_versions",
            "publishing",
            "consent_records",
            "daily_counts",
            "destinations",
            "imports",
            "key_rotation",
            "scrub",
            "sender_keys",
            "spool",
            "staff",
        }
    ),
    frozenset({"policy_notices", "rights"}),
    frozenset({"ingest", "monitoring", "sync"}),
    ENTRY_POINTS,
    frozenset({"cli", "error_pages"}),  # error pages differ by entry point
    frozenset({"app"}),
    frozenset({"mail_receiver", "main", "serving", "wsgi"}),  # what the Procfile starts
    frozenset({"__main__", "asgi"}),
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}

# What rules must not know: time and chance are arguments, and there is no I/O.
IMPURE = {"flask", "flask_sqlalchemy", "sqlalchemy", "psycopg", "redis", "rq", "httpx", "structlog"}
IMPURE |= {"flask_babel", "os", "random", "secrets", "socket", "subprocess", "time"}
CLOCK_CALLS = {"now", "utcnow", "today"}

Import = tuple[Path, str]


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache  # several rules look at the same modules
def imports(path: Path) -> tuple[str, ...]:
    """The dotted name of everything that a module imports, anywhere in it."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            # `from preference_center import links` imports a module too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit_of(path: Path) -> str:
    """Name the part of `preference_center` that a file belongs to."""
    return path.relative_to(ROOT / "preference_center").with_suffix("").parts[0]


def breaks(unit: str, name: str) -> bool:
    """Whether `unit` of preference_center may not import `name`."""
    package, _, rest = name.partition(".")
    if package != "preference_center":
        return package in {"workers", "dev", "tests", "bench"}
    target = rest.split(".")[0]
    if target in {unit, "__version__"}:
        return False
    if RANK[target] == RANK[unit]:
        return unit in ENTRY_POINTS
    return RANK[target] > RANK[unit]


def offenders(found: Iterator[Import]) -> list[str]:
    return [f"{path.relative_to(ROOT)} imports {name}" for path, name in found]


def test_every_unit_has_a_place_in_the_layers() -> None:
    units = {unit_of(path) for path in modules("preference_center")} - {"__init__"}
    assert units - set(RANK) == set()


def test_imports_run_downward_only() -> None:
    paths = [path for path in modules("preference_center") if unit_of(path) in RANK]
    assert not offenders(
        (path, name) for path in paths for name in imports(path) if breaks(unit_of(path), name)
    )


@pytest.mark.parametrize(
    "unit, name",
    [
        ("domain", "preference_center.storage.tables"),
        ("storage", "preference_center.ledger"),
        ("api", "preference_center.pages.rendering"),
        ("queue", "workers.jobs"),
        ("app", "dev.engines"),
    ],
)
def test_the_rule_catches(unit: str, name: str) -> None:
    assert breaks(unit, name)


@pytest.mark.parametrize(
    "unit, name",
    [
        ("api", "preference_center.ledger.record"),
        ("links", "preference_center.keys"),
        ("api", "preference_center.api.requests"),
        ("domain", "idna"),
    ],
)
def test_the_rule_lets_pass(unit: str, name: str) -> None:
    assert not breaks(unit, name)


def test_the_domain_is_pure() -> None:
    domain = modules("preference_center/domain")
    assert not offenders(
        (path, name) for path in domain for name in imports(path) if name.split(".")[0] in IMPURE
    )
    calls = [
        f"{path.relative_to(ROOT)} calls {node.func.attr}()"
        for path in domain
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
    ]
    assert not calls


def test_integrations_know_the_domain_only() -> None:
    own = tuple(f"preference_center.{unit}." for unit in ("integrations", "domain", "errors"))
    banned = IMPURE - {"httpx", "structlog", "os", "random", "secrets", "socket", "time"}
    assert not offenders(
        (path, name)
        for path in modules("preference_center/integrations")
        for name in imports(path)
        if name.split(".")[0] in banned | {"dev", "tests", "bench", "workers"}
        or (name.startswith("preference_center") and not name.startswith(own))
    )


def test_workers_use_no_entry_point_and_nothing_of_development() -> None:
    entry_points = tuple(f"preference_center.{unit}" for unit in ENTRY_POINTS | {"cli"})
    assert not offenders(
        (path, name)
        for path in modules("workers")
        for name in imports(path)
        if name.split(".")[0] in {"dev", "tests", "bench"} or name.startswith(entry_points)
    )


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
        ("itsdangerous", {"preference_center/links"}),
        ("rq", {"preference_center/queue.py", "workers"}),
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
