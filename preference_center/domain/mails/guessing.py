"""Bounces in no standard form: flufl.bounce knows those of some forty mail systems.

It says whose mail bounced, and whether for good; the codes and words that go with it are
looked for here, so that they are judged like those of any other bounce.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from flufl.bounce import all_failures

from preference_center.domain.bounces import Bounce
from preference_center.domain.mails import Said, Saying
from preference_center.domain.mails.parts import Opened, parsed
from preference_center.domain.mails.prose import about, prose_of
from preference_center.domain.mails.recipients import usable

# It would log what it chokes on (I12).
logging.getLogger("flufl.bounce").disabled = True


def read_bounce(mail: Opened) -> tuple[list[Saying], bool]:
    """Whose mail did not arrive, and whether the mail is about a delivery at all.

    A warning that delivery goes on says nothing of anybody (RULES F9).
    """
    delayed, failed = _failures(mail)
    return list(_sayings(mail, failed)), bool(delayed or failed)


def _sayings(mail: Opened, failed: list[str]) -> Iterator[Saying]:
    prose = prose_of(mail)
    for address in usable(failed):
        text = about(prose, (address,), alone=len(failed) == 1)
        yield Saying(Said.BOUNCED, (address,), Bounce(text=text, permanent=True))


def _failures(mail: Opened) -> tuple[list[str], list[str]]:
    try:
        delayed, failed = all_failures(parsed(mail.beginning))
    except Exception:  # noqa: BLE001 - whatever a detector chokes on, the mail is no worse for it
        return [], []
    return _texts(delayed), _texts(failed)


def _texts(addresses: frozenset[bytes]) -> list[str]:
    return sorted(address.decode("ascii", "replace").strip() for address in addresses)
