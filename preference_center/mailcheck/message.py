"""A whole mail, as it was received: is its way out in order?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from email.utils import getaddresses

from preference_center.domain.addresses import Address, Channel, parse
from preference_center.errors import InvalidAddress, InvalidInput
from preference_center.integrations.base.payload import mail_moment
from preference_center.mailcheck.body_links import judge_bodies
from preference_center.mailcheck.dkim import judge_signatures
from preference_center.mailcheck.findings import Finding, error
from preference_center.mailcheck.links import Ours, judge_key, judge_recipients, judge_time
from preference_center.mailcheck.unsubscribe_headers import Header, judge_pair

__all__ = ["Ours", "judge_mail"]

MAX_LINE = 998  # characters, RFC 5322 2.1.1

_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


def judge_mail(raw: bytes, ours: Ours, now: datetime) -> list[Finding]:
    """Every finding, in the order in which a mail is read.

    `raw` is the mail with its header, in whatever line ends it was saved. Raises InvalidInput
    for what is no mail.
    """
    octets = _LINE_ENDS.sub(b"\n", raw.removeprefix(b"\xef\xbb\xbf").lstrip())
    mail = message_from_bytes(octets, policy=policy.compat32)
    if not mail.keys():
        raise InvalidInput("this is no mail: save one with its header, as .eml or its source")
    return list(_judge(mail, octets, ours, now))


def _judge(mail: Message, octets: bytes, ours: Ours, now: datetime) -> Iterator[Finding]:
    if any(len(line) > MAX_LINE for line in octets.partition(b"\n\n")[0].split(b"\n")):
        yield error(
            "line_too_long",
            f"A line of the header has more than {MAX_LINE} characters: servers cut it.",
            "Shorten the link: a UUID for message id, a shorter key id.",
            "RFC 5322 2.1.1",
        )
    header = Header()
    yield from judge_pair(mail, ours, now, header)
    if header.link:
        yield from judge_key(header.link, ours, now)
        yield from judge_time(header.link, mail_moment(mail.get("Date")), now)
        yield from judge_recipients(header.link, _recipients(mail))
    yield from judge_signatures(mail)
    yield from judge_bodies(mail, ours, now, header.link)


def _recipients(mail: Message) -> list[Address]:
    """Whom it is addressed to, each once, as far as that can be read."""
    values = [str(value) for name in ("To", "Cc") for value in mail.get_all(name, [])]
    found: dict[str, Address] = {}
    for _, text in getaddresses(values):
        with suppress(InvalidAddress):
            address = parse(text, Channel.EMAIL)
            found[address.exact] = address
    return list(found.values())
