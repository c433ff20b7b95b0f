"""No test is skipped in CI, and a flake is named, not hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ci

RUN = "make test\ntimed make test-real\n  make test-browser\n# make test-spark\n"
PLAIN = "tests/test_order.py::test_each_file_is_named_once_and_those_of_a_kind_keep_their_order"
OF_A_RULE = "tests/monitoring/test_probes.py::TestReady::test_not_on_a_database_that_only_reads"


@pytest.mark.parametrize(
    "reason, allowed",
    [
        ("make test-real", True),
        ("`make test-browser` has it", True),
        ("PySpark is not installed: make test-spark", False),
        ("nginx is missing: apt-get install nginx-light", False),
        ("kubernetes-validate is not installed: make test", False),
        ("the tool takes no such address", True),
    ],
)
def test_a_skip_is_allowed_if_another_target_of_ci_runs_the_test(
    reason: str,
    allowed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert ci.may_skip(reason, RUN) is allowed


@pytest.mark.parametrize(
    "test",
    [
        OF_A_RULE,
        "tests/faults/test_web.py::test_a_web_process_killed_right_after_its_2xx_has_written_it",
        "tests/simulation/test_same_seed.py::test_anything",
        "tests/ledger/spool/test_failures.py::test_named_in_the_docstring_of_the_file[once]",
        "tests/test_collection.py",
    ],
)
def test_what_a_rule_promises_never_fails_by_chance(test: str) -> None:
    assert ci.must_never_fail(test)
    assert ci.refusal([test], [], []) == f"{test} must never fail by chance"


def test_two_flakes_a_run_and_none_twice() -> None:
    assert not ci.must_never_fail(PLAIN)
    assert ci.refusal([PLAIN], [], ["one"]) is None
    assert ci.refusal([PLAIN], [], ["one", "two"]) == "more than 2 tests failed"
    assert ci.refusal([PLAIN], [PLAIN], []) == f"{PLAIN} was named as a flake before"


def test_names_are_read_without_what_explains_them(tmp_path: Path) -> None:
    file = tmp_path / "flakes.txt"
    assert ci.read_names(file) == []
    file.write_text("# Tests\n\ntests/a.py::test[1] the clock of the server\n")
    assert ci.read_names(file) == ["tests/a.py::test[1]"]


class TestOfARun:
    """A run of pytest with these hooks, on tests of its own."""

    def run(self, folder: Path, test: str, **environ: str) -> subprocess.CompletedProcess[str]:
        (folder / ".ci").mkdir(exist_ok=True)
        (folder / ".ci" / "run").write_text(RUN)
        (folder / "test_it.py").write_text(f"from pathlib import Path\nimport pytest\n\n{test}")
        (folder / "conftest.py").write_text(
            "from pathlib import Path\nfrom tests import ci\n"
            "ci.ROOT = Path(__file__).parent\nci.RUN = ci.ROOT / '.ci/run'\n"
            "ci.KNOWN = ci.ROOT / '.ci/flakes.txt'\nci.NAMED = ci.ROOT / '.data/flakes.txt'\n"
            "from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport\n"
            "from tests.conftest import pytest_sessionfinish\n"
        )
        given = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", folder, folder],
            cwd=folder,
            env=given | {"PYTHONPATH": str(ci.ROOT), "CI": "true", **environ},
            text=True,
            capture_output=True,
            check=False,
        )

    FLAKE = (
        "def test_once():\n"
        "    tried = Path('tried')\n"
        "    before = tried.exists()\n"
        "    tried.touch()\n"
        "    assert before\n"
    )

    def test_that_passes_the_second_time_it_is_named(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, self.FLAKE)
        assert done.returncode == 0, done.stdout
        assert "FLAKE: test_it.py::test_once" in done.stdout
        assert (tmp_path / ".data" / "flakes.txt").read_text() == "test_it.py::test_once\n"

    def test_a_flake_that_is_known_fails(self, tmp_path: Path) -> None:
        (tmp_path / ".ci").mkdir()
        (tmp_path / ".ci" / "flakes.txt").write_text("test_it.py::test_once the disk\n")
        done = self.run(tmp_path, self.FLAKE)
        assert done.returncode == 1
        assert "was named as a flake before" in done.stdout

    def test_what_fails_again_or_is_skipped_fails(self, tmp_path: Path) -> None:
        skipped = "def test_skipped():\n    pytest.skip('nginx is missing')\n"
        done = self.run(tmp_path, skipped)
        assert done.returncode == 1
        assert "CI runs every test, and this one is skipped: nginx is missing" in done.stdout
        assert "FLAKE" not in done.stdout
        assert self.run(tmp_path, skipped, CI="").returncode == 0

    def test_a_file_that_is_skipped_fails(self, tmp_path: Path) -> None:
        done = self.run(tmp_path, "pytest.importorskip('no_such_module')\n")
        assert done.returncode != 0
        assert "CI runs every test, and this one is skipped: could not import" in done.stdout
