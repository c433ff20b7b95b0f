"""`make mutate`: does a test fail for each small mistake in the code that matters most?

Each mutant is compiled in memory and run in a process of its own, forked here: nothing is
written, and a run may be stopped at any moment. A survivor that docs/evidence/mutation.md names is
known; any other is a case that no test has.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

from dev.engines import for_test
from dev.maintenance.mutants import mutants

ROOT = Path(__file__).resolve().parents[2]
KNOWN = ROOT / "docs" / "evidence" / "mutation.md"
PRELOADED = ("flask", "sqlalchemy", "psycopg", "redis", "rq", "structlog", "pydantic", "httpx")
"""What takes long to import, and is no part of what is mutated."""
OPTIONS = (
    *("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly"),
    *("-p", "no:schemathesis"),  # four seconds of each mutant to import, and no target needs it
)
SERVERS = ("DATABASE_URL", "REDIS_URL")
"""Where the tests find the servers of a target."""
PROGRESS_INTERVAL = 30.0
"""Seconds between two lines that say how far a target is."""
LONGER = 10
"""How many times as long as the unchanged code a mutant may take, at least a minute."""


@dataclass(frozen=True, slots=True)
class Target:
    """A module and the tests that should find its mutants; `engines`: they need servers."""

    path: str
    tests: tuple[str, ...]
    engines: bool = False


def _in(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names)


RULES = "destinations/rules"
SPOOL = "ledger/spool"


PUSH = _in("destinations/push", "push", "batches", "claim", "lanes", "window")
TARGETS = {
    "decisions": Target(
        "preference_center/decisions/rules.py",
        _in("decisions", "statuses", "decisions", "marks", "frequencies", "sharing"),
    ),
    "deadlines": Target("preference_center/core/deadlines.py", _in("core", "deadlines")),
    "events": Target("preference_center/core/events.py", _in("core", "events", "receipt_codes")),
    "classify": Target(
        "preference_center/destinations/rules/classify.py",
        _in(RULES, "follow_ups", "classify", "vendor_event_time", "naive_ingest"),
    ),
    "plan": Target(
        "preference_center/destinations/rules/plan.py",
        _in(RULES, "plan", "settlement", "claims", "push_concurrency"),
    ),
    "reported": Target(
        "preference_center/destinations/rules/reported.py",
        _in(RULES, "reported", "follow_ups", "naive_ingest"),
    ),
    "sync_states": Target(
        "preference_center/destinations/rules/states.py",
        _in(RULES, "condition", "reflection_times", "claims", "plan"),
    ),
    "delivery": Target(
        "preference_center/destinations/rules/delivery.py",
        _in(RULES, "delivery_status", "delivery_summary", "event_delivery"),
    ),
    "promise": Target(
        "preference_center/destinations/rules/promise.py",
        _in(RULES, "promise", "reflection_times"),
    ),
    "erase_task": Target(
        "preference_center/destinations/rules/erase_task.py", _in(RULES, "erase_task")
    ),
    "journal_chain": Target(
        "preference_center/rights/erasure/journal_chain.py",
        _in("rights/erasure", "journal_chain"),
    ),
    "erasure_tables": Target(
        "preference_center/rights/erasure/tables.py",
        _in("rights/erasure", "erase", "erase_again", "bystanders"),
        engines=True,
    ),
    "erase": Target(
        "preference_center/rights/erasure/erase.py",
        (
            *_in("rights/erasure", "told", "erase", "erase_again", "bystanders", "upkeep"),
            *_in("rights/erasure", "erase_concurrency", "journal"),
        ),
        engines=True,
    ),
    "ledger": Target(
        "preference_center/ledger/sql.py",
        tuple(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/ledger/test_*.py"))),
        engines=True,
    ),
    "spool_frames": Target("preference_center/ledger/spool/frames.py", _in(SPOOL, "frames")),
    "spool_locked_tables": Target(
        "preference_center/ledger/spool/locked_tables.py", _in(SPOOL, "locked_tables"), engines=True
    ),
    "spool_host_time": Target(
        "preference_center/ledger/spool/host_time.py",
        _in(SPOOL, "host_time", "clocks"),
        engines=True,
    ),
    "spool_folder": Target("preference_center/ledger/spool/folder.py", _in(SPOOL, "folder")),
    "spool_recorder": Target(
        "preference_center/ledger/spool/recorder.py",
        _in(SPOOL, "writer", "recorder", "files", "links", "failures", "opting_out"),
        engines=True,
    ),
    "spool_replay": Target("preference_center/ledger/spool/replay.py", _in(SPOOL, "turns")),
    "spool_replayer": Target(
        "preference_center/ledger/spool/replayer.py",
        _in(SPOOL, "replayer", "replay", "files", "probes", "blocked"),
        engines=True,
    ),
    "read_back": Target(
        "preference_center/destinations/read_back.py",
        _in("destinations/scan", "read_back", "one_way"),
        engines=True,
    ),
    "verification": Target(
        "preference_center/destinations/store/verification.py",
        (
            *_in("destinations/scan", "read_back", "scan"),
            *_in("destinations/store", "verification"),
        ),
        engines=True,
    ),
    "states": Target("preference_center/destinations/store/states.py", PUSH, engines=True),
    "claim": Target("preference_center/destinations/claim.py", PUSH, engines=True),
    "push": Target(
        "preference_center/destinations/push.py",
        (*PUSH, *_in("destinations/push", "frequencies", "lifts", "slow_tools", "slowed")),
        engines=True,
    ),
}  # fmt: skip
"""Since modules were merged, `push` has what was `sync` and `settle`, `classify` has `dates`."""


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from code that is held here."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        """`path` is where the unchanged module lies."""
        self._name, self._path, self._code = name, path, code

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the protocol's
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> importlib.machinery.ModuleSpec | None:
        """See MetaPathFinder."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        """See Loader."""
        module.__file__ = str(self._path)
        exec(self._code, module.__dict__)  # noqa: S102 - our own code, with one mistake


def main(words: Sequence[str] | None = None) -> int:
    """Plant every mutant of the named targets; 1 if an unknown one survives."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make mutate")
    parser.add_argument("targets", nargs="*", default=["decisions"], choices=[*TARGETS, []])
    parser.add_argument("--every", type=int, default=1, help="plant every n-th mutant only")
    parser.add_argument("--only", default="", help="plant those whose description has this text")
    given = parser.parse_args(words)
    for name in PRELOADED:
        importlib.import_module(name)
    failed = False
    for name in given.targets:
        target = TARGETS[name]
        if target.engines:
            with for_test(environ={}) as engines:
                urls = engines.database.url, engines.redis.url
                os.environ |= dict(zip(SERVERS, urls, strict=True))
                failed |= not _hold(name, target, given.every, given.only)
            for variable in SERVERS:  # which have ended: the next target's tests start their own
                del os.environ[variable]
        else:
            failed |= not _hold(name, target, given.every, given.only)
    return int(failed)


def _hold(name: str, target: Target, every: int, only: str) -> bool:
    """Whether all mutants of a target are found or known."""
    path, known = ROOT / target.path, KNOWN.read_text(encoding="utf-8")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    began = time.monotonic()
    if _survives(target, tree, limit=600) is not True:
        sys.exit(f"{name}: the tests fail without a mutant: fix them first")
    limit = max(60.0, LONGER * (time.monotonic() - began))
    survivors, unknown, count = 0, 0, 0
    chosen = [mutant for mutant in mutants(tree) if only in mutant.what][::every]
    began = shown = time.monotonic()
    for mutant in chosen:
        mutant.plant()
        survived = _survives(target, tree, limit)
        mutant.undo()
        count += 1
        if time.monotonic() - shown > PROGRESS_INTERVAL:
            shown = time.monotonic()
            left = (shown - began) / count * (len(chosen) - count) / 60
            print(f"{name}: {count} of {len(chosen)}, about {left:.0f} min to go", file=sys.stderr)
        if survived:
            survivors += 1
            is_known = f"`{mutant.what.replace('`', chr(39))}`" in known
            unknown += not is_known
            state = "known" if is_known else "SURVIVES"
            print(f"{target.path}:{mutant.line}: {state}: {mutant.what}", flush=True)
    print(f"{name}: {count - survivors} of {count} found, {unknown} unknown survivors")
    return unknown == 0


def _survives(target: Target, tree: ast.Module, limit: float) -> bool:
    """Whether the tests pass with this tree; within `limit` seconds, or it is found."""
    path = ROOT / target.path
    module = target.path.removesuffix(".py").replace("/", ".")
    try:
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    except (SyntaxError, ValueError, TypeError):
        return False
    child = os.fork()
    if child == 0:
        _test(Planted(module, path, code), target.tests)
    return _waited_for(child, limit) == 0


def _test(planted: Planted, tests: Sequence[str]) -> None:
    """Run the tests in this process, and end it with their code."""
    code = 70
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        os.chdir(ROOT)
        sys.meta_path.insert(0, planted)
        code = int(importlib.import_module("pytest").main([*OPTIONS, *tests]))
    finally:
        os._exit(code)


def _waited_for(child: int, limit: float) -> int:
    """The child's exit code; not 0 if it took longer and was ended."""
    ends_at = time.monotonic() + limit
    while time.monotonic() < ends_at:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    for number in (signal.SIGINT, signal.SIGKILL):
        os.killpg(child, number)
        for _ in range(500):
            if os.waitpid(child, os.WNOHANG)[0]:
                return 1
            time.sleep(0.02)
    return 1


if __name__ == "__main__":
    sys.exit(main())
