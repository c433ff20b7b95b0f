"""`flask keys`: API keys and link keys of senders, and the keys of the service."""

from __future__ import annotations

import secrets

import click

from preference_center.core.key_rings import new_ring_entry
from preference_center.infra.commands import CommandGroup, LazyCommand, click_errors

keys = CommandGroup("keys", help="Manage the keys of senders, and generate those of the service.")
# All but `generate` need the database, whose modules take a second to import.
for name, target, text in (
    (
        "add",
        "preference_center.senders.cli:add",
        "Create and print an API key for the sender NAME.",
    ),
    (
        "list",
        "preference_center.senders.cli:list_",
        "Show all keys, without their secrets.",
    ),
    (
        "revoke",
        "preference_center.senders.cli:revoke",
        "Revoke the key NAME permanently, within two seconds everywhere.",
    ),
    (
        "events",
        "preference_center.senders.cli.recorded:events",
        "Show what the API key NAME recorded since a time, and how to retract it.",
    ),
    (
        "undo",
        "preference_center.senders.cli.recorded:undo",
        "Retract the opt-ins and consents that the revoked API key NAME recorded since a time.",
    ),
    (
        "link-key",
        "preference_center.senders.cli:link_key",
        "Create and print a key with which the sender NAME creates links offline.",
    ),
    (
        "link-keys",
        "preference_center.senders.cli:link_keys",
        "Show all link keys of senders, without their secrets.",
    ),
    (
        "revoke-link-key",
        "preference_center.senders.cli:revoke_link_key",
        "Revoke the link key NAME permanently, within two seconds everywhere.",
    ),
    (
        "rotate",
        "preference_center.infra.cli.rotation:rotate",
        "Bring stored data to the newest key while the service runs.",
    ),
    (
        "status",
        "preference_center.infra.cli.rotation:status",
        "Show how many rows each key still has, by column.",
    ),
):
    keys.add_command(LazyCommand(name, target, text))


@keys.command("generate", with_service=False)
@click.option(
    "--id",
    "key_id",
    default="k1",
    show_default=True,
    help="Id of the new keys. It is part of every link, so keep it short.",
)
def generate(key_id: str) -> None:
    """Print new keys for the environment of the service.

    Stores nothing, and needs no settings. For a new installation use all four lines. To rotate,
    give a new --id and put the new entry before the old ones in ENCRYPTION_KEYS or LINK_KEYS, but
    after them in DIGEST_KEYS, separated by a comma: docs/deploy.md has the steps.
    """
    with click_errors():
        for setting in ("DIGEST_KEYS", "ENCRYPTION_KEYS", "LINK_KEYS"):
            click.echo(f"{setting}={new_ring_entry(key_id)}")
    click.echo(f"SECRET_KEY={secrets.token_urlsafe(48)}")
