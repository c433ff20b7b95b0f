"""Mutants differ from the code in one place, and each is held against the tests."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from dev.maintenance import mutate
from dev.maintenance.mutants import mutants

ROOT = Path(__file__).resolve().parents[3]

CODE = '''
"""A docstring, which is no SQL: UPDATE it."""
import os

_QUERY = "SELECT max(seq) FROM event WHERE at <= %s AND NOT EXISTS (SELECT FROM other)"


def newest(marks: list[int], *, first: bool = False) -> int | None:
    """The newest."""
    found = [mark for mark in marks if mark >= 0]
    if not found:
        return None
    os.getpid()
    return min(found) if first else max(found)
'''


def test_the_module_and_the_tests_of_every_target_are_there() -> None:
    named = {path for target in mutate.TARGETS.values() for path in (target.path, *target.tests)}
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_every_mutant_is_another_program_and_is_taken_back() -> None:
    tree = ast.parse(CODE)
    before = ast.dump(tree)
    seen = set()
    for mutant in mutants(tree):
        mutant.plant()
        compile(ast.fix_missing_locations(tree), "code", "exec")
        seen.add(ast.dump(tree))
        mutant.undo()
        assert ast.dump(tree) == before
    assert before not in seen
    assert len(seen) == len(list(mutants(tree)))


@pytest.mark.parametrize(
    "what",
    [
        "newest: max(found) -> min(found)",
        "newest: mark >= 0 -> left out",
        "newest: mark >= 0 -> mark > 0",
        "newest: os.getpid() -> left out",
        "newest: not found -> not not found",
        "newest: False -> True",
        "_QUERY: SQL `FROM event WHERE at <= %s AND NOT E`: <= -> <",
        "_QUERY: SQL `WHERE at <= %s AND NOT EXISTS (SELECT FRO`: NOT EXISTS -> EXISTS",
    ],
)
def test_mistakes_that_a_maintainer_makes_are_among_them(what: str) -> None:
    assert what in [mutant.what for mutant in mutants(ast.parse(CODE))]


def test_annotations_and_docstrings_are_left_alone() -> None:
    assert not [mutant for mutant in mutants(ast.parse(CODE)) if "UPDATE it" in mutant.what]
    assert not list(mutants(ast.parse('def f(a: "int | None") -> bool:\n    "SELECT 1"\n')))


def test_what_the_type_checker_proves_is_never_run_is_left_alone() -> None:
    code = "def f(a):\n    assert_never(a)\n    assert_ever(a)\n"
    assert [mutant.what for mutant in mutants(ast.parse(code))] == ["f: assert_ever(a) -> left out"]


def test_a_survivor_is_reported_and_is_known_once_it_is_written_down(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text("def most(a, b):\n    return max(a, b)\n", "utf-8")
    (tmp_path / "test_toy.py").write_text(
        "from toy import most\n\n\ndef test_it():\n    assert most(1, 1) == 1\n", "utf-8"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n", "utf-8")
    known = tmp_path / "known.md"
    known.write_text("nothing", "utf-8")
    script = (
        "import sys; from pathlib import Path; from dev.maintenance import mutate\n"
        f"mutate.ROOT, mutate.KNOWN = Path({str(tmp_path)!r}), Path({str(known)!r})\n"
        "mutate.PRELOADED = ()\n"
        "mutate.TARGETS = {'toy': mutate.Target('toy.py', ('test_toy.py',))}\n"
        "sys.exit(mutate.main(['toy']))\n"
    )

    def run() -> tuple[int, str]:
        command = [sys.executable, "-c", script]
        came = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        return came.returncode, came.stdout + came.stderr

    code, output = run()
    assert code == 1, output
    assert "toy.py:2: SURVIVES: most: max(a, b) -> min(a, b)" in output
    assert "toy: 1 of 2 found, 1 unknown survivors" in output
    known.write_text("| `most: max(a, b) -> min(a, b)` | equal here |", "utf-8")
    assert run()[0] == 0


def test_a_target_without_servers_gets_none_of_the_target_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in mutate.SERVERS:
        monkeypatch.delenv(name, raising=False)
    seen = list[bool]()

    def note(*_: object) -> bool:
        seen.append(all(name in os.environ for name in mutate.SERVERS))
        return True

    servers = SimpleNamespace(
        **{name: SimpleNamespace(url="gone") for name in ("database", "redis")}
    )
    targets = {name: mutate.Target("", (), engines=name == "first") for name in ("first", "next")}
    monkeypatch.setattr(mutate, "TARGETS", targets)
    monkeypatch.setattr(mutate, "for_test", lambda **_: nullcontext(servers))
    monkeypatch.setattr(mutate, "_hold", note)
    assert mutate.main(["first", "next"]) == 0
    assert seen == [True, False]
