"""What a mail says: the one way in, whatever kind of mail it is."""

from __future__ import annotations

from dataclasses import replace

from preference_center.domain.bounces import Cause
from preference_center.domain.bounces.diagnostic_phrases import cause_in
from preference_center.domain.mail import Form, Reading, Said, Saying, Why
from preference_center.domain.mail.address_fields import addresses_in, usable
from preference_center.domain.mail.auto_replies import (
    from_a_daemon,
    has_null_sender,
    is_automatic,
    may_be_automatic,
    pressed_in_apple_mail,
)
from preference_center.domain.mail.delivery_reports import (
    ends_within,
    groups_in,
    is_delay,
    is_delivery_report,
    read_delivery_report,
)
from preference_center.domain.mail.feedback_reports import (
    is_feedback_report,
    is_junk_report,
    read_feedback_report,
    read_junk_report,
)
from preference_center.domain.mail.mime import Opened, opened
from preference_center.domain.mail.nonstandard_bounces import read_bounce, says_it_goes_on
from preference_center.domain.mail.reply_objections import clear_no
from preference_center.domain.mail.reply_text import own_words
from preference_center.domain.mail.report_text import is_cut, prose_of, reason_of, split

_HARMLESS = {Cause.FULL, Cause.PASSING, Cause.POLICY, Cause.CONTENT}
_MUCH = 128 * 1024
"""Characters of a mail that came back which are searched for a token of ours."""


def read(head: bytes, *, for_reports: bool, is_whole: bool = True) -> Reading:
    """What the mail that begins with `head` says. Raises TooComplex.

    A report that goes on after what is read says what was read of it, and is for a person
    too; `is_whole` is whether `head` is all of the mail. `for_reports` is whether it came to
    an address for reports: there bounces in no standard form are searched for in any mail,
    elsewhere only in what a mail system says it wrote.
    """
    mail = opened(head)
    mail = replace(mail, is_cut=mail.is_cut or not is_whole)
    returned = split(mail)[1][:_MUCH]
    if is_feedback_report(mail):
        return read_feedback_report(mail, returned)
    if is_delivery_report(mail) or from_a_daemon(mail) or has_null_sender(mail):
        groups = groups_in(mail)
        if groups:
            found = tuple(read_delivery_report(mail, groups, returned))
            why = Why.CUT_SHORT if ends_within(mail) else None
            return Reading(Form.DELIVERY_REPORT, found, why, ours=returned)
    if is_junk_report(mail, returned):
        return read_junk_report(returned)
    return _other(mail, returned, for_reports=for_reports)


def _other(mail: Opened, returned: str, *, for_reports: bool) -> Reading:
    """A mail that is no report by its form: a bounce all the same, a machine's, a person's."""
    daemon = from_a_daemon(mail) or is_delivery_report(mail)
    if daemon or for_reports or has_null_sender(mail):
        sayings, about_a_delivery = read_bounce(mail, returned, by_a_system=daemon)
        if about_a_delivery:
            why = Why.CUT_SHORT if is_cut(mail) else None
            return Reading(Form.DELIVERY_REPORT, tuple(sayings), why, ours=returned)
    if daemon:
        why = Why.NO_RECIPIENT if _may_suppress(mail) else None
        return Reading(Form.DELIVERY_REPORT, why=why, ours=returned)
    if is_automatic(mail):
        return Reading(Form.AUTOMATIC)
    return _reply(mail)


def _may_suppress(mail: Opened) -> bool:
    """Whether a report that names nobody could suppress anybody if it did.

    A delay does not, whatever else it says (RULES F9), nor does a clear reason other than
    the address; a person need not see those.
    """
    if is_delay(mail) or says_it_goes_on(mail):
        return False
    return cause_in(reason_of(prose_of(mail))) not in _HARMLESS


def _reply(mail: Opened) -> Reading:
    quoted = "\n".join(leaf.text for leaf in mail.leaves)[:_MUCH]
    senders = usable(addresses_in([mail.field("From")]))
    sender = senders if len(senders) == 1 else ()
    own = own_words(mail)
    clear = clear_no(mail.field("Subject"), own, *sender[:1])
    is_own_act = clear is not None and not may_be_automatic(mail, own, *sender[:1])
    if not is_own_act and not pressed_in_apple_mail(mail):
        return Reading(Form.REPLY, why=Why.NOT_CLEAR, ours=quoted)
    asks_more = clear is not None and clear.asks_more and not pressed_in_apple_mail(mail)
    why = Why.ASKS_MORE if asks_more else None
    return Reading(Form.REPLY, (Saying(Said.OPTED_OUT, sender),), why, quoted)
