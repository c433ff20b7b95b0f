"""`flask keys link-key` and related commands: keys with which senders create links offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from preference_center.cli.actor import actor
from preference_center.cli.command_app import with_service
from preference_center.cli.errors import click_errors
from preference_center.context import services
from preference_center.domain.addresses import Channel
from preference_center.domain.catalogue import Catalogue
from preference_center.domain.catalogue.reader import did_you_mean
from preference_center.domain.events import ALL_MARKETING
from preference_center.errors import InvalidInput
from preference_center.links import LinkTopic, SenderKey
from preference_center.storage.access import audit
from preference_center.storage.access import link_keys as links
from preference_center.storage.catalogues import current_catalogue
from preference_center.storage.db.database import Connection, run_in_transaction


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
        catalogue = current_catalogue()
        selected = _select_topics(catalogue, topics, brands)
        key = run_in_transaction(lambda connection: _create_link_key(connection, name, selected))
        rows = [_link_topic(catalogue, topic) for topic in key.topics]
        text = services().links.export_sender_key(key, rows)
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
        ended = run_in_transaction(lambda connection: _revoke(connection, name))
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _select_topics(catalogue: Catalogue, topics: Iterable[str], brands: Iterable[str]) -> list[str]:
    """The topics, without duplicates. Raises InvalidInput for those not in the catalogue."""
    selected = [topic if topic == ALL_MARKETING else catalogue.topic(topic).key for topic in topics]
    for brand in brands:
        if brand not in catalogue.brands:
            hint = did_you_mean(brand, catalogue.brands) or "declare it there first"
            raise InvalidInput(f"the catalogue has no such brand; {hint}")
        topics_of_brand = [topic for topic in catalogue.topics.values() if topic.brand == brand]
        selected += [topic.key for topic in topics_of_brand if not topic.retired]
    if not selected:
        raise InvalidInput("give at least one --brand or --topic; both are repeatable")
    return list(dict.fromkeys(selected))


def _create_link_key(connection: Connection, name: str, topics: Sequence[str]) -> SenderKey:
    now = services().now()
    key = links.create_link_key(connection, name, services().links.newest_key_id, topics, now)
    detail = {"name": name, "key_id": key.key_id, "topics": list(topics)}
    audit.insert_audit_entry(connection, now, actor(), "link_key.created", detail)
    return key


def _revoke(connection: Connection, name: str) -> bool:
    ended = links.revoke_link_key(connection, name, services().now())
    if ended:
        audit.insert_audit_entry(
            connection, services().now(), actor(), "link_key.revoked", {"name": name}
        )
    return ended


def _link_topic(catalogue: Catalogue, topic: str) -> LinkTopic:
    known = catalogue.topics.get(topic)
    channel = known.channel if known else Channel.EMAIL
    return LinkTopic(topic, channel, services().links.base_url(catalogue.host_for_scope(topic)))


def _format_link_key(key: SenderKey) -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
    created = f"created {key.created_at:%Y-%m-%d}"
    return "\t".join((key.name, key.key_id, state, ",".join(key.topics), created))
