"""Mail: to the addresses we receive at, and pasted to be checked."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from fuzz.targets.tokens import LINKS, NOW
from preference_center.catalogue import parse_catalogue
from preference_center.core.errors import InvalidInput
from preference_center.core.links.tokens import DIGEST_PREFIX_BYTES
from preference_center.core.mime import MailTooComplex
from preference_center.inbound.mail import parse_inbound_mail
from preference_center.inbound.rules.interpret import interpret_mail
from preference_center.senders.mailcheck import check_email
from preference_center.senders.mailcheck.links import Installation
from tests.catalogue.catalogues import SMALL

_OURS = Installation(
    LINKS,
    parse_catalogue(SMALL),
    lambda address: [sha256(address.exact.encode()).digest()[:DIGEST_PREFIX_BYTES]],
)


def mail(data: bytes) -> None:
    """Whatever comes is read; only what no honest mail is, is given up."""
    parse_inbound_mail(LINKS, data, None)
    for for_reports in (False, True):
        with suppress(MailTooComplex):
            interpret_mail(data, for_reports=for_reports)


def mail_check(data: bytes) -> None:
    """Any pasted text is checked."""
    with suppress(InvalidInput):  # it has no header
        check_email(data, _OURS, NOW)
