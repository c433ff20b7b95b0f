"""Whether marketing comes from another address than service mail (RULES A13)."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.utils import getaddresses

from preference_center.catalogue import Catalogue
from preference_center.senders.mailcheck.findings import Finding, warning


def check_sender(mail: Message, catalogue: Catalogue) -> Iterator[Finding]:
    """A warning if From is a contact, from which our own emails come."""
    senders = {address.lower() for _, address in getaddresses(map(str, mail.get_all("From", [])))}
    details = [catalogue.contact_details(each) for each in (None, *catalogue.brands.values())]
    if senders & {each.contact.address.lower() for each in details if each.contact}:
        yield warning(
            "from_is_contact",
            "From is the contact in the catalogue, from which confirmations and links come:"
            " complaints about marketing would delay those, too.",
            "Send marketing from another address, or name another contact.",
            "Google sender guidelines: separate addresses for marketing and transactional mail",
        )
