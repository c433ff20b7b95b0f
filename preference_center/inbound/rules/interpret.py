"""`interpret_mail` interprets a mail of any kind: it is the entry point of this package.

`find_clear_objection` finds replies that object to advertising, in legal or everyday language. The
grammar of `objections` defines an objection in each language. This module decides when one counts:
not if it is negated, asked about, reported, conditional, about somebody else, or withdrawn
elsewhere in the mail. Such a mail is queued for review; so is one with a further request, after the
objection was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from preference_center.core.bounce_phrases import BounceCause, find_cause
from preference_center.core.mime import ParsedMail, parse_addresses, parse_mail, usable_addresses
from preference_center.inbound.rules import (
    MailInterpretation,
    MailKind,
    MailStatement,
    ReviewReason,
    StatementKind,
)
from preference_center.inbound.rules.auto_replies import (
    has_automatic_phrase,
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
from preference_center.inbound.rules.objections import LANGUAGES
from preference_center.inbound.rules.objections.classify import (
    MAX_SHORT_WORDS,
    SentenceClass,
    SentenceReader,
    likely_readers,
    readers_of_text,
)
from preference_center.inbound.rules.objections.language import (
    MAX_SENTENCE_LENGTH,
    mask_addresses,
    normalize_text,
    remove_quotations,
    tokenize,
)
from preference_center.inbound.rules.objections.sentences import (
    Sentence,
    join_wrapped_lines,
    split_paragraphs,
    split_sentences,
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

MAX_REPLY_LENGTH = 3000
"""Characters of the person's own text. The longest objections are written by lawyers."""


_REPLY_PREFIX = re.compile(
    r"^\s*(?:re|aw|sv|antw|antwort|r|rif|ref|fw|fwd|wg|i|tr|rv|res|enc|odp|pd|vs|doorst)"
    r"\s*(?:\[\d+\])?\s*:",
    re.IGNORECASE,
)


class ObjectionLocation(StrEnum):
    """Where the objection was found."""

    SUBJECT = "subject"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class ClearObjection:
    """A clear objection: its location, its language (BCP 47), and whether more was written."""

    location: ObjectionLocation
    language: str
    has_further_request: bool = False


def find_clear_objection(subject: str, own_text: str, sender: str = "") -> ClearObjection | None:
    """The clear objection in a reply, if there is one; `own_text` is the writer's own text.

    `sender` is the address in From: a mention of it means the writer. A subject that was copied
    from the mail being answered is not the writer's.
    """
    if len(own_text) > MAX_REPLY_LENGTH or any(map(has_automatic_phrase, (subject, own_text))):
        return None
    written = mask_addresses(remove_quotations(normalize_text(own_text)), sender.casefold())
    text = mask_addresses(
        remove_quotations(normalize_text(join_wrapped_lines(own_text))), sender.casefold()
    )
    readers = [SentenceReader(language) for language in LANGUAGES]
    if any(reader.wants_mail(text) for reader in readers_of_text(readers, text)):
        return None
    found = _objection_in_body(readers, split_paragraphs(text), split_paragraphs(written))
    if found is not None:
        return found
    if _REPLY_PREFIX.match(subject) or "?" in subject or _has_negation(readers, text):
        return None
    heading = Sentence(tokenize(remove_quotations(normalize_text(subject))), False, True)
    likely = likely_readers(readers, heading)
    if any(reader.classify(heading) is SentenceClass.NEGATED for reader in likely):
        return None
    for reader in likely:
        if len(heading.words) <= MAX_SENTENCE_LENGTH and _is_only_objection(reader, heading):
            more = _has_further_text(readers, split_paragraphs(text))
            return ClearObjection(ObjectionLocation.SUBJECT, reader.language.code, more)
    return None


def _is_only_objection(reader: SentenceReader, sentence: Sentence) -> bool:
    return (
        not reader.wants_mail(sentence.words)
        and reader.classify(sentence) is SentenceClass.OBJECTION
        and not reader.has_further_request([sentence])
    )


def _objection_in_body(
    readers: Sequence[SentenceReader], paragraphs: Sequence[str], as_written: Sequence[str]
) -> ClearObjection | None:
    """The objection in the paragraphs of a plain text: in one sentence, or in all joined."""
    for join in (False, True):
        sentences = list(split_sentences(paragraphs, join=join))
        classes = [
            (reader, one, reader.classify(one))
            for one in sentences
            for reader in likely_readers(readers, one)
        ]
        if any(found is SentenceClass.NEGATED for _, _, found in classes):
            return None
        for reader in readers:
            objections = [
                one
                for each, one, found in classes
                if each is reader and found is SentenceClass.OBJECTION
            ]
            clear = _clear_objection(reader, sentences, objections)
            if clear:
                return clear
    return _objection_in_line(readers, list(split_sentences(as_written, join=False)))


def _objection_in_line(
    readers: Sequence[SentenceReader], lines: Sequence[Sentence]
) -> ClearObjection | None:
    """A bare objection in the first line below a greeting, whatever follows in the next line."""
    for line in lines[:MAX_SHORT_WORDS]:
        for reader in likely_readers(readers, line):
            if not line.is_question and reader.is_bare(line):
                return _clear_objection(reader, lines, [line])
        if len(line.words.split()) > MAX_SHORT_WORDS:
            return None
    return None


def _clear_objection(
    reader: SentenceReader, sentences: Sequence[Sentence], objections: Sequence[Sentence]
) -> ClearObjection | None:
    """An objection, unless it is only "stop" and the rest may state what to stop."""
    if not objections:
        return None
    more = reader.has_further_request(sentences)
    if more and all(map(reader.is_only_stop_word, objections)):
        return None
    return ClearObjection(ObjectionLocation.BODY, reader.language.code, more)


def _has_further_text(readers: Sequence[SentenceReader], parts: Sequence[str]) -> bool:
    """Whether a text without an objection contains more than names and courtesies."""
    sentences = list(split_sentences(parts, join=False))
    return bool(sentences) and all(reader.has_further_request(sentences) for reader in readers)


def _has_negation(readers: Sequence[SentenceReader], text: str) -> bool:
    words = tokenize(re.sub(r"[.!?\n]+", ",", text))
    return any(each.language.negation.search(words) for each in readers)


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
    quoted = "\n".join(leaf.text for leaf in mail.text_parts)[:_MAX_RETURNED_CHARACTERS]
    senders = usable_addresses(parse_addresses([mail.field("From")]))
    sender = senders if len(senders) == 1 else ()
    own = reply_text(mail)
    clear = find_clear_objection(mail.field("Subject"), own, *sender[:1])
    right = find_right(mail.field("Subject"), own, *sender[:1])
    is_own_act = not may_be_automatic(mail, own, *sender[:1])
    written = _written(mail, own, sender, right) if is_own_act else None
    # A person who wants to be deleted wants no more marketing, which stops first.
    objects = is_own_act and (clear is not None or right is RequestKind.ERASE)
    if not objects and not is_apple_mail_unsubscribe(mail):
        return MailInterpretation(
            MailKind.REPLY,
            review_reason=ReviewReason.UNCLEAR,
            token_text=quoted,
            written=written,
        )
    asks_more = (clear is None or clear.has_further_request) and not is_apple_mail_unsubscribe(mail)
    why = ReviewReason.HAS_FURTHER_REQUEST if asks_more else None
    statement = MailStatement(StatementKind.OPTED_OUT, sender)
    return MailInterpretation(MailKind.REPLY, (statement,), why, quoted, written)


def _written(
    mail: ParsedMail, own: str, sender: Sequence[str], right: RequestKind | None
) -> WrittenByPerson:
    subject = mail.field("Subject")
    return WrittenByPerson(sender[0] if sender else "", subject, own, right, says_under_18(subject))
