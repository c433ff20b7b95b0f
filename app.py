"""What the `flask` command looks for in its folder: the service, for commands."""

from __future__ import annotations

from flask import Flask
from flask.cli import NoAppException

from preference_center import app as service
from preference_center.database_timeouts import COMMAND_TIMEOUTS
from preference_center.errors import ConfigError


def create_app() -> Flask:
    """The service with the limits of commands. Raises NoAppException, which `flask` shows."""
    try:
        return service.create_app(timeouts=COMMAND_TIMEOUTS)
    except ConfigError as error:
        raise NoAppException(str(error)) from error
