"""What commands and workers import is paid for in memory and at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

ONLY_FOR_PAGES = {"apiflask", "marshmallow", "authlib", "joserfc", "segno", "wtforms"}
ONLY_SOMETIMES = {"alembic", "holidays", "duckdb"}


@pytest.mark.parametrize(
    "module",
    [
        "preference_center.app.service",
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
    assert not imported_by("preference_center.app.web") & {
        "alembic",
        "authlib",
        "holidays",
        "segno",
    }


def test_a_process_that_is_switched_off_imports_nothing_of_the_service() -> None:
    assert "preference_center" not in imported_by("workers.optional")


@pytest.mark.parametrize("command", ["", "catalogue check", "keys generate"])
def test_what_needs_no_service_imports_no_library_of_it(command: str) -> None:
    code = f"""
from preference_center.__main__ import build_program
build_program().main({[*command.split(), "--help"]}, standalone_mode=False)
"""
    found = {name.partition(".")[0] for name in modules_after(code)}
    assert not found & {"sqlalchemy", "pydantic", "redis", "httpx", "psycopg"}


def test_the_service_of_commands_imports_no_subject_that_few_of_them_need() -> None:
    found = modules_after("import preference_center.app.service")
    subjects = {name.split(".")[1] for name in found if name.startswith("preference_center.")}
    assert not subjects & {"contacts", "destinations", "inbound", "lists", "monitoring", "rights"}
    assert {name for name in found if name.startswith("preference_center.app.")} == {
        "preference_center.app.service"
    }


def test_a_scheduler_imports_no_connector_before_a_destination_has_it() -> None:
    found = modules_after("import workers.scheduler, preference_center.app.hooks")
    assert not {name for name in found if name.endswith(".connector")}


def test_a_worker_that_waits_imports_no_http_client_and_no_reader_of_mails_and_lists() -> None:
    found = modules_after("""
import workers.worker, workers.scheduler, preference_center.app.hooks
from preference_center.integrations.registry import load_integrations
load_integrations()
""")
    unwanted = {"httpx", "httpcore", "flufl.bounce", "ijson"}
    assert not found & {*unwanted, "cryptography.hazmat.primitives.serialization"}


@pytest.mark.parametrize(
    "commands",
    [
        "preference_center.infra.cli.keys",
        "preference_center.destinations.cli",
        "preference_center.contacts.cli",
    ],
)
def test_commands_import_no_queue_and_no_http_client_before_they_use_it(commands: str) -> None:
    found = modules_after(f"""
import preference_center.app.service, {commands}
from preference_center.infra.config import Settings
Settings._validate_redis_url("redis://preferences:secret@redis.example.com:6379/0")
""")
    assert not found & {"redis", "rq", "limits", "httpx", "httpcore"}


def imported_by(module: str) -> set[str]:
    """The packages in a process that has imported this module."""
    return {name.partition(".")[0] for name in modules_after(f"import {module}")}


def modules_after(code: str) -> set[str]:
    """The modules in a process that has run this."""
    code += "\nimport sys; print(*sys.modules, file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stderr.split())
