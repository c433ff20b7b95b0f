"""Which addresses are the company's own."""

from __future__ import annotations

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress
from preference_center.core.mime import parse_addresses
from preference_center.infra.context import services


def is_our_address(address: Address) -> bool:
    """Whether mail is sent from it, or to us at it: not an address that we send marketing to."""
    settings, catalogue = services().settings, current_catalogue_or_empty()
    brands = catalogue.brands.values()
    contacts = [catalogue.contact_details(brand).contact for brand in (None, *brands)]
    senders = [settings.mail_from, *(brand.sender for brand in brands)]
    senders += [contact.email for contact in contacts if contact]
    ours = {name.casefold() for name in parse_addresses([each for each in senders if each])}
    name = address.exact.casefold()
    domain = settings.unsubscribe_mail_domain
    return (
        name in ours
        or settings.mailboxes.match(name) is not None
        or (bool(domain) and name.endswith(f"@{domain}"))
    )


def is_our_text(text: str) -> bool:
    """The same for an address as it was written; False if it can't be read."""
    try:
        return is_our_address(parse_address(text, Channel.EMAIL))
    except InvalidAddress:
        return False
