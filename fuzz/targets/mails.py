"""Mail: to the addresses we receive at, and pasted to be checked."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from fuzz.targets.tokens import LINKS, NOW
from preference_center.domain.catalogue import parse
from preference_center.domain.mail import TooComplex
from preference_center.domain.mail.interpret import read
from preference_center.errors import InvalidInput
from preference_center.inbound.mail_recipients import read_mail
from preference_center.mailcheck.links import Ours
from preference_center.mailcheck.message import judge_mail
from tests.domain.catalogues import SMALL

_OURS = Ours(LINKS, parse(SMALL), lambda address: sha256(address.exact.encode()).digest())


def mail(data: bytes) -> None:
    """Whatever comes is read; only what no honest mail is, is given up."""
    read_mail(LINKS, data, None)
    for for_reports in (False, True):
        with suppress(TooComplex):
            read(data, for_reports=for_reports)


def mail_check(data: bytes) -> None:
    """Whatever is pasted to be checked is judged."""
    with suppress(InvalidInput):  # it has no header
        judge_mail(data, _OURS, NOW)
