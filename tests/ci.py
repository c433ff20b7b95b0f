"""What CI asks of a run of pytest: that no test is skipped, and of a flake that it has a name.

With CI=true a skipped test fails, unless its reason names the target of make that runs it and
`.ci/run` calls that, or ALLOWED_SKIPS has it. A test that fails runs once more, alone. If it passes
then it is a flake: named, and no reason to hold work back. MAX_FLAKES in one run of CI, and a test
that `.ci/flakes.txt` has already, are; a test that must never fail by chance gets no second try.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUN = ROOT / ".ci" / "run"
KNOWN = ROOT / ".ci" / "flakes.txt"
NAMED = ROOT / ".data" / "flakes.txt"
"""The flakes of this run of CI."""
MAX_FLAKES = 2
SECOND_TRY = "CI_SECOND_TRY"
"""Set while a test runs once more."""

NEVER = ("tests/faults/", "tests/rollout/", "tests/simulation/", "tests/chaos/", "tests/fuzz/")
_RULE = re.compile(r"\bI(1[0-3]|[1-9])\b")

ALLOWED_SKIPS = (
    r"^set \w+ to the program of listmonk",  # no registry has it
    r"^`make real-ghost` installs Ghost",  # for up to 13 minutes
    r"^the tool takes no such address$",  # there is nothing to test then
)


def is_active() -> bool:
    """Whether this is a run of CI."""
    return os.environ.get("CI") == "true"


def may_skip(reason: str, run: str) -> bool:
    """Whether a test may be skipped for this reason; `run` is the text of `.ci/run`."""
    targets = re.findall(r"make ([a-z]+-[a-z-]+)", reason)
    if any(re.search(rf"^[^#\n]*make {target}\b", run, re.MULTILINE) for target in targets):
        return True
    return any(re.search(pattern, reason) for pattern in ALLOWED_SKIPS)


def fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Let a test or file fail that was skipped without a reason to."""
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not may_skip(reason, RUN.read_text(encoding="utf-8")):
        report.outcome = "failed"
        report.longrepr = f"CI runs every test, and this one is skipped: {reason}"


def must_never_fail(test: str) -> bool:
    """Whether a test has no second try: of faults and the simulation, or one that cites a rule."""
    name, *parts = test.split("::")
    return name.startswith(NEVER) or not parts or bool(_RULE.search(_source(ROOT / name, parts)))


def _source(file: Path, parts: Sequence[str]) -> str:
    """The text of a test, and what its file and class say of it; all of the file if in doubt."""
    text = file.read_text(encoding="utf-8")
    node: ast.Module | ast.ClassDef | ast.FunctionDef = ast.parse(text)
    said = [ast.get_docstring(node) or ""]
    for part in parts:
        name = part.partition("[")[0]
        found = [each for each in node.body if getattr(each, "name", None) == name]
        if len(found) != 1 or not isinstance(found[0], ast.ClassDef | ast.FunctionDef):
            return text
        node = found[0]
        said.append(ast.get_docstring(node) or "")
    return "\n".join([*said, ast.get_source_segment(text, node) or text])


def read_names(path: Path) -> list[str]:
    """The tests that a file has, one a line; what follows a space explains it."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def refusal(failed: Collection[str], known: Collection[str], named: Collection[str]) -> str | None:
    """Why these failures have no second try; None if they have."""
    for test in failed:
        if must_never_fail(test):
            return f"{test} must never fail by chance"
        if test in known:
            return f"{test} was named as a flake before"
    if len(failed) + len(named) > MAX_FLAKES:
        return f"more than {MAX_FLAKES} tests failed"
    return None


def name_flakes(failed: Sequence[str], say: Callable[[str], None]) -> bool:
    """Whether all that failed passes now, each alone; then they are named as flakes."""
    reason = refusal(failed, read_names(KNOWN), read_names(NAMED))
    if reason:
        say(f"No second try: {reason}")
        return False
    for test in failed:
        say(f"Once more, alone: {test}")
        if not _passes_alone(test):
            return False
    NAMED.parent.mkdir(exist_ok=True)
    with NAMED.open("a", encoding="utf-8") as file:
        for test in failed:
            file.write(f"{test}\n")
            say(f"FLAKE: {test}")
            say("It failed, then passed alone. The next commit adds it to .ci/flakes.txt with the")
            say("cause: when CI names it once more, it fails.")
    return True


def _passes_alone(test: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-n", "0", test]
    return not subprocess.run(
        command, cwd=ROOT, env=os.environ | {SECOND_TRY: "1"}, check=False
    ).returncode


def finish(session: pytest.Session) -> None:
    """At the end of a run whose tests failed: let the run pass if they were flakes."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if SECOND_TRY in os.environ or reporter is None:
        return
    reports = [*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())]
    failed = list(dict.fromkeys(report.nodeid for report in reports))
    if failed and name_flakes(failed, reporter.write_line):
        session.exitstatus = pytest.ExitCode.OK
