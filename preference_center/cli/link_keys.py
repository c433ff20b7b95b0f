"""`flask keys link-key` and its kin: keys with which senders make links offline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click
from flask.cli import with_appcontext

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

ACTOR = "cli"


@click.command("link-key")
@click.argument("name")
@click.option(
    "--topic",
    "topics",
    multiple=True,
    metavar="TOPIC",
    help="A topic that the key may make links for, or all_marketing; repeat it.",
)
@click.option(
    "--brand",
    "brands",
    multiple=True,
    metavar="BRAND",
    help="Every topic that this brand has today; repeat it.",
)
@with_appcontext
def link_key(name: str, topics: tuple[str, ...], brands: tuple[str, ...]) -> None:
    """Make a key for the sender NAME to make links with, offline, and print it, this once.

    It makes links of messages for the topics named here, and nothing else. Later topics
    need a key of their own. docs/links.md has the code for the sender.

    Example: flask keys link-key newsletter --brand acme
    """
    with click_errors():
        catalogue = current_catalogue()
        wanted = _select_topics(catalogue, topics, brands)
        key = run_in_transaction(lambda connection: _create_link_key(connection, name, wanted))
        rows = [_link_topic(catalogue, topic) for topic in key.topics]
        text = services().links.export_sender_key(key, rows)
    click.echo(text)
    click.echo(f"Keep it now: it won't be shown again. For: {', '.join(key.topics)}.", err=True)


@click.command("link-keys")
@with_appcontext
def link_keys() -> None:
    """Show all link keys of senders, without their secrets."""
    with click_errors():
        found = run_in_transaction(links.list_link_keys)
    for key in found:
        click.echo(_format_link_key(key))
    if not found:
        click.echo("No link keys yet: make one with `flask keys link-key`.", err=True)


@click.command("revoke-link-key")
@click.argument("name")
@with_appcontext
def revoke_link_key(name: str) -> None:
    """End the link key NAME for good, within two seconds everywhere.

    Every link made with it, before or after, still says no, and shows nothing else any more.
    Give the sender a new key first: mails that are out keep working, new ones need it.
    """
    with click_errors():
        ended = run_in_transaction(lambda connection: _revoke(connection, name))
    click.echo(f"{name} is revoked." if ended else f"{name} was revoked before.")


def _select_topics(catalogue: Catalogue, topics: Iterable[str], brands: Iterable[str]) -> list[str]:
    """The topics, each once. Raises InvalidInput for what the catalogue lacks."""
    wanted = [topic if topic == ALL_MARKETING else catalogue.topic(topic).key for topic in topics]
    for brand in brands:
        if brand not in catalogue.brands:
            hint = did_you_mean(brand, catalogue.brands) or "declare it there first"
            raise InvalidInput(f"the catalogue has no such brand; {hint}")
        own = [topic for topic in catalogue.topics.values() if topic.brand == brand]
        wanted += [topic.key for topic in own if not topic.retired]
    if not wanted:
        raise InvalidInput("say what it is for: --brand or --topic, each as often as you like")
    return list(dict.fromkeys(wanted))


def _create_link_key(connection: Connection, name: str, topics: Sequence[str]) -> SenderKey:
    now = services().now()
    key = links.create_link_key(connection, name, services().links.newest_key_id, topics, now)
    detail = {"name": name, "key_id": key.key_id, "topics": list(topics)}
    audit.insert_audit_entry(connection, now, ACTOR, "link_key.created", detail)
    return key


def _revoke(connection: Connection, name: str) -> bool:
    ended = links.revoke_link_key(connection, name, services().now())
    if ended:
        audit.insert_audit_entry(
            connection, services().now(), ACTOR, "link_key.revoked", {"name": name}
        )
    return ended


def _link_topic(catalogue: Catalogue, topic: str) -> LinkTopic:
    known = catalogue.topics.get(topic)
    channel = known.channel if known else Channel.EMAIL
    return LinkTopic(topic, channel, services().links.base_url(catalogue.host_for_scope(topic)))


def _format_link_key(key: SenderKey) -> str:
    state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "active"
    made = f"made {key.created_at:%Y-%m-%d}"
    return "\t".join((key.name, key.key_id, state, ",".join(key.topics), made))
