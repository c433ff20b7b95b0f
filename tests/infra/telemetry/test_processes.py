"""Every process of the Procfile writes JSON and starts telemetry, so that none is forgotten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from preference_center.__main__ import read_procfile

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = read_procfile()


def source_of(command: str) -> str:
    """The module that the command runs; the application of the web server is made by `wsgi`."""
    if "workers.web" in command:
        return (ROOT / "workers/wsgi.py").read_text()
    found = re.search(r"python -m (?:workers.optional \w+ )?([\w.]+)", command)
    assert found
    return (ROOT / f"{found[1].replace('.', '/')}.py").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_process_has_telemetry_and_writes_json(name: str) -> None:
    source = source_of(COMMANDS[name])
    for call in ("capture_standard_logs()", "start_telemetry(", "start_internal_server(app"):
        assert call in source, f"{name} lacks {call}"
