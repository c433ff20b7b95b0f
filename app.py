"""What the `flask` command looks for in its folder: the service with every command."""

from __future__ import annotations

from workers.cli import create_app

__all__ = ["create_app"]
