"""The application for the `flask` command, which looks for `app.py` in its folder."""

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
