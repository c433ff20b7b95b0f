"""Bounces in no standard form: flufl.bounce knows those of some forty mail systems.

It says whose mail bounced, and whether for good; the codes and words that go with it are
looked for here, so that they are judged like those of any other bounce. Of other systems'
forms only that is believed which they clearly say of whom the mail was to.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence

from flufl.bounce import all_failures

from preference_center.domain.bounces import Cause, classify
from preference_center.domain.bounces.bounce import Bounce
from preference_center.domain.bounces.diagnostic_phrases import cause_in
from preference_center.domain.mail import Said, Saying
from preference_center.domain.mail.address_fields import usable
from preference_center.domain.mail.mime import Opened, parsed
from preference_center.domain.mail.report_parties import Parties, parties
from preference_center.domain.mail.report_text import (
    RETURNED_KINDS,
    about,
    prose_of,
    quotes_a_reply,
)

# It would log what it chokes on (I12).
logging.getLogger("flufl.bounce").disabled = True


# A warning, as systems of no known form put it: delivery goes on (RULES F9).
_GOES_ON = re.compile(
    r"\b(?:delay(?:ed)?|warning|still (?:being )?(?:try|retr|queue)|(?:will|shall) (?:be )?retr"
    r"|will (?:continue|keep)|no need to (?:resend|retry)|not (?:yet )?failed)",
    re.IGNORECASE,
)
# Addresses in prose, and lines that begin with one.
_NAMED = re.compile(
    r"(?<![^\s<>:;,\"()\[\]=])[^\s<>:;,\"()\[\]=@]{1,64}@[a-z0-9-][a-z0-9.-]{1,250}[a-z]"
)
_LEADING = re.compile(rf"^[ \t]*<?({_NAMED.pattern})>?(?=[\s:]|$)", re.MULTILINE)


def says_it_goes_on(mail: Opened) -> bool:
    """Whether it is only a warning: the system goes on trying (RULES F9)."""
    return any(_GOES_ON.search(text) for text in (prose_of(mail), mail.field("Subject")))


def read_bounce(mail: Opened, returned: str, *, by_a_system: bool) -> tuple[list[Saying], bool]:
    """Whose mail did not arrive, and whether the mail is about a delivery at all.

    A warning that delivery goes on says nothing of anybody (RULES F9). `by_a_system` is
    whether a mail system wrote it, by its own word; nobody else's own form is read.
    """
    delayed, failed = _failures(mail)
    involved = parties(mail, returned)
    failed = [address for address in failed if not involved.are_others(address)]
    if delayed or failed:
        return list(_sayings(mail, failed, involved)), True
    stated = list(_stated(mail, involved)) if by_a_system else []
    return stated, bool(stated)


def _sayings(mail: Opened, failed: list[str], involved: Parties) -> Iterator[Saying]:
    """What it says of each who failed.

    That is a recipient in the header of the returned mail, or one whom a line of the report
    begins with, as the forms of qmail and others name those of the envelope. Any other, and
    one whose name is masked, is nobody: a token of ours says who it was, or a person.
    """
    prose = prose_of(mail)
    leading = {name.casefold() for name in _LEADING.findall(prose.casefold())}
    for address in failed:
        text = about(prose, (address,), failed, alone=len(failed) == 1)
        known = involved.were_mailed(address) or address.casefold() in leading
        names = usable((address,)) if known else ()
        yield Saying(Said.BOUNCED, names, _bounce(text))


def _stated(mail: Opened, involved: Parties) -> Iterator[Saying]:
    """What a system of no known form clearly says of those whom the mail was to."""
    prose = prose_of(mail)
    if says_it_goes_on(mail):
        return
    folded = prose.casefold()
    sent_to = sorted(usable(involved.recipients)) or _named_in(folded, involved)
    named = [address for address in sent_to if address in folded]
    for address in named:
        text = about(prose, (address,), named, alone=len(named) == 1)
        bounce = _bounce(text) if involved.recipients else Bounce(text=text)
        if cause_in(text) or (quotes_a_reply(text) and classify(bounce).cause is not Cause.UNKNOWN):
            yield Saying(Said.BOUNCED, (address,), bounce)


def _named_in(prose: str, involved: Parties) -> Sequence[str]:
    """Who is reported, where the returned mail does not say whom it was to.

    Those whom lines begin with, or else the only address there is besides our own. Since it
    may be another's, a code or the command that was refused has to agree with the words.
    """
    for pattern in (_LEADING, _NAMED):
        found = usable(name for name in pattern.findall(prose) if not involved.are_others(name))
        if found and (pattern is _LEADING or len(found) == 1):
            return found
    return ()


def _bounce(text: str) -> Bounce:
    """A bounce of these words. That a mail "failed" is no reason: only the words may hold one.

    "No such user" is the system's own finding unless it quotes a reply of another server.
    That may have refused the whole mail so, as filters do; then the code or the command that
    was refused has to agree.
    """
    own = cause_in(text) is Cause.NO_MAILBOX and not quotes_a_reply(text)
    return Bounce(text=text, permanent=True if own else None)


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
