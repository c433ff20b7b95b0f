"""Commands are run by somebody with a name."""

# ruff: noqa: F401 - a fixture of another folder is imported by name

from __future__ import annotations

from tests.infra.cli.fixtures import _staff_name
