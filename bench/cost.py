"""`python -m bench.cost --against FOLDER`: what a request costs in processor time, here and there.

FOLDER is a checkout of another commit (`git worktree add`). Both trees serve from engines of their
own, and are loaded in turns, so other work on the machine meets both. Processor time depends far
less on that work than requests per second do. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import IO

import psycopg

ROOT = Path(__file__).resolve().parents[1]
PATHS = ("opt-out", "decision", "bulk")
BULK = 10_000
_TICK = 1e6 / os.sysconf("SC_CLK_TCK")
"""Microseconds of a unit of /proc/<pid>/stat."""


def main() -> None:
    """Compare the trees, or serve the parent that does."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        help="a checkout of a commit to compare with; may be repeated",
    )
    parser.add_argument("--only", action="append", choices=PATHS, help="may be repeated")
    parser.add_argument("--seconds", type=float, default=4, help="per measurement (default: 4)")
    parser.add_argument("--rounds", type=int, default=5, help="the median counts (default: 5)")
    parser.add_argument("--stored", type=int, default=200_000, help="suppressions")
    parser.add_argument("--tree", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tree:
        _serve(sys.stdin, given.seconds, given.stored)
        return
    trees = [tree.resolve() for tree in (*given.against, ROOT)]
    measure(trees, given.only or PATHS, given.seconds, given.rounds, given.stored)


def measure(
    trees: Sequence[Path], paths: Sequence[str], seconds: float, rounds: int, stored: int
) -> None:
    """Load the trees in turns, each in a process of its own, which has its own engines."""
    with ExitStack() as stack:
        children = [stack.enter_context(_child(tree, seconds, stored)) for tree in trees]
        for path in paths:
            _compare(path, trees, children, rounds)


def _compare(
    path: str, trees: Sequence[Path], children: Sequence[subprocess.Popen[str]], rounds: int
) -> None:
    found: list[list[dict[str, float]]] = [[] for _ in trees]
    for number in range(rounds + 1):
        for child, rows in zip(children, found, strict=True):
            row = _ask(child, path)
            if number:  # the first warms up
                rows.append(row)
    for tree, rows in zip(trees, found, strict=True):
        web, database, rate, p99 = (
            sorted(row[key] for row in rows) for key in ("web", "database", "rate", "p99")
        )
        print(
            f"{path}, {tree.name}: web {median(web):,.0f} us ({web[0]:,.0f} to {web[-1]:,.0f}),"
            f" database {median(database):,.0f} us ({database[0]:,.0f} to {database[-1]:,.0f}),"
            f" {median(rate):,.0f}/s ({rate[0]:,.0f} to {rate[-1]:,.0f}),"
            f" p99 {median(p99):.1f} ms",
            flush=True,
        )


@contextmanager
def _child(tree: Path, seconds: float, stored: int) -> Iterator[subprocess.Popen[str]]:
    """This file, run with the modules of `tree`."""
    command = [sys.executable, __file__, "--tree", f"--seconds={seconds}", f"--stored={stored}"]
    child = subprocess.Popen(
        command,
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        yield child
        assert child.stdin
        child.stdin.close()


def _ask(child: subprocess.Popen[str], path: str) -> dict[str, float]:
    assert child.stdin
    assert child.stdout
    print(path, file=child.stdin, flush=True)
    line = child.stdout.readline()
    if not line:
        raise RuntimeError("the measuring process ended: see its message above")
    answer: dict[str, float] = json.loads(line)
    return answer


def _serve(asked: IO[str], seconds: float, stored: int) -> None:
    """Answer the name of a path with what a load of it cost. Runs in the folder of any tree."""
    # The other tree's modules, if this file is run there.
    from bench import decisions, ground, opt_out, web  # noqa: PLC0415
    from bench.load import CONNECTIONS, load  # noqa: PLC0415

    with ground.engines() as engines, ground.ground(engines) as here, ExitStack() as stack:
        with here.app.app_context():
            ground.add_destinations(3)
        decisions.fill(here, stored)
        _number_from(here.settings.database_url, stored + decisions.ASKED)
        key = decisions.make_key(here)
        site = stack.enter_context(web.serving(here.environ))
        one = stack.enter_context(web.serving(here.environ, workers=1))
        asks = {"decision": decisions.single(key), "bulk": decisions.bulk(key, min(BULK, stored))}
        for line in asked:
            path = line.strip()
            requests = asks.get(path) or opt_out.requests(here, int(3_000 * seconds))
            base, connections = (one, 2) if path == "bulk" else (site, CONNECTIONS)
            group = web._GROUPS[base]  # noqa: SLF001 - the older tree has no other way
            engine = _postmaster(here.settings.database_url)
            before = _of_group(group), _of_children(engine)
            rate = load(base, requests, seconds, connections)
            used = _of_group(group) - before[0], _of_children(engine) - before[1]
            count = rate.per_second * seconds
            row = {
                "web": used[0] / count,
                "database": used[1] / count,
                "rate": rate.per_second,
                "p99": rate.p99,
            }
            print(json.dumps(row), flush=True)


def _number_from(url: str, number: int) -> None:
    """Have new addresses numbered from here: `fill` gave its own the numbers before."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT setval(pg_get_serial_sequence('address', 'id'), %s)", (number,))


def _postmaster(url: str) -> int:
    """The server's main process. Raises RuntimeError if it runs on another machine."""
    with psycopg.connect(url) as connection:
        try:
            return int(_stat(connection.info.backend_pid)[1])
        except FileNotFoundError:
            raise RuntimeError("the database runs on another machine") from None


def _of_group(group: int) -> float:
    """Microseconds of the processes of a process group, so far."""
    rows = _rows()
    return _TICK * sum(sum(map(int, row[11:13])) for row in rows if int(row[2]) == group)


def _of_children(parent: int) -> float:
    """Microseconds of a process and its children, with those that have ended."""
    mine = [row for row in _rows() if int(row[1]) == parent]
    return _TICK * (
        sum(sum(map(int, row[11:13])) for row in mine) + sum(map(int, _stat(parent)[11:15]))
    )


def _rows() -> list[list[str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found.append(_stat(int(folder.name)))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _stat(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from `state`, the third, on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


if __name__ == "__main__":
    main()
