"""`flask keys link-key` and related commands: keys with which senders create links offline."""

from __future__ import annotations

import click

from preference_center.catalogue.store import current_catalogue
from preference_center.core.links.tokens import SenderKey
from preference_center.infra.commands import actor, click_errors, with_service
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.keys import link_keys as links
from preference_center.senders.keys import create_link_key, select_link_topics
from preference_center.senders.keys import revoke_link_key as revoke_key_of_sender


@click.command("link-key")
@click.argument("name")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC",
    help="A topic that the key may create links for, or all_marketing; repeatable.",
)
@click.option(
    "--brand",
    "brands",
    multiple=True,
    metavar="BRAND",
    help="Every topic that this brand currently has; repeatable.",
)
@with_service
def link_key(name: str, topics: tuple[str, ...], brands: tuple[str, ...]) -> None:
    """Create and print a key with which the sender NAME creates links offline.

    It is printed only once. It creates links for the given topics only; topics that are added
    later need another key. docs/links.md has the code for the sender.

    Example: flask keys link-key newsletter --brand acme
    """
    with click_errors():
        selected = select_link_topics(current_catalogue(), topics, brands)
        key, text = run_in_transaction(
            lambda connection: create_link_key(connection, name, selected, actor())
        )
    click.echo(text)
    click.echo(f"Store it now: it is not shown again. Topics: {', '.join(key.topics)}.", err=True)


@click.command("link-keys")
@with_service
def link_keys() -> None:
    """Show all link keys of senders, without their secrets."""
    with click_errors():
        found = run_in_transaction(links.list_link_keys)
    for key in found:
        click.echo(_format_link_key(key))
    if not found:
        click.echo("No link keys yet: create one with `flask keys link-key`.", err=True)


@click.command("revoke-link-key")
@click.argument("name")
@with_service
def revoke_link_key(name: str) -> None:
    """Revoke the link key NAME permanently, within two seconds everywhere.

    Links created with it, before or after, still opt out, but no longer show preferences. Give
    the sender a new key first: links in delivered mails keep working, new ones need the new key.
    """
    with click_errors():
        ended = run_in_transaction(
            lambda connection: revoke_key_of_sender(connection, name, actor())
        )
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _format_link_key(key: SenderKey) -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
    created = f"created {key.created_at:%Y-%m-%d}"
    return "\t".join((key.name, key.key_id, state, ",".join(key.topics), created))
