"""The check of a received mail: does opting out work?

`check_sender` tells whether marketing comes from another address than service mail (RULES A13).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from email.utils import getaddresses

from preference_center.catalogue import Catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.integrations.base.webhook import parse_mail_date
from preference_center.senders.mailcheck.body_links import check_bodies
from preference_center.senders.mailcheck.headers import (
    UnsubscribeHeader,
    check_dkim,
    check_header_pair,
)
from preference_center.senders.mailcheck.links import (
    Finding,
    Installation,
    check_key,
    check_recipients,
    check_time,
    error,
    warning,
)


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


MAX_LINE = 998  # characters, RFC 5322 2.1.1


_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


def check_email(raw: bytes, installation: Installation, now: datetime) -> list[Finding]:
    """All findings, in the order of the parts of the mail.

    `raw` is the mail with its header, with any line ends. Raises InvalidInput if it is not a
    mail.
    """
    content = _LINE_ENDS.sub(b"\n", raw.removeprefix(b"\xef\xbb\xbf").lstrip())
    mail = message_from_bytes(content, policy=policy.compat32)
    if not mail.keys():
        raise InvalidInput("this is not a mail: save one with its header, as .eml or its source")
    return list(_check(mail, content, installation, now))


def _check(
    mail: Message, content: bytes, installation: Installation, now: datetime
) -> Iterator[Finding]:
    if any(len(line) > MAX_LINE for line in content.partition(b"\n\n")[0].split(b"\n")):
        yield error(
            "line_too_long",
            f"A line of the header has more than {MAX_LINE} characters: servers truncate it.",
            "Shorten the link: a UUID for message id, a shorter key id.",
            "RFC 5322 2.1.1",
        )
    header = UnsubscribeHeader()
    yield from check_header_pair(mail, installation, now, header)
    if header.link:
        yield from check_key(header.link, installation, now)
        yield from check_time(header.link, parse_mail_date(mail.get("Date")), now)
        yield from check_recipients(header.link, _recipients(mail))
    yield from check_dkim(mail)
    yield from check_sender(mail, installation.catalogue)
    yield from check_bodies(mail, installation, now, header.link)


def _recipients(mail: Message) -> list[Address]:
    """The distinct addresses in To and Cc that can be parsed."""
    values = [str(value) for name in ("To", "Cc") for value in mail.get_all(name, [])]
    found: dict[str, Address] = {}
    for _, text in getaddresses(values):
        with suppress(InvalidAddress):
            address = parse_address(text, Channel.EMAIL)
            found[address.exact] = address
    return list(found.values())
