"""What commands and workers import is paid for in memory and at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

ONLY_FOR_PAGES = {"apiflask", "marshmallow", "authlib", "joserfc", "segno"}
ONLY_SOMETIMES = {"alembic", "holidays", "duckdb"}


@pytest.mark.parametrize(
    "module",
    [
        "preference_center.service",
        "workers.feed_publisher",
        "workers.jobs",
        "workers.mail_receiver",
        "workers.scheduler",
        "workers.worker",
    ],
)
def test_no_process_but_web_imports_what_serves_pages(module: str) -> None:
    assert not imported_by(module) & (ONLY_FOR_PAGES | ONLY_SOMETIMES)


def test_the_process_of_public_pages_does_not_import_the_console() -> None:
    assert not imported_by("preference_center.app") & {"alembic", "authlib", "holidays", "segno"}


def test_a_process_that_is_switched_off_imports_nothing_of_the_service() -> None:
    assert "preference_center" not in imported_by("workers.optional")


def imported_by(module: str) -> set[str]:
    """The packages in a process that has imported this module."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())
