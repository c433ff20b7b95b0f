"""Bounces in no standard form: flufl.bounce knows those of some forty mail systems.

It says whose mail bounced, and whether for good; the codes and words that go with it are
looked for here, so that they are judged like those of any other bounce. Of other systems'
forms only that is believed which they clearly say of whom the mail was to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from flufl.bounce import all_failures

from preference_center.domain.bounces import Bounce
from preference_center.domain.deliverability import Cause
from preference_center.domain.deliverability.phrases import cause_in
from preference_center.domain.mails import Said, Saying
from preference_center.domain.mails.parts import Opened, header_of, parsed
from preference_center.domain.mails.prose import RETURNED_KINDS, about, prose_of
from preference_center.domain.mails.recipients import addresses_in, usable

# It would log what it chokes on (I12).
logging.getLogger("flufl.bounce").disabled = True


# A warning, as systems of no known form put it: delivery goes on (RULES F9).
_GOES_ON = re.compile(
    r"\b(?:delay(?:ed)?|warning|still (?:being )?(?:try|retr|queue)|(?:will|shall) (?:be )?retr"
    r"|will (?:continue|keep)|no need to (?:resend|retry)|not (?:yet )?failed)",
    re.IGNORECASE,
)


def read_bounce(mail: Opened, returned: str, *, by_a_system: bool) -> tuple[list[Saying], bool]:
    """Whose mail did not arrive, and whether the mail is about a delivery at all.

    A warning that delivery goes on says nothing of anybody (RULES F9). `by_a_system` is
    whether a mail system wrote it, by its own word; nobody else's own form is read.
    """
    delayed, failed = _failures(mail)
    if delayed or failed:
        return list(_sayings(mail, failed)), True
    stated = list(_stated(mail, returned)) if by_a_system else []
    return stated, bool(stated)


def _sayings(mail: Opened, failed: list[str]) -> Iterator[Saying]:
    """What it says of each who failed; one whose name is masked is nobody, for a person."""
    prose = prose_of(mail)
    # What names them in its header need not be final: Google writes so of its own refusals.
    final = "x-failed-recipients" not in mail.message or "permanent" in prose.casefold()
    for address in failed:
        text = about(prose, (address,), failed, alone=len(failed) == 1)
        yield Saying(
            Said.BOUNCED, usable((address,)), Bounce(text=text, permanent=True if final else None)
        )


def _stated(mail: Opened, returned: str) -> Iterator[Saying]:
    """What a system of no known form clearly says of those whom the mail was to."""
    prose = prose_of(mail)
    if _GOES_ON.search(prose) or _GOES_ON.search(mail.field("Subject")):
        return
    sent_to = header_of(returned).get_all("to", []) + mail.message.get_all(
        "x-failed-recipients", []
    )
    known = usable(addresses_in([str(value) for value in sent_to]))
    named = [address for address in known if address.casefold() in prose.casefold()]
    for address in named:
        text = about(prose, (address,), named, alone=len(named) == 1)
        cause = cause_in(text)
        if cause is not None:
            final = True if cause is Cause.NO_MAILBOX else None
            yield Saying(Said.BOUNCED, (address,), Bounce(text=text, permanent=final))


def _failures(mail: Opened) -> tuple[list[str], list[str]]:
    """Whose mail is late, and whose failed. What came back is hidden, as it names others."""
    try:
        message = parsed(mail.beginning)
        for part in message.walk():
            if part.get_content_type().replace("text/x-message-", "message/") in RETURNED_KINDS:
                part.set_payload("")
        delayed, failed = all_failures(message)
    except Exception:  # noqa: BLE001 - whatever a detector chokes on, the mail is no worse for it
        return [], []
    return _texts(delayed), _texts(failed)


def _texts(addresses: frozenset[bytes]) -> list[str]:
    return sorted(address.decode("ascii", "replace").strip() for address in addresses)
