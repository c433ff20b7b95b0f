"""One module names every store of personal data, so that rights reach all of them (I6, I8)."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from preference_center.app.tables import MODELS
from preference_center.infra.context import db
from preference_center.rights.erasure.personal_data import TABLES, Holds
from preference_center.rights.erasure.tables import FILES, JOB_ARGUMENTS, REDIS_KEYS
from workers import jobs

ROOT = Path(__file__).resolve().parents[3]
CODE = sorted(
    path for name in ("preference_center", "workers") for path in (ROOT / name).rglob("*.py")
)
SCHEMA = {
    table.name: {column.name for column in table.columns} for table in db.metadata.sorted_tables
}
_COUNTED = re.compile(r'limiter\.(?:hit|acquire|increment)\(\s*[^,()]+,\s*"([\w-]+)"')
_INCREMENTED = re.compile(r'limiter\.increment\("[\w-]+", "([\w-]+)"')
_WRITERS = {"atomic_write", "atomic_write_text", "mkstemp", "write_bytes", "write_text"}
_WRITERS |= {"NamedTemporaryFile", "TemporaryDirectory"}


def test_every_table_is_named() -> None:
    assert MODELS
    assert TABLES.keys() == SCHEMA.keys()


@pytest.mark.parametrize("name", sorted(SCHEMA))
def test_every_column_is_named_once(name: str) -> None:
    table = TABLES[name]
    assert table.personal.keys() | table.other == SCHEMA[name]
    assert not table.personal.keys() & table.other


@pytest.mark.parametrize("name", sorted(name for name, table in TABLES.items() if table.personal))
def test_a_table_with_personal_data_has_the_way_to_a_persons_rows(name: str) -> None:
    table = TABLES[name]
    assert table.by
    first = table.by.split(".")[0].split()[0]
    assert first in {*table.personal, *TABLES, "opening"}


def test_what_can_be_read_with_a_key_is_sealed() -> None:
    """No column of text or bytes that may name somebody is left readable (I12)."""
    readable = {
        f"{table.name}.{column.name}"
        for table in db.metadata.sorted_tables
        for column in table.columns
        if TABLES[table.name].personal.get(column.name) is Holds.SEALED
        and column.type.python_type is not bytes
    }
    assert not readable


def test_every_module_that_writes_files_is_named() -> None:
    writing = {path for path in CODE if any(_writes(path))}
    named = [ROOT / name for name in FILES]
    assert not [
        path for path in writing if not any(path == n or path.is_relative_to(n) for n in named)
    ]
    assert not [n for n in named if not any(p == n or p.is_relative_to(n) for p in writing)]


def test_every_key_of_redis_is_named() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    counted = {*_COUNTED.findall(source), *_INCREMENTED.findall(source)}
    assert counted == {name for name in REDIS_KEYS if not name.endswith(":")}
    assert '_key = f"rate_limit:{destination}"' in source


def test_every_argument_of_a_job_is_an_id() -> None:
    given = {
        name
        for _, job in inspect.getmembers(jobs, inspect.isfunction)
        if job.__module__ == jobs.__name__ and not job.__name__.startswith("_")
        for name in inspect.signature(job).parameters
    }
    assert given == JOB_ARGUMENTS


def _writes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        constants = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
        if called in _WRITERS or (
            called in {"open", "fdopen"} and constants & {"w", "wb", "a", "ab"}
        ):
            yield called
        if called == "open" and "O_CREAT" in ast.unparse(node):
            yield called
