"""`python -m bench --smoke`: leaves nothing out, fails where something does."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import smoke
from bench.measurements import MEASUREMENTS, Measure
from bench.reporting import NotHere, Options, say
from dev.engines import Engines

FOLDER = Path(smoke.__file__).parent


def measuring(error: Exception | None = None) -> Measure:
    def measure(_: Engines, options: Options) -> None:
        say(f"{options.rows(1_000_000, 20_000_000):,} rows")
        if error:
            raise error

    return measure


def test_every_program_of_the_folder_is_tried() -> None:
    programs = {
        path.stem for path in FOLDER.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
    }
    assert {"growth", "scrub"} < programs
    assert programs - {"__main__"} <= smoke.PROGRAMS.keys()


def test_names_are_of_one_measurement_each() -> None:
    assert not MEASUREMENTS.keys() & smoke.PROGRAMS.keys()


def test_what_works_prints_no_figure(engines: Engines, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke._passes("it", measuring(), engines)
    assert capsys.readouterr().out.startswith("it works (")


def test_an_exception_fails_with_its_traceback(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not smoke._passes("it", measuring(KeyError("body_digest")), engines)
    printed = capsys.readouterr().out
    assert "it fails:\n200 rows\nTraceback" in printed
    assert "KeyError: 'body_digest'" in printed


def test_a_missing_program_fails_and_is_named(
    engines: Engines, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = NotHere("no npm to fetch them with: `apt-get install npm`")
    assert not smoke._passes("it", measuring(missing), engines)
    assert capsys.readouterr().out == f"it: {missing}\n"
