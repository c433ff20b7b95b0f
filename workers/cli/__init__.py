"""The command line: that of the service, and what needs the connectors.

`flask` finds it through `app.py` in the folder of the checkout.
"""

from __future__ import annotations

from click import Group
from flask import Flask
from flask.cli import NoAppException

from preference_center import app as service
from preference_center.errors import ConfigError
from preference_center.waits import COMMAND
from workers.cli import reading
from workers.cli.destinations import destinations


def create_app() -> Flask:
    """The service with all its commands. Raises NoAppException, which `flask` shows in words."""
    try:
        app = service.create_app(limits=COMMAND)
    except ConfigError as error:
        raise NoAppException(str(error)) from error
    register(app)
    return app


def register(app: Flask) -> None:
    """Give the app the commands that need connectors."""
    app.cli.add_command(destinations)
    inbound = app.cli.commands["inbound"]
    assert isinstance(inbound, Group)
    inbound.add_command(reading.replay)
