"""The command line: that of the service, and what needs the connectors.

`flask` finds it through `app.py` in the folder of the checkout.
"""

from __future__ import annotations

from flask import Flask

from preference_center import app as service
from workers.cli import reading  # noqa: F401 - its commands are part of `destinations`
from workers.cli.destinations import destinations


def create_app() -> Flask:
    """The service with all its commands. Raises ConfigError like `service.create_app`."""
    app = service.create_app()
    register(app)
    return app


def register(app: Flask) -> None:
    """Give the app the commands that need connectors."""
    app.cli.add_command(destinations)
