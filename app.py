"""The application for the `flask` command, which looks for `app.py` in its folder."""

from __future__ import annotations

from flask import Flask
from flask.cli import NoAppException

from preference_center import cli
from preference_center.cli.command_app import CommandApp


def create_app() -> CommandApp:
    """The commands. The service is created when one of them needs it."""
    app = CommandApp(_create_service)
    cli.register(app)
    return app


def _create_service() -> Flask:
    """The service with the time limits of commands. Raises NoAppException, which `flask` shows."""
    # Imported late, so that `flask --help` takes half a second and not two.
    from preference_center import app as service  # noqa: PLC0415
    from preference_center.database_timeouts import COMMAND_TIMEOUTS  # noqa: PLC0415
    from preference_center.errors import ConfigError  # noqa: PLC0415

    try:
        return service.create_app(timeouts=COMMAND_TIMEOUTS)
    except ConfigError as error:
        raise NoAppException(str(error)) from error
