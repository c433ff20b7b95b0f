"""`interpret_mail` interprets a mail of any kind: it is the entry point of this package."""

from __future__ import annotations

from dataclasses import replace

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.mime import ParsedMail, parse_mail
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.inbound.rules.auto_replies import (
    has_null_sender,
    is_apple_mail_unsubscribe,
    is_automatic,
    is_certified_mail_receipt,
    is_from_mail_system,
    may_be_automatic,
)
from preference_center.inbound.rules.bounces import (
    is_delay_notice,
    is_delay_report,
    is_delivery_report,
    is_truncated_report,
    parse_delivery_report,
    parse_nonstandard_bounce,
    recipient_fields,
)
from preference_center.inbound.rules.clear_objection import find_clear_objection
from preference_center.inbound.rules.forwards import (
    answers_another_mail,
    enclosed_mails,
    has_unreadable_text,
    is_same_sender,
    only_sender,
    own_subject,
)
from preference_center.inbound.rules.reports import (
    is_feedback_report,
    is_junk_report,
    is_text_truncated,
    parse_feedback_report,
    parse_junk_report,
    report_text,
    split_returned_mail,
    strip_quoted_fields,
)
from preference_center.inbound.rules.rights_words import WrittenByPerson, find_right, says_under_18
from preference_center.inbound.rules.text import reply_text
from preference_center.rights.rules.requests import RequestKind

_NON_SUPPRESSING_CAUSES = {
    BounceCause.FULL,
    BounceCause.TEMPORARY,
    BounceCause.POLICY,
    BounceCause.CONTENT,
}


_MAX_RETURNED_CHARACTERS = 128 * 1024
"""Characters of a returned mail that are searched for a token of ours."""


def interpret_mail(head: bytes, *, for_reports: bool, is_whole: bool = True) -> MailInterpretation:
    """What the mail that begins with `head` states. Raises MailTooComplex.

    `is_whole` is whether `head` is the entire mail; a longer report is interpreted as far as it
    was read, and reviewed too. `for_reports` is whether it was sent to a mailbox for reports:
    there, bounces in no standard form are searched for in any mail, elsewhere only in mails that
    declare to be a mail system's.
    """
    mail = parse_mail(head)
    mail = replace(mail, is_truncated=mail.is_truncated or not is_whole)
    if is_certified_mail_receipt(mail):
        return MailInterpretation(MailKind.AUTO_REPLY)
    returned = split_returned_mail(mail)[1][:_MAX_RETURNED_CHARACTERS]
    if is_feedback_report(mail):
        return parse_feedback_report(mail, returned)
    if is_delivery_report(mail) or is_from_mail_system(mail) or has_null_sender(mail):
        groups = recipient_fields(mail)
        if groups:
            found = tuple(parse_delivery_report(mail, groups, returned))
            why = ReviewReason.TRUNCATED if is_truncated_report(mail) else None
            return MailInterpretation(MailKind.DELIVERY_REPORT, found, why, token_text=returned)
    if is_junk_report(mail, returned):
        return parse_junk_report(returned)
    return _interpret_other(mail, returned, for_reports=for_reports)


def _interpret_other(mail: ParsedMail, returned: str, *, for_reports: bool) -> MailInterpretation:
    """A mail that is not a report by its form: still a bounce, an auto-reply, or a person's."""
    daemon = is_from_mail_system(mail) or is_delivery_report(mail)
    if daemon or for_reports or has_null_sender(mail):
        statements, is_about_delivery = parse_nonstandard_bounce(
            mail, returned, from_mail_system=daemon
        )
        if is_about_delivery:
            why = ReviewReason.TRUNCATED if is_text_truncated(mail) else None
            return MailInterpretation(
                MailKind.DELIVERY_REPORT, tuple(statements), why, token_text=returned
            )
    if daemon:
        why = ReviewReason.NO_RECIPIENT if _may_suppress(mail) else None
        return MailInterpretation(MailKind.DELIVERY_REPORT, review_reason=why, token_text=returned)
    if is_automatic(mail):
        return MailInterpretation(MailKind.AUTO_REPLY)
    return _interpret_reply(mail)


def _may_suppress(mail: ParsedMail) -> bool:
    """Whether a report that names nobody could suppress somebody if it did.

    A delay does not, whatever its text (RULES F9), nor does a clear reason other than the
    address; these need no review.
    """
    if is_delay_report(mail) or is_delay_notice(mail):
        return False
    return find_cause(strip_quoted_fields(report_text(mail))) not in _NON_SUPPRESSING_CAUSES


def _interpret_reply(mail: ParsedMail) -> MailInterpretation:
    """What a person wrote; without a word of theirs, their own earlier mail that they enclose."""
    enclosed = enclosed_mails(mail)
    if len(enclosed) == 1 and is_same_sender(mail, enclosed[0]):
        is_silent = not reply_text(mail) and not own_subject(mail, enclosed)
        if is_silent and not is_automatic(enclosed[0]):
            return _interpret_words(enclosed[0], [])
    return _interpret_words(mail, enclosed)


def _interpret_words(mail: ParsedMail, enclosed: list[ParsedMail]) -> MailInterpretation:
    sender = only_sender(mail)
    own, subject = reply_text(mail), own_subject(mail, enclosed)
    clear = find_clear_objection(subject, own, *sender[:1])
    right = find_right(subject, own, *sender[:1])
    is_own_act = not may_be_automatic(mail, own, *sender[:1])
    has_others = any(_is_of_another_person(each, mail) for each in enclosed)
    quoted = _text_with_tokens(mail, without_enclosed=has_others)
    written = _written(mail, subject, own, right) if is_own_act else None
    # A person who wants to be deleted wants no more marketing, which stops first.
    objects = is_own_act and (clear is not None or right is RequestKind.ERASE)
    if not objects and not is_apple_mail_unsubscribe(mail):
        return MailInterpretation(
            MailKind.REPLY,
            review_reason=ReviewReason.UNCLEAR,
            token_text=quoted,
            written=written,
        )
    asks_more = (
        clear is None or clear.has_further_request or has_others or has_unreadable_text(mail)
    )
    needs_reader = asks_more and not is_apple_mail_unsubscribe(mail)
    why = ReviewReason.HAS_FURTHER_REQUEST if needs_reader else None
    statement = MailStatement(StatementKind.OPTED_OUT, sender)
    return MailInterpretation(MailKind.REPLY, (statement,), why, quoted, written)


def _is_of_another_person(enclosed: ParsedMail, mail: ParsedMail) -> bool:
    """Whether neither the company nor who sends `mail` has written the mail that it encloses."""
    if is_same_sender(mail, enclosed):
        return False
    return answers_another_mail(enclosed) or bool(_interpret_words(enclosed, []).statements)


def _text_with_tokens(mail: ParsedMail, *, without_enclosed: bool) -> str:
    """The text that may contain a token of whom the mail is about: not those of other people."""
    texts = [
        leaf.text
        for leaf in mail.text_parts
        if not (without_enclosed and leaf.content_type.startswith("message/"))
    ]
    return "\n".join(texts)[:_MAX_RETURNED_CHARACTERS]


def _written(
    mail: ParsedMail, subject: str, own: str, right: RequestKind | None
) -> WrittenByPerson:
    sender = next(iter(only_sender(mail)), "")
    return WrittenByPerson(sender, mail.field("Subject"), own, right, says_under_18(subject))
