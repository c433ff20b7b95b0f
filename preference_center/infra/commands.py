"""The `flask` command loads this application, which imports a command when somebody uses it.

The application has the commands without the service: importing and configuring the service takes
over a second of processor time. `--help`, `check` of a catalogue file and `generate` of keys need
neither the service nor any setting.

`flask --help` lists the commands, for operators, support and deployment. To add a command, write
it in the `cli` of its subject and list it in `_COMMANDS`; tests/infra/cli/test_commands.py compares
the list with the commands.

Exit codes: 0 is success. 1 is failure; the message states the reason. 2 is an invalid command
line (click's own code). `actor` names who runs a command, for everything that a command records.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar, cast
from wsgiref.types import StartResponse, WSGIEnvironment

import click
from flask import Flask, current_app, has_app_context
from flask.cli import AppGroup, FlaskGroup, ScriptInfo
from flask.ctx import AppContext

from preference_center.core.errors import InvalidInput, PreferenceCenterError, Unavailable
from preference_center.core.staff import validate_staff_name


class LazyCommand(click.Command):
    """A placeholder for the command or group at `target`, "module:attribute".

    Listing it shows `help` without importing `target`: the first sentence of the command's own.
    """

    def __init__(self, name: str, target: str, help: str) -> None:  # noqa: A002 - as in click
        super().__init__(name, help=help)
        self.target = target

    def load(self) -> click.Command:
        """Import the command."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the command itself, which click then invokes."""
        return self.load().make_context(info_name, args, parent, **extra)


@contextmanager
def click_errors() -> Iterator[None]:
    """Turn our errors into a message and exit code instead of a traceback."""
    try:
        yield
    except Unavailable as error:
        stated = f" ({error.reason})" if error.reason else ""
        raise click.ClickException(f"{error}{stated}") from None
    except PreferenceCenterError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def click_bad_parameter(name: str) -> Iterator[None]:
    """The same for the value of one argument or option: exit code 2, with usage."""
    try:
        yield
    except InvalidInput as error:
        raise click.BadParameter(str(error), param_hint=name) from None


def read_stdin_lines(prompt: str) -> Iterator[str]:
    """The non-blank lines of standard input; `prompt` is shown on a terminal.

    For personal data: the arguments of a command are visible to every user of the host, and the
    shell stores them (I12).
    """
    stream = sys.stdin
    if stream.isatty():
        click.echo(f"{prompt}, one per line; end with Ctrl-D:", err=True)
    return (line.strip() for line in stream if line.strip())


def reject_address_arguments(arguments: Sequence[str], example: str) -> None:
    """Raises UsageError if an address was given on the command line; `-` is allowed."""
    if any(text != "-" for text in arguments):
        raise click.UsageError(
            "an address on the command line is visible to every user of this host, and stays in"
            " the shell's history. Omit it and type it at the prompt, or pipe it:"
            f" {example}"
        )


def format_count(count: int, limit: int) -> str:
    """A count that stops at a limit."""
    return f"{count:,} or more" if count >= limit else f"{count:,}"


class Timestamp(click.ParamType[datetime]):
    """A point in time with its time zone (ISO 8601), as an aware datetime."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Parse a time; fails with a message that shows the format."""
        if isinstance(value, datetime):
            return value
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("not a valid time; use e.g. 2026-11-24T09:30+01:00", param, ctx)
        if time.tzinfo is None:
            self.fail("add the time zone, e.g. 2026-11-24T09:30+01:00", param, ctx)
        return time


SOURCE = "cli"


STAFF_NAME = "STAFF_NAME"
"""The environment variable that names who runs commands in this environment."""


_KEY = f"{__name__}.name"
"""Where the context of a command, and of those that called it, keeps what `--as` gave."""


def actor() -> str:
    """`cli:NAME`: that of `--as`, of STAFF_NAME, or of the operating system's user.

    A user without a name, as containers have, or whose name can't be recorded, is `uid-` and the
    number.
    """
    context = click.get_current_context(silent=True)
    given = context.meta.get(_KEY) if context else None
    return f"{SOURCE}:{given or _name_of_environment() or _name_of_user()}"


def staff_name_option() -> click.Option:
    """The option `--as`, of commands and of the program itself; the innermost one counts."""
    return click.Option(
        ["--as", "staff_name"],
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help=f"Who you are, for the audit; default: {STAFF_NAME}, else your user on this machine.",
    )


def add_staff_name_option(function: Callable[..., Any]) -> None:
    """Give `--as` to a function that becomes a command, as the last of its options."""
    # Where click's own decorators collect them, in reverse.
    function.__dict__.setdefault("__click_params__", []).insert(0, staff_name_option())


def _remember(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        try:
            context.meta[_KEY] = validate_staff_name(value)
        except InvalidInput as error:
            raise click.BadParameter(str(error)) from None
    elif context.parent and _KEY not in context.meta and not context.resilient_parsing:
        _name_of_environment()  # before the command does anything


def _name_of_environment() -> str | None:
    name = os.environ.get(STAFF_NAME)
    try:
        return validate_staff_name(name) if name else None
    except InvalidInput as error:
        raise click.UsageError(f"{STAFF_NAME}: {error}") from None


def _name_of_user() -> str:
    try:
        return validate_staff_name(getpass.getuser())
    except (InvalidInput, KeyError, OSError):  # the last two: /etc/passwd has nobody of this number
        return f"uid-{os.getuid()}"


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
            _ask_database()
        return context.invoke(command, *args, **kwargs)

    add_staff_name_option(wrapper)
    return cast("Callable[P, T]", wrapper)


def _ask_database() -> None:
    """Learn the time of the database and the digest keys in use, before a command needs them.

    This host's clock may be wrong (I5).
    """
    from preference_center.core.errors import Unavailable  # noqa: PLC0415 - see the module
    from preference_center.infra.db.transactions import run_in_transaction  # noqa: PLC0415 - see the module

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


_COMMANDS = {
    "addresses": (
        "preference_center.ledger.cli:addresses",
        "Maintain the lookup forms of stored addresses.",
    ),
    "alerts": (
        "preference_center.monitoring.cli:alerts_group",
        "Conditions that somebody must learn of, and who is informed.",
    ),
    "catalogue": (
        "preference_center.catalogue.cli:catalogue",
        "Check and apply the catalogue of brands, topics and message types.",
    ),
    "check-domain": (
        "preference_center.senders.cli:check_domain",
        "Check the hosts of our links, as mail clients see them.",
    ),
    "check-mail": (
        "preference_center.senders.cli:check_mail",
        "Check one received mail: FILE as .eml, or - for standard input.",
    ),
    "cookies": (
        "preference_center.cookies.cli:group",
        "What browsers chose about cookies: counts for compliance.",
    ),
    "db": ("preference_center.app.tables:migrations", "Perform database migrations."),
    "destinations": (
        "preference_center.destinations.cli:destinations",
        "Manage the connected tools, to which every opt-out is pushed.",
    ),
    "erasures": (
        "preference_center.rights.cli:erasures_group",
        "Erase people, see what is still open in which tool, replay the journal.",
    ),
    "export": (
        "preference_center.lists.cli.export:export",
        "Write all suppressed addresses, in the format that another tool imports.",
    ),
    "feed": (
        "preference_center.ledger.cli:feed",
        "The feed of changes for senders and data teams.",
    ),
    "imports": (
        "preference_center.lists.cli.imports:imports",
        "Import opt-outs and subscriptions of other tools.",
    ),
    "inbound": (
        "preference_center.inbound.cli:group",
        "Process opt-outs from mail, text messages and vendor events.",
    ),
    "keys": (
        "preference_center.infra.cli.keys:keys",
        "Manage the keys of senders, and generate those of the service.",
    ),
    "ledger": (
        "preference_center.ledger.cli:ledger",
        "Verify the events of the ledger, and answer from a restored one.",
    ),
    "links": (
        "preference_center.senders.cli.links:links",
        "Permanent links, to upload into a tool as a custom field.",
    ),
    "opt-out": (
        "preference_center.contacts.cli:opt_out",
        "Record an opt-out, and push it to every connected tool.",
    ),
    "policies": (
        "preference_center.contacts.cli:group",
        "Versions of the privacy policy: inform people, and see who was informed.",
    ),
    "receipts": ("preference_center.recipients.cli:receipts", "Find the evidence of a message id."),
    "redis": ("preference_center.infra.cli.redis:group", "The user of REDIS_URL."),
    "reports": (
        "preference_center.reports.cli:group",
        "Counts per day, which the reports of the console show.",
    ),
    "retention": (
        "preference_center.rights.cli:retention_group",
        "What is past its retention, as the catalogue's [retention] states it.",
    ),
    "scrub": (
        "preference_center.lists.cli.scrub:scrub_",
        "Split LIST into rows that may be sent a message and rows that may not.",
    ),
    "staff": (
        "preference_center.web.console.cli:group",
        "Accounts of the console, and who is signed in to it.",
    ),
    "snapshot": (
        "preference_center.lists.cli.scrub:snapshot",
        "Create and inspect snapshots of all decisions, for scrubbing lists.",
    ),
    "spool": (
        "preference_center.ledger.cli:spool_group",
        "Opt-outs received while PostgreSQL was unavailable, on this host's disk.",
    ),
    "statistics": (
        "preference_center.reports.cli:statistics",
        "Print the counts of each finished month as tab-separated values, the newest first.",
    ),
}
"""Every command: its module and attribute, and the first sentence of its help."""


COMMANDS = {name: LazyCommand(name, target, text) for name, (target, text) in _COMMANDS.items()}


def register(app: Flask) -> None:
    """Give the app its commands."""
    for command in COMMANDS.values():
        app.cli.add_command(command)
