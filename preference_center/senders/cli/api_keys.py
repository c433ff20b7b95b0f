"""`flask keys add` and related commands: keys with which senders call the API."""

from __future__ import annotations

import click

from preference_center.infra.commands import actor, click_errors, with_service
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.senders.keys import create_api_key, revoke_api_key
from preference_center.web.api import keys
from preference_center.web.api.keys import ApiKey, KeyScope


@click.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in KeyScope]),
    help="What the key may do; repeatable. check: request decisions. read: read all addresses with"
    " their history, contacts, and the feed of changes. write: record opt-outs, consents, contacts"
    " and closed accounts, and import lists. lift: record a person's own opt-in, which lifts"
    " opt-outs, and reopen accounts. rights: restrict and erase, and handle requests of data"
    " subjects. links: create signed links. portal: open and read the"
    " preferences of any person, for your account page only; with write also change them.",
)
@click.option(
    "--message-type",
    "message_types",
    multiple=True,
    metavar="TYPE",
    help="A message type that the key may check; repeatable. '*' means all, including service"
    " messages: for trusted senders only.",
)
@click.option(
    "--rate",
    metavar="RATE",
    help="Its rate limit, e.g. '6000 per minute', or none for no limit. Default: the setting"
    " API_RATE.",
)
@with_service
def add(
    name: str, scopes: tuple[str, ...], message_types: tuple[str, ...], rate: str | None
) -> None:
    """Create and print an API key for the sender NAME. It is printed only once.

    Example: flask keys add shop --scope check --scope write --message-type receipt
    """
    key_scopes = [KeyScope(scope) for scope in scopes]
    with click_errors():
        text = run_in_transaction(
            lambda connection: create_api_key(
                connection, name, key_scopes, message_types, actor(), rate=rate
            )
        )
    click.echo(text)
    click.echo("Store it now: it can't be shown again.", err=True)


@click.command("list")
@with_service
def list_() -> None:
    """Show all keys, without their secrets."""
    with click_errors():
        found = run_in_transaction(keys.list_keys)
    for key in found:
        click.echo(_format_key(key))
    if not found:
        click.echo("No keys yet: create one with `flask keys add`.", err=True)


@click.command("revoke")
@click.argument("name")
@with_service
def revoke(name: str) -> None:
    """Revoke the key NAME permanently, within two seconds everywhere."""
    with click_errors():
        ended = run_in_transaction(lambda connection: revoke_api_key(connection, name, actor()))
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _format_key(key: ApiKey) -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
    types = ",".join(sorted(key.message_types)) or "-"
    created = f"created {key.created_at:%Y-%m-%d}"
    cells = (key.name, state, ",".join(sorted(key.scopes)), types, created)
    return "\t".join((*cells, key.rate) if key.rate else cells)
