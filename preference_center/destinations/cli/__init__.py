"""`flask destinations`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from textwrap import fill
from typing import Any

import click

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.destinations import set_up
from preference_center.destinations.change_settings import change_settings
from preference_center.destinations.cli import status
from preference_center.destinations.cli.status import observe, replay, show
from preference_center.destinations.rules.states import (
    Destination,
    PermanentCondition,
    repeats_drift,
)
from preference_center.destinations.set_up import title_hints, webhook_url
from preference_center.destinations.store import backfills
from preference_center.destinations.store import destinations as stored
from preference_center.destinations.store.backfills import Backfill
from preference_center.destinations.store.destinations import DestinationBacklog
from preference_center.destinations.validate import DestinationRequest
from preference_center.infra.commands import CommandGroup, actor, click_errors
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.integrations.base.contract import CheckReport
from preference_center.integrations.base.integration import Integration
from preference_center.integrations.registry import (
    get_integration,
    list_kinds,
    load_integrations,
)

ENV_PREFIX = "env:"

destinations = CommandGroup(
    "destinations", help="Manage the connected tools, to which every opt-out is pushed."
)


class ConnectorKind(click.ParamType[str]):
    """A kind of destination, looked up when it is given."""

    name = "kind"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The same; fails with the kinds that there are."""
        kinds = list_kinds()
        if value not in kinds:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, kinds))}.", param, ctx)
        return str(value)


for command in (observe, replay, show):
    destinations.add_command(command)


class KeyValue(click.ParamType[tuple[str, str]]):
    """`key=value`, split at the first `=`; with `allow_empty`, also `key=`."""

    name = "key=value"

    def __init__(self, *, allow_empty: bool = False) -> None:
        self._allow_empty = allow_empty

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """The key and the value; fails with a message that shows the format."""
        if isinstance(value, tuple):
            return value
        key, sign, text = str(value).partition("=")
        if not (key and sign and (text or self._allow_empty)):
            # Not the value itself: it may be a secret.
            self.fail("use key=value, with text on both sides of the =", param, ctx)
        return key, text


@destinations.command("kinds")
@click.argument("kind", required=False, type=ConnectorKind(), metavar="[KIND]")
def kinds(kind: str | None) -> None:
    """List the supported kinds of tools, or the settings of KIND."""
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
    help="A setting of the account; repeatable. KEY=env:VARIABLE reads the value from the"
    " environment, so that a secret does not appear in the shell's history.",
)
@click.option(
    "--topic",
    "mapping",
    multiple=True,
    type=KeyValue(),
    metavar="OURS=THEIRS",
    help="A topic that the tool sends, and its group, list or subscription type there; repeatable.",
)
@click.option(
    "--sends",
    multiple=True,
    metavar="TOPIC",
    help="A topic that the tool sends under the same name; repeatable.",
)
@click.option("--sends-service", is_flag=True, help="This account also sends service messages.")
def add(
    name: str,
    kind: str,
    settings: tuple[tuple[str, str], ...],
    mapping: tuple[tuple[str, str], ...],
    sends: tuple[str, ...],
    sends_service: bool,  # noqa: FBT001 - click passes it by name
) -> None:
    """Check the tool NAME and add it as a destination.

    `flask destinations kinds KIND` lists the settings of a kind of tool. If the tool has a
    supported webhook, the command prints the URL to configure there.

    The destination starts in *observe*: it shows what it would push and writes nothing until
    `flask destinations resume NAME`. If the check finds a problem, nothing is stored, and every
    problem is printed with its remedy.

    With millions of opt-outs the backfill takes minutes. Ctrl-C is safe: workers continue it, and
    `flask destinations show NAME` shows its progress.

    Example: flask destinations add newsletter --kind sendgrid
    --set api_key=env:SENDGRID_KEY --topic acme.offers=12345
    """
    request = DestinationRequest(
        name=name,
        kind=kind,
        settings=_parse_settings(settings, kind),
        mapping=_unique_pairs(mapping, "--topic"),
        sends=frozenset(sends),
        sends_service=sends_service,
    )
    with click_errors():
        added = set_up.add_destination(request, actor(), status.progress_printer())
    if added.webhook_only:
        click.echo(f"{name} is added. Its webhooks are processed from now on.")
    else:
        click.echo(
            f"{name} is added in observe: {added.backfill_rows} suppressed addresses would be "
            "pushed."
        )
    _echo_report(added.report)
    url = webhook_url(name, kind, request.settings)
    if url is not None:
        click.echo(f"URL for its webhook: {url}")
    if not added.webhook_only:
        click.echo(
            f"To preview what would be pushed and ingested: flask destinations observe {name}"
        )
        click.echo(f"Nothing is written there yet. To start: flask destinations resume {name}")


@destinations.command("set")
@click.argument("name")
@click.argument(
    "settings", nargs=-1, required=True, type=KeyValue(allow_empty=True), metavar="KEY=VALUE..."
)
def set_(name: str, settings: tuple[tuple[str, str], ...]) -> None:
    """Change settings of NAME, e.g. a revoked key, if the tool accepts them.

    KEY=env:VARIABLE reads the value from the environment, and KEY= removes a setting. Other
    settings stay unchanged, and all do if `check` would find a problem.

    The account and the list stay the same: what was pushed is not pushed again. For another
    account or list, remove NAME and add it again.

    Example: flask destinations set newsletter api_key=env:SENDGRID_KEY
    """
    with click_errors():
        kind = run_in_transaction(lambda c: stored.get_by_name(c, services().keys, name)).kind
        change_settings(name, _parse_settings(settings, kind), actor())
    click.echo(f"{name} is changed. If it was rejected before: flask destinations resume {name}")


@destinations.command("list")
def list_() -> None:
    """List all destinations: state, kind, pending addresses, drift, and topics."""
    with click_errors():
        found = run_in_transaction(
            lambda connection: stored.list_destinations(connection, services().keys)
        )
        known = run_in_transaction(stored.load_backlogs)
        unfinished = run_in_transaction(backfills.list_unfinished)
        catalogue = current_catalogue_or_empty()
    for destination in found:
        backfill = unfinished.get(destination.id)
        click.echo("\t".join(_row_cells(destination, known[destination.name], backfill)))
    for destination in found:
        for hint in title_hints(destination.name, catalogue):
            click.echo(f"note: {destination.name}: {hint}", err=True)
    if not found:
        click.echo("No destinations yet: add one with `flask destinations add`.", err=True)


@destinations.command()
@click.argument("name")
def check(name: str) -> None:
    """Check the connection to the tool NAME; changes nothing.

    Verifies the credentials, their permissions (including write access, where the tool reports
    it) and that all mapped targets exist, and lists targets in the tool to which no topic is
    mapped. Exits with 1 if there is a problem.
    """
    with click_errors():
        report = set_up.check_destination(name)
    _echo_report(report)
    for problem in report.problems:
        click.echo(f"problem: {problem}", err=True)
    if not report.ok:
        raise click.exceptions.Exit(1)
    click.echo(f"{name}: no problems found.")


@destinations.command()
@click.argument("name")
def pause(name: str) -> None:
    """Stop pushing to NAME until `resume`. The 72 hours of its opt-outs keep running."""
    with click_errors():
        set_up.pause_destination(name, actor())
        row = run_in_transaction(stored.load_backlogs)[name]
    click.echo(f"{name} is paused; {_format_backlog(row)}.")
    click.echo("The 72 hours keep running: /healthz reports delays of 36 hours.")


@destinations.command()
@click.argument("name")
def resume(name: str) -> None:
    """Start pushing to NAME, from observe or after a pause, if `check` finds no problem.

    The first time, its own opt-outs are ingested before the backfill starts; new opt-outs are
    pushed immediately. For the progress: flask destinations show NAME

    It also retries a destination that rejected us, immediately.
    """
    with click_errors():
        set_up.resume_destination(name, actor(), status.progress_printer())
        row = run_in_transaction(stored.load_backlogs)[name]
    click.echo(f"{name} is active; {_format_backlog(row)}.")


@destinations.command()
@click.argument("name")
@click.argument("condition", type=click.Choice([each.value for each in PermanentCondition]))
@click.option("--undo", is_flag=True, help="Let the alert tell of it again.")
def accept(name: str, condition: str, *, undo: bool) -> None:
    """End the alert CONDITION about NAME, once you have understood its cause and accept it.

    Refused addresses: those received until now; a later one is an alert again. That the tool knows
    nobody: until its settings are changed.

    Example: flask destinations accept newsletter tool_knows_nobody
    """
    with click_errors():
        accepted = PermanentCondition(condition)
        set_up.accept_condition(name, accepted, actor(), is_accepted=not undo)
    click.echo(f"{name}: {condition} is {'no longer ' if undo else ''}accepted.")


@destinations.command()
@click.argument("name")
@click.confirmation_option(prompt="Opt-outs will no longer reach it. Remove it?")
def remove(name: str) -> None:
    """Forget NAME, which must be paused or observed: nothing is pushed to it or read from it.

    What was delivered to it stays as proof. The tool itself is not changed: no opt-out is
    lifted there.
    """
    with click_errors():
        set_up.remove_destination(name, actor())
    click.echo(f"{name} is removed.")


def _parse_settings(pairs: tuple[tuple[str, str], ...], kind: str) -> Mapping[str, str]:
    settings, secrets = {}, get_integration(kind).load_secret_settings()
    for key, value in _unique_pairs(pairs, "--set").items():
        if value.startswith(ENV_PREFIX):
            settings[key] = _read_env_variable(value.removeprefix(ENV_PREFIX))
            continue
        if key in secrets:
            click.echo(
                f"{key} is a secret, and is now in the shell's history: "
                f"next time use {key}=env:VARIABLE",
                err=True,
            )
        settings[key] = value
    return settings


def _read_env_variable(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise click.BadParameter(
            f"the environment variable {variable} is not set: export it first", param_hint="--set"
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
    for target in report.unmapped_targets:
        click.echo(f"no topic maps to: {target}")
    for permission in report.permissions:
        state = "granted" if permission.is_granted else "missing"
        click.echo(f"permission to {permission.purpose}: {permission.name}, {state}")
    for hint in report.hints:
        click.echo(f"note: {hint}")


def _format_backlog(pending: DestinationBacklog) -> str:
    if pending.due_at is None:
        return "nothing is pending"
    return (
        f"{pending.pending_count} addresses are pending, the first is due "
        f"{pending.due_at:%Y-%m-%d %H:%M} UTC"
    )


def _row_cells(
    destination: Destination, pending: DestinationBacklog, backfill: Backfill | None
) -> Iterator[str]:
    yield destination.name
    yield destination.kind
    yield pending.status_label
    yield f"{pending.pending_count} pending"
    if backfill:
        yield f"backfill: {status.format_progress(backfill)}"
    if pending.drift_total:
        repeats = ", repeats" if repeats_drift(pending.drift_repeated_at, services().now()) else ""
        yield f"drift: {pending.drift_total}, {pending.drifted_count} not yet fixed{repeats}"
    sends = (
        f"{topic}={destination.mapping[topic]}" if topic in destination.mapping else topic
        for topic in sorted(destination.sends)
    )
    yield ",".join(sends)
    if destination.sends_service:
        yield "service messages too"
    if destination.reason:
        yield destination.reason
