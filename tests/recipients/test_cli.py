"""`flask receipts`."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from typing import TYPE_CHECKING

from preference_center.infra.context import EXTENSION_NAME
from tests.infra.cli.fixtures import _staff_name

if TYPE_CHECKING:
    from flask import Flask


def test_a_message_id_is_found_again_by_what_is_kept_of_it(app: Flask) -> None:
    """It is read from standard input: arguments are seen by every user of the host (I12)."""
    result = app.test_cli_runner().invoke(
        args=["receipts", "hash-message-id"], input="ada@example.com\n"
    )
    assert result.exit_code == 0
    assert result.output.strip() == app.extensions[EXTENSION_NAME].keys.evidence_hmac(
        "ada@example.com"
    )
