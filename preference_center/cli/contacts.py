"""`flask contacts`: look up a contact, close or restrict it and end that, for support."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from preference_center import contacts
from preference_center.cli.actor import SOURCE, actor
from preference_center.cli.command_app import CommandGroup
from preference_center.cli.errors import Timestamp, click_bad_parameter, click_errors
from preference_center.context import services
from preference_center.domain import sender_requests
from preference_center.domain.addresses import Address, Channel, mask_address, parse_address
from preference_center.domain.contacts import Contact, ContactRef
from preference_center.domain.restriction import EndNotice, UnrestrictionProof
from preference_center.domain.sender_requests import ConsentEvidence, RequestOrigin
from preference_center.domain.staff_access import AccessAction, AccessReason, StaffAccess
from preference_center.storage.access.key_fingerprints import require_known_keys
from preference_center.storage.access.person_access import insert_person_access
from preference_center.storage.db.database import run_in_transaction

group = CommandGroup(
    "contacts",
    help="Look up a contact; close or reopen its account, restrict the use of its data."
    " The address is read from a prompt or standard input, so that it appears in no shell"
    " history and no list of processes.",
)

_channel = click.option(
    "--channel",
    type=click.Choice([channel.value for channel in Channel]),
    default=Channel.EMAIL.value,
    show_default=True,
    help="The channel of the address.",
)


@group.command("show")
@_channel
@click.option(
    "--reason",
    type=click.Choice([reason.value for reason in AccessReason]),
    required=True,
    help="Why you look. It is recorded, with who you are; people see it in the file of their data.",
)
@click.option(
    "--reference", default="", help="The number of a ticket or a case, which people see too."
)
def show(channel: str, reason: str, reference: str) -> None:
    """Show the contact of exactly this form of an address; other addresses are masked.

    Example: flask contacts show --reason called < address.txt
    """
    address = _prompt_address(channel)
    context = services()
    with click_bad_parameter("--reference"):
        look = StaffAccess(
            context.new_id(),
            context.now(),
            actor(),
            AccessAction.CONTACT_VIEWED,
            AccessReason(reason),
            reference,
        )
    with click_errors():
        require_known_keys()
        run_in_transaction(lambda c: insert_person_access(c, context.keys, look, address))
        _print_contact(
            contacts.load_contacts([ContactRef(address=address)]).find(ContactRef(address=address))
        )


@group.command("deactivate")
@_channel
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When the company received it, e.g. 2026-11-24T09:30+01:00; default: now."
    " The 72 hours count from this time.",
)
def deactivate(channel: str, received_at: datetime | None) -> None:
    """Close the account: nothing may be sent to any address of the contact any more.

    This includes service messages, except message types with after_closing. An address that
    belongs to no contact yet becomes a new contact.
    """
    now = services().now()
    with click_bad_parameter("--received-at"):
        received = sender_requests.clamp_to_now(received_at or now, now)
    address = _prompt_address(channel)
    with click_errors():
        require_known_keys()
        [written] = contacts.deactivate_contacts(
            [(ContactRef(address=address), received)], _origin(now)
        )
    click.echo("Closed." if written.is_changed else "It was already closed.")
    _print_contact(written.contact)


@group.command("reopen")
@_channel
@click.option("--source", required=True, help="Where the person requested it, e.g. shop.")
@click.option("--wording", required=True, help="The text that the person agreed to.")
@click.option("--language", required=True, help="The language of the wording (BCP 47), e.g. it.")
@click.option(
    "--occurred-at",
    type=Timestamp(),
    required=True,
    help="When the person did, e.g. 2026-11-24T09:30+01:00. If the account was closed later,"
    " it stays closed.",
)
def reopen(channel: str, source: str, wording: str, language: str, occurred_at: datetime) -> None:
    """Reopen a closed account at the person's request. Marketing stays off.

    Example: flask contacts reopen --source shop --wording "Riapro il mio conto"
    --language it --occurred-at 2026-11-24T09:30+01:00
    """
    now = services().now()
    with click_bad_parameter("--occurred-at"):
        acted_at = sender_requests.clamp_to_now(occurred_at, now)
    address = _prompt_address(channel)
    evidence = ConsentEvidence(source, wording, language, acted_at)
    with click_errors():
        require_known_keys()
        [written] = contacts.reopen_contacts(
            [(ContactRef(address=address), evidence)], _origin(now)
        )
    click.echo("Reopened; marketing stays off." if written.is_changed else "It was already open.")
    _print_contact(written.contact)


@group.command("restrict")
@_channel
@click.option(
    "--received-at",
    type=Timestamp(),
    help="When the company received it, e.g. 2026-11-24T09:30+01:00; default: now.",
)
def restrict(channel: str, received_at: datetime | None) -> None:
    """Limit the use of a person's data: no marketing to any address of the contact any more.

    Service messages are still sent, and the account stays as it is. Only unrestrict ends it; no
    opt-in does. An address that belongs to no contact yet becomes a new contact.
    """
    now = services().now()
    with click_bad_parameter("--received-at"):
        received = sender_requests.clamp_to_now(received_at or now, now)
    address = _prompt_address(channel)
    with click_errors():
        require_known_keys()
        [written] = contacts.restrict_contacts(
            [(ContactRef(address=address), received)], _origin(now)
        )
    click.echo("Restricted." if written.is_changed else "It was already restricted.")
    _print_contact(written.contact)


@group.command("unrestrict")
@_channel
@click.option("--source", help="Where the person ended it, e.g. phone.")
@click.option("--wording", help="What the person agreed to or said.")
@click.option("--language", help="The language of the wording (BCP 47), e.g. it.")
@click.option("--occurred-at", type=Timestamp(), help="When the person did.")
@click.option(
    "--notice-sent-at",
    type=Timestamp(),
    help="Instead of the four: when the company informed the person that it ends the restriction;"
    " at least 7 days ago.",
)
def unrestrict(channel: str, notice_sent_at: datetime | None, **proof: Any) -> None:
    """End a restriction, at the person's request or 7 days after a notice to them. Opt-outs stay.

    Example: flask contacts unrestrict --source phone --wording "End the restriction"
    --language en --occurred-at 2026-11-24T09:30+01:00
    """
    now = services().now()
    given = _unrestriction_proof(notice_sent_at, proof, now)
    address = _prompt_address(channel)
    with click_errors():
        require_known_keys()
        [written] = contacts.unrestrict_contacts(
            [(ContactRef(address=address), given)], _origin(now)
        )
    click.echo("No longer restricted." if written.is_changed else "It was not restricted.")
    _print_contact(written.contact)


def _unrestriction_proof(
    notice_sent_at: datetime | None, proof: dict[str, Any], now: datetime
) -> UnrestrictionProof:
    """The person's own act or the notice. Raises click.UsageError unless it is one of both."""
    if notice_sent_at is not None and not any(proof.values()):
        with click_bad_parameter("--notice-sent-at"):
            return EndNotice(sender_requests.clamp_to_now(notice_sent_at, now))
    if notice_sent_at is not None or not all(proof.values()):
        raise click.UsageError(
            "Give --source, --wording, --language and --occurred-at of the person's own act, or"
            " --notice-sent-at."
        )
    with click_bad_parameter("--occurred-at"):
        acted_at = sender_requests.clamp_to_now(proof["occurred_at"], now)
    return ConsentEvidence(proof["source"], proof["wording"], proof["language"], acted_at)


def _prompt_address(channel: str) -> Address:
    """The address, from a prompt or standard input. Raises BadParameter if it is invalid."""
    raw = click.prompt("Address", err=True)
    with click_bad_parameter("Address"):
        return parse_address(raw, Channel(channel), region=services().settings.phone_region)


def _origin(now: datetime) -> RequestOrigin:
    return RequestOrigin(SOURCE, actor(), now)


def _print_contact(contact: Contact) -> None:
    click.echo(f"contact    {contact.id}")
    click.echo(f"account    {contact.account}")
    if contact.restricted_at is not None:
        click.echo(f"restricted since {contact.restricted_at:%Y-%m-%d %H:%M} UTC")
    click.echo(f"language   {contact.locale or 'not known'}")
    click.echo(f"known as   {len(contact.external_ids)} external ids")
    for address in sorted(contact.addresses, key=lambda address: (address.channel, address.exact)):
        click.echo(f"{address.channel.value:<10} {mask_address(address)}")
