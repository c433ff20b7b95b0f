"""`flask` where settings are missing: it names them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_missing_settings_are_named_without_a_traceback() -> None:
    bare = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "flask", "destinations", "list"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=bare, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "LINK_KEYS: Field required" in done.stderr
    assert "postgresql://user:password@host/database" in done.stderr
    assert "Traceback" not in done.stderr
