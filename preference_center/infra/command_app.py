"""The application that the `flask` command loads: the commands, without the service.

Importing and configuring the service takes over a second of processor time. `--help`, `check`
of a catalogue file and `generate` of keys do not need it, nor any setting.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeVar, cast
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from flask import Flask, current_app, has_app_context
from flask.cli import AppGroup, FlaskGroup, ScriptInfo
from flask.ctx import AppContext

from preference_center.infra.cli_actor import add_staff_name_option

P = ParamSpec("P")
T = TypeVar("T")


class CommandApp(Flask):
    """Has the service's commands, and creates the service when a command needs it."""

    def __init__(self, create_service: Callable[[], Flask]) -> None:
        super().__init__("preference_center", static_folder=None)
        self._create_service = create_service

    @cached_property
    def service(self) -> Flask:
        """The service. Raises what `create_service` raises."""
        return self._create_service()

    def app_context(self) -> AppContext:
        """The context of the service, for Flask's own commands such as `flask routes`.

        `flask` also enters a context to look a command up. That one is this app's own.
        """
        context = click.get_current_context(silent=True)
        if context and isinstance(context.command, FlaskGroup):
            return super().app_context()
        return self.service.app_context()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """Let the service respond, for `flask run`."""
        return self.service(environ, start_response)


def with_service(command: Callable[P, T]) -> Callable[P, T]:
    """Run a command in the context of the service, like Flask's `with_appcontext`.

    Such a command has the option `--as`, since it may record what somebody does.
    """

    @click.pass_context
    @wraps(command)
    def wrapper(context: click.Context, /, *args: Any, **kwargs: Any) -> Any:
        if not has_app_context() or isinstance(_current_app(), CommandApp):
            app = context.ensure_object(ScriptInfo).load_app()
            context.with_resource(app.app_context())
            _learn_digest_keys()
        return context.invoke(command, *args, **kwargs)

    add_staff_name_option(wrapper)
    return cast("Callable[P, T]", wrapper)


def _learn_digest_keys() -> None:
    """Ask the database which digest keys are in use, before a command makes a digest."""
    from preference_center.core.errors import Unavailable  # noqa: PLC0415 - see the module
    from preference_center.infra.context import services  # noqa: PLC0415 - see the module
    from preference_center.infra.db.database import run_in_transaction  # noqa: PLC0415 - see the module

    if len(services().keys.digest_chain) > 1:
        with suppress(Unavailable):  # the command says so itself, if it needs the database
            run_in_transaction(lambda _: None)


class CommandGroup(AppGroup):
    """A group whose commands run `with_service`, unless they have `with_service=False`."""

    def command(  # type: ignore[override]
        self, *args: Any, with_service: bool = True, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], click.Command]:
        """Decorate a function as a command of this group."""
        decorator = super().command(*args, with_appcontext=False, **kwargs)
        return lambda function: decorator(_with_service(function) if with_service else function)


_with_service = with_service


def _current_app() -> Flask:
    return cast("Flask", current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - Flask's manual
