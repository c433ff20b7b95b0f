"""`flask contacts`: for support, who looks up a person or closes and reopens an account."""

from __future__ import annotations

from datetime import datetime

import click
from flask.cli import AppGroup

from preference_center import contacts
from preference_center.cli.errors import Moment, mending, mending_argument
from preference_center.domain import sender_requests
from preference_center.domain.addresses import Address, Channel, mask, parse
from preference_center.domain.contacts import Contact, Named
from preference_center.domain.sender_requests import Origin, Proof
from preference_center.extensions import services
from preference_center.storage.access.key_fingerprints import require_known_keys

group = AppGroup(
    "contacts",
    help="Look up a person by an address, close an account, open it again."
    " The address is asked for, or read from standard input, so that it stands in no shell"
    " history and no list of processes.",
)

_channel = click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="What the address receives.",
)


@group.command("show")
@_channel
def show(channel: str) -> None:
    """Show whose address it is, by exactly this form of it; other addresses masked.

    Example: flask contacts show < address.txt
    """
    address = _asked(channel)
    with mending():
        require_known_keys()
        _print(contacts.read([Named(address=address)]).find(Named(address=address)))


@group.command("deactivate")
@_channel
@click.option(
    "--received-at",
    type=Moment(),
    help="When it reached the company, e.g. 2026-11-24T09:30+01:00; now if left out."
    " The 72 hours run from here.",
)
def deactivate(channel: str, received_at: datetime | None) -> None:
    """Close the account: nothing more is sent to any address of the person.

    Service mail stops too, but for what is marked after_closing. An address that is nobody's
    yet becomes a contact of its own.
    """
    now = services().now()
    with mending_argument("--received-at"):
        received = sender_requests.past(received_at or now, now)
    address = _asked(channel)
    with mending():
        require_known_keys()
        [written] = contacts.deactivate([(Named(address=address), received)], _origin(now))
    click.echo("Closed." if written.news else "It was closed already.")
    _print(written.contact)


@group.command("reopen")
@_channel
@click.option("--source", required=True, help="Where the person asked for it, e.g. counter.")
@click.option("--wording", required=True, help="What they agreed to, in these words.")
@click.option("--language", required=True, help="The language of the wording (BCP 47), e.g. it.")
@click.option(
    "--occurred-at",
    type=Moment(),
    required=True,
    help="When they did, e.g. 2026-11-24T09:30+01:00. If the account was closed after that,"
    " it stays closed.",
)
def reopen(channel: str, source: str, wording: str, language: str, occurred_at: datetime) -> None:
    """Open a closed account again, since the person asked for it. Marketing stays off.

    Example: flask contacts reopen --source counter --wording "Riapro il mio conto"
    --language it --occurred-at 2026-11-24T09:30+01:00
    """
    now = services().now()
    with mending_argument("--occurred-at"):
        acted_at = sender_requests.past(occurred_at, now)
    address = _asked(channel)
    proof = Proof(source, wording, language, acted_at)
    with mending():
        require_known_keys()
        [written] = contacts.reopen([(Named(address=address), proof)], _origin(now))
    click.echo("Open again; marketing stays off." if written.news else "It was open already.")
    _print(written.contact)


def _asked(channel: str) -> Address:
    """The address, from the terminal or standard input. Raises UsageError if unreadable."""
    raw = click.prompt("Address", err=True)
    with mending_argument("Address"):
        return parse(raw, Channel(channel), region=services().settings.phone_region)


def _origin(now: datetime) -> Origin:
    return Origin("cli", "cli", now)


def _print(contact: Contact) -> None:
    click.echo(f"contact    {contact.id}")
    click.echo(f"state      {contact.state}")
    click.echo(f"language   {contact.locale or 'not known'}")
    click.echo(f"known as   {len(contact.external_ids)} external ids")
    for address in sorted(contact.addresses, key=lambda address: (address.channel, address.exact)):
        click.echo(f"{address.channel.value:<10} {mask(address)}")
