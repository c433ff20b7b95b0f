"""Queue the mails about a request, in the transaction that decides it.

A mail always goes to the address that the request is about, also where an agent asked; to the
agent too only if their authority says so (docs/rights.md). The last mail to people who are erased
is queued while their address can still be read (I6).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.rules.contact import Contact
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.outbox import (
    BY_AGENT,
    REQUIRED_VALUES,
    EmailKind,
    OutgoingEmail,
    insert_emails,
)
from preference_center.rights.erasure.store import ErasedAccount, ErasureSubject
from preference_center.rights.requests.store import SealedPart, open_part
from preference_center.rights.rules.changes import UNDO_PERIOD
from preference_center.rights.rules.identity import ANSWER_TIMES, answer_url, rights_status_url
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    ReceiptNote,
    RequestKind,
    StepAction,
)
from preference_center.web.emails import may_email
from preference_center.web.languages import SOURCE_LANGUAGE, match_language

RESULTS_TO_AGENT = "results"
"""In the sealed agent, once staff found that the authority covers receiving results."""


EMAIL_LIFETIME = timedelta(days=7)
"""How long delivery is tried."""


_KINDS: Mapping[StepAction, EmailKind] = {
    StepAction.RECEIVED: EmailKind.RIGHTS_RECEIVED,
    StepAction.DONE: EmailKind.RIGHTS_DONE,
    StepAction.REFUSED: EmailKind.RIGHTS_REFUSED,
    StepAction.EXTENDED: EmailKind.RIGHTS_EXTENDED,
    StepAction.LAPSED: EmailKind.RIGHTS_LAPSED,
}


_REPORT_KINDS: Mapping[StepAction, EmailKind] = {
    StepAction.RECEIVED: EmailKind.MINOR_REPORTED,
    StepAction.DONE: EmailKind.MINOR_CONFIRMED,
    StepAction.REFUSED: EmailKind.MINOR_DISMISSED,
}


_ANSWERS: Mapping[EmailKind, FormPurpose] = {
    EmailKind.RIGHTS_AGENT_ASKED: FormPurpose.RIGHTS_AUTHORITY,
    EmailKind.MINOR_REPORTED: FormPurpose.RIGHTS_REPORTED,
}
"""The emails that ask the person for an answer."""


_WITHOUT_STAFF = {
    EmailKind.RIGHTS_RECEIVED,
    EmailKind.RIGHTS_DONE,  # an objection counts at once
    EmailKind.RIGHTS_LAPSED,
    EmailKind.RIGHTS_AGENT_ASKED,
    EmailKind.MINOR_REPORTED,
    EmailKind.MINOR_REVIEWED,  # to the address that the reporter typed
}


def has_email(request: RightsRequest, action: StepAction) -> bool:
    """Whether the person is mailed about this step.

    Not of the receipt of what is done at the same moment. A finished erasure's last notice is
    that of `build_notices`, since the stored request no longer names anybody then. Who was asked
    about an agent and did not answer did not ask for anything, and is mailed no end of it.
    """
    if action is StepAction.LAPSED and request.via.rules.by_agent:
        return False
    if action not in (_REPORT_KINDS if request.kind is RequestKind.MINOR else _KINDS):
        return False
    if action is StepAction.DONE:
        return not request.kind.erases
    return not (action is StepAction.RECEIVED and _is_done_at_once(request))


def insert_email(
    connection: Connection,
    request: RightsRequest,
    action: StepAction,
    systems_until: datetime | None = None,
) -> UUID | None:
    """Queue the mail about this step; its id, or None if the person can't be mailed.

    `systems_until` is by when connected tools follow, if any is still to.

    That is so without a mail server, beyond the limit of what anybody can cause, and for a request
    that names no email address: then somebody has to write a letter, which the step shows.
    """
    part = open_part(services().keys, request)
    kind = _kind(request, action)
    ids = [_insert(connection, request, kind, to, systems_until) for to in _recipients(part)]
    return ids[0] if ids else None


def insert_reminder(connection: Connection, request: RightsRequest) -> UUID | None:
    """Queue the mail that asks the person once more whether an agent acts for them."""
    to = _recipients(open_part(services().keys, request))[:1]
    return _insert(connection, request, EmailKind.RIGHTS_AGENT_ASKED, to[0]) if to else None


def inform_reporter(connection: Connection, request: RightsRequest) -> None:
    """Queue the mail to who reported a minor, if they gave an address: not what was decided."""
    reporter = open_part(services().keys, request).reporter
    if reporter:
        to = parse_address(reporter, Channel.EMAIL)
        _insert(connection, request, EmailKind.MINOR_REVIEWED, to)


def answered_addresses(request: RightsRequest) -> list[Address]:
    """The address of the person, if any, to which answers go; no agent's."""
    return _recipients(open_part(services().keys, request))[:1]


def insert_closing_notices(
    connection: Connection, request: RightsRequest, contact: Contact
) -> None:
    """Queue a notice to each email address of a closed account that is not mailed the outcome."""
    context = services()
    if context.settings.mail_server is None:
        return
    informed, now = set(answered_addresses(request)), context.now()
    sealed = context.links.seal_form(FormPurpose.CLOSED_ACCOUNT, {"contact": str(contact.id)}, now)
    values = {"link": f"{context.links.base_url(_host(request))}/rights/closed/{sealed}"}
    notices = [
        _email(request, EmailKind.ACCOUNT_CLOSED, address, values, now + UNDO_PERIOD)
        for address in sorted(contact.addresses - informed, key=lambda each: each.exact)
        if address.channel.rules.is_email
    ]
    insert_emails(connection, notices)


def _email(
    request: RightsRequest,
    kind: EmailKind,
    recipient: Address,
    values: Mapping[str, str],
    expires_at: datetime,
    *,
    unproven: bool = False,
) -> OutgoingEmail:
    return OutgoingEmail(
        id=services().new_id(),
        kind=kind,
        recipient=recipient,
        language=_language(request),
        brand=request.brand,
        values=values,
        expires_at=expires_at,
        unproven=unproven,
    )


def _language(request: RightsRequest) -> str:
    default = current_catalogue_or_empty().default_language
    return match_language(request.language) or match_language(default) or SOURCE_LANGUAGE


def _host(request: RightsRequest) -> str | None:
    """That of the brand's own pages, if it has them."""
    brand = current_catalogue_or_empty().brands.get(request.brand or "")
    return brand.host if brand else None


def _insert(
    connection: Connection,
    request: RightsRequest,
    kind: EmailKind,
    recipient: Address,
    systems_until: datetime | None = None,
) -> UUID | None:
    context = services()
    unproven = _is_unproven(request, kind)
    if context.settings.mail_server is None or (unproven and not may_email(recipient)):
        return None
    values = _values(request, kind, systems_until) | _agent_of(request, kind, recipient)
    expires_at = context.now() + EMAIL_LIFETIME
    email = _email(request, kind, recipient, values, expires_at, unproven=unproven)
    insert_emails(connection, [email])
    return email.id


def _is_unproven(request: RightsRequest, kind: EmailKind) -> bool:
    """Whether anybody could have caused this email, by a form or by a mail with a forged From.

    What staff answer is none: refusals, extensions, and what they found about a report.
    """
    by_anybody = request.via.rules.from_anybody and request.level < IdentityLevel.CONTROLS_ADDRESS
    return by_anybody and kind in _WITHOUT_STAFF


def _values(
    request: RightsRequest, kind: EmailKind, systems_until: datetime | None
) -> dict[str, str]:
    """What REQUIRED_VALUES wants for this kind."""
    context, host = services(), _host(request)
    now = context.now()
    answer = _ANSWERS.get(kind)
    due = None if request.stopped_at else request.deadline
    if kind is EmailKind.RIGHTS_DONE:
        due = systems_until
    values: dict[str, str] = {
        "link": answer_url(context.links, answer, request.id, now, host)
        if answer
        else rights_status_url(context.links, request.id, now, host),
        "until": (request.recorded_at + ANSWER_TIMES[answer]).isoformat() if answer else "",
        "agent": open_part(context.keys, request).agent.get("name", ""),
        "reference": request.reference,
        "right": request.kind.value,
        "law": request.law or "",
        "received": request.received_at.isoformat(),
        "due": due.isoformat() if due else "",
        "why": request.outcome or request.refusal or request.extension_reason or _notes(request),
    }
    return {name: values[name] for name in REQUIRED_VALUES[kind]}


def _agent_of(request: RightsRequest, kind: EmailKind, recipient: Address) -> dict[str, str]:
    """Who asked in the name of the person, for an email to that person; empty for any other."""
    agent = open_part(services().keys, request).agent
    if kind not in _KINDS.values() or not agent or recipient.exact == agent["address"]:
        return {}
    return {BY_AGENT: agent["name"]}


def _notes(request: RightsRequest) -> str:
    """What a receipt says besides, separated by spaces."""
    notes = {
        ReceiptNote.MARKETING_OFF: request.stops_marketing,
        ReceiptNote.WAITS_FOR_PROOF: request.waits_for_dealings,
    }
    return " ".join(note for note, is_so in notes.items() if is_so)


def _kind(request: RightsRequest, action: StepAction) -> EmailKind:
    if request.kind is RequestKind.MINOR:
        return _REPORT_KINDS[action]
    if action is StepAction.RECEIVED and request.waits_for_principal:
        return EmailKind.RIGHTS_AGENT_ASKED
    return _KINDS[action]


def _is_done_at_once(request: RightsRequest) -> bool:
    if not request.is_open:
        return False
    closing = current_catalogue_or_empty().rights.closing
    return request.kind is not RequestKind.ACCESS and request.acts_by_itself(closing)


def _recipients(part: SealedPart) -> list[Address]:
    """The person; and after them an agent, if their authority says so."""
    named = [text for channel, text in part.addresses if Channel(channel).rules.is_email][:1]
    if part.agent.get(RESULTS_TO_AGENT):
        named.append(part.agent["address"])
    return [parse_address(text, Channel.EMAIL) for text in named]


NOTICE_LIFETIME = timedelta(days=3)
"""How long the notice, which holds the address, waits sealed for the mail server."""


def build_notices(
    subjects: Sequence[ErasureSubject],
    accounts: Sequence[ErasedAccount],
    extent: Extent,
    now: datetime,
    informed: Collection[Address] = (),
) -> list[OutgoingEmail]:
    """A notice for each readable email address that is not `informed`, in its contact's language.

    None without a mail server. To be stored after what waits for the same address was cancelled.
    """
    context = services()
    if context.settings.mail_server is None:
        return []
    default = match_language(current_catalogue_or_empty().default_language) or SOURCE_LANGUAGE
    return [
        OutgoingEmail(
            id=context.new_id(),
            kind=EmailKind.ERASED,
            recipient=address,
            language=match_language(_locale(subject, accounts)) or default,
            brand=None,
            values={"extent": extent.value},
            expires_at=now + NOTICE_LIFETIME,
        )
        for subject in subjects
        if subject.text is not None and subject.channel.rules.is_email
        for address in [restore_address(subject.text, subject.channel)]
        if address not in informed
    ]


def _locale(subject: ErasureSubject, accounts: Sequence[ErasedAccount]) -> str | None:
    return next((each.locale for each in accounts if each.id == subject.contact_id), None)
