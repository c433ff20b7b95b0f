"""`flask destinations`: the connected tools."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

import click
from flask.cli import AppGroup

from preference_center.cli import backfill_progress
from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.destinations import manage as setting_up
from preference_center.domain.sync.destination import Destination
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.shared_secret import SECRET_SETTING
from preference_center.integrations.registry import (
    find_webhook,
    get_integration,
    list_kinds,
    load_integrations,
)
from preference_center.storage.db.database import run_in_transaction
from preference_center.storage.sync import backfills
from preference_center.storage.sync import backlog as waiting
from preference_center.storage.sync import destinations as stored
from preference_center.storage.sync.backfills import Backfill
from preference_center.storage.sync.backlog import DestinationBacklog

ACTOR = "cli"
ENV_PREFIX = "env:"

destinations = AppGroup("destinations", help="Connected tools, which are told of every opt-out.")


class ConnectorKind(click.ParamType[str]):
    """A kind of destination, looked up when it is given."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same; fails with the kinds that there are."""
        kinds = list_kinds()
        if value not in kinds:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, kinds))}.", param, ctx)
        return str(value)


class KeyValue(click.ParamType[tuple[str, str]]):
    """`key=value`, split at the first `=`; with `clearing`, also `key=`."""

    name = "pair"

    def __init__(self, *, allow_empty: bool = False) -> None:
        self._allow_empty = allow_empty

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The two halves; fails with what to mend."""
        if isinstance(value, tuple):
            return value
        key, sign, text = str(value).partition("=")
        if not (key and sign and (text or self._allow_empty)):
            # Not the value itself: it may be a secret.
            self.fail("write it as key=value, with something on either side", param, ctx)
        return key, text


@destinations.command("kinds")
@click.argument("kind", required=False, type=ConnectorKind(), metavar="[KIND]")
def kinds(kind: str | None) -> None:
    """Show the kinds of tools there are, or what KIND needs to be set up."""
    if kind is None:
        for integration in load_integrations().values():
            click.echo(f"{integration.kind}\t{integration.title}")
    else:
        with click_errors():
            click.echo(_describe_kind(get_integration(kind)))


def _describe_kind(integration: Integration) -> str:
    lines = [f"{integration.title} (tested against: {integration.load_spec().tested_against})"]
    for name, meaning in integration.load_settings().items():
        optional = " (optional)" if name.endswith("?") else ""
        text = f"--set {name.removesuffix('?')}=...{optional}: {meaning}"
        lines.append(fill(text, 88, initial_indent="  ", subsequent_indent="      "))
    return "\n".join(lines)


@destinations.command("add")
@click.argument("name")
@click.option(
    "--kind",
    type=ConnectorKind(),
    required=True,
    help="The kind of tool: see `flask destinations kinds`.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    type=KeyValue(),
    metavar="KEY=VALUE",
    help="A setting of the account; repeat it. KEY=env:VARIABLE reads the value from the"
    " environment, so that a secret never stands in the shell's history.",
)
@click.option(
    "--topic",
    "mapping",
    multiple=True,
    type=KeyValue(),
    metavar="OURS=THEIRS",
    help="A topic that the tool sends, and its group, list or subscription type there; repeat it.",
)
@click.option(
    "--sends",
    multiple=True,
    metavar="TOPIC",
    help="A topic that the tool sends under our own name for it; repeat it.",
)
@click.option("--sends-service", is_flag=True, help="Service mail goes through this account too.")
def add(
    name: str,
    kind: str,
    settings: tuple[tuple[str, str], ...],
    mapping: tuple[tuple[str, str], ...],
    sends: tuple[str, ...],
    sends_service: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Set up the tool NAME, after asking it whether all is right.

    What a kind of tool needs: flask destinations kinds KIND. Says where it is to report to,
    if it has a webhook that is understood.

    It begins in *observe*: it shows what it would push and writes nothing until
    `flask destinations resume NAME`. If anything is wrong, nothing is stored, and every
    fault is told with its remedy.

    With millions of opt-outs the back-fill takes minutes. Ctrl-C is safe then: workers go on
    with it, and `flask destinations show NAME` says how far it is.

    Example: flask destinations add newsletter --kind sendgrid
    --set api_key=env:SENDGRID_KEY --topic acme.offers=12345
    """
    wish = setting_up.DestinationRequest(
        name=name,
        kind=kind,
        settings=_parse_settings(settings, kind),
        mapping=_unique_pairs(mapping, "--topic"),
        sends=frozenset(sends),
        sends_service=sends_service,
    )
    with click_errors():
        added = setting_up.add_destination(wish, ACTOR, backfill_progress.progress_printer())
    if added.webhook_only:
        click.echo(f"{name} is set up, and listened to from now on.")
    else:
        click.echo(
            f"{name} is set up in observe: {added.backfill_rows} suppressed addresses would be "
            "pushed."
        )
    _echo_report(added.report)
    _echo_webhook_url(wish)
    if not added.webhook_only:
        click.echo(f"What it would bring and be told: flask destinations observe {name}")
        click.echo(f"Nothing is written there yet. To let it: flask destinations resume {name}")


@destinations.command("set")
@click.argument("name")
@click.argument(
    "settings", nargs=-1, required=True, type=KeyValue(allow_empty=True), metavar="KEY=VALUE..."
)
def set_(name: str, settings: tuple[tuple[str, str], ...]) -> None:
    """Change settings of NAME, e.g. a key that was revoked, if the tool accepts them.

    KEY=env:VARIABLE reads the value from the environment, and KEY= takes a setting away.
    What is not named stays as it is, and so does everything if `check` would find a problem.

    Example: flask destinations set newsletter api_key=env:SENDGRID_KEY
    """
    with click_errors():
        kind = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name)).kind
        setting_up.change_settings(name, _parse_settings(settings, kind), ACTOR)
    click.echo(f"{name} is changed. If it was turned away: flask destinations resume {name}")


@destinations.command("list")
def list_() -> None:
    """Show all destinations: state, kind, what waits, drift, and what they send."""
    with click_errors():
        found = run_in_transaction(
            lambda connection: stored.list_destinations(connection, services().keys)
        )
        known = run_in_transaction(waiting.load_backlogs)
        unfinished = run_in_transaction(backfills.list_unfinished)
    for destination in found:
        backfill = unfinished.get(destination.id)
        click.echo(_format_row(destination, known[destination.name], backfill))
    if not found:
        click.echo("No destinations yet: set one up with `flask destinations add`.", err=True)


@destinations.command()
@click.argument("name")
def check(name: str) -> None:
    """Ask the tool NAME whether it may be sent to; changes nothing.

    Verifies the credentials and that everything mapped exists, asks what the credentials
    may do, writing included, where the tool can be asked, and names what the tool has that
    no topic maps to. Exits with 1 if there is a problem.
    """
    with click_errors():
        report = setting_up.check_destination(name)
    _echo_report(report)
    for problem in report.problems:
        click.echo(f"problem: {problem}", err=True)
    if not report.ok:
        raise click.exceptions.Exit(1)
    click.echo(f"{name} is in order.")


@destinations.command()
@click.argument("name")
def pause(name: str) -> None:
    """Write nothing more to NAME until `resume`. The 72 hours of its opt-outs run on."""
    with click_errors():
        setting_up.pause_destination(name, ACTOR)
        row = run_in_transaction(waiting.load_backlogs)[name]
    click.echo(f"{name} is paused; {_format_backlog(row)}.")
    click.echo(
        "Their clock keeps running: `flask syncs overdue` and /healthz shout from 36 hours on."
    )


@destinations.command()
@click.argument("name")
def resume(name: str) -> None:
    """Let NAME be written to, from observe or after a pause, if `check` finds no problem.

    The first time, its own opt-outs are read in before the back-fill begins; what people
    say meanwhile goes there at once. How far it is: flask destinations show NAME

    Also makes one that the tool turned away be tried again at once.
    """
    with click_errors():
        setting_up.resume_destination(name, ACTOR, backfill_progress.progress_printer())
        row = run_in_transaction(waiting.load_backlogs)[name]
    click.echo(f"{name} is active; {_format_backlog(row)}.")


def _parse_settings(pairs: tuple[tuple[str, str], ...], kind: str) -> Mapping[str, str]:
    settings, secrets = {}, get_integration(kind).load_secret_settings()
    for key, value in _unique_pairs(pairs, "--set").items():
        if value.startswith(ENV_PREFIX):
            settings[key] = _read_env_variable(value.removeprefix(ENV_PREFIX))
            continue
        if key in secrets:
            click.echo(
                f"{key} is a secret, and now stands in the shell's history: "
                f"next time write {key}=env:VARIABLE",
                err=True,
            )
        settings[key] = value
    return settings


def _read_env_variable(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise click.BadParameter(
            f"the environment has no {variable}: export it first", param_hint="--set"
        )
    return value


def _unique_pairs(pairs: tuple[tuple[str, str], ...], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise click.BadParameter(f"{key} is given twice: keep one", param_hint=option)
        found[key] = value
    return found


def _echo_report(report: CheckReport) -> None:
    for thing in report.unmapped_targets:
        click.echo(f"no topic maps to: {thing}")
    for right in report.permissions:
        click.echo(
            f"right to {right.purpose}: {right.name}, {'held' if right.is_granted else 'missing'}"
        )
    for hint in report.hints:
        click.echo(f"note: {hint}")


def _echo_webhook_url(request: setting_up.DestinationRequest) -> None:
    """Where the tool is to report to; the secret itself is not shown."""
    webhook = find_webhook(request.kind)
    if webhook is None:
        return
    url = f"{services().links.public_url}/in/{request.name}"
    if webhook.secret_in_path and request.settings.get(SECRET_SETTING):
        url += f"/{SECRET_SETTING.upper()} (write the secret itself at its end)"
    click.echo(f"URL for its webhook: {url}")


def _format_backlog(pending: DestinationBacklog) -> str:
    if pending.due_at is None:
        return "nothing waits to be pushed"
    return (
        f"{pending.pending_count} addresses wait, the first is due "
        f"{pending.due_at:%Y-%m-%d %H:%M} UTC"
    )


def _format_row(
    destination: Destination, pending: DestinationBacklog, backfill: Backfill | None
) -> str:
    return "\t".join(_row_cells(destination, pending, backfill))


def _row_cells(
    destination: Destination, pending: DestinationBacklog, backfill: Backfill | None
) -> Iterator[str]:
    yield destination.name
    yield destination.kind
    yield pending.status_label
    yield f"{pending.pending_count} pending"
    if backfill:
        yield f"back-fill: {backfill_progress.format_progress(backfill)}"
    if pending.drift_total:
        yield f"drift: {pending.drift_total}, {pending.drifted_count} not yet mended"
    sends = (
        f"{topic}={destination.mapping[topic]}" if topic in destination.mapping else topic
        for topic in sorted(destination.sends)
    )
    yield ",".join(sends)
    if destination.sends_service:
        yield "service mail too"
    if destination.reason:
        yield destination.reason
