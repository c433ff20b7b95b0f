"""Make the records about the contact, tools, requests, and what the company has stated."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from flask_babel import gettext as _

from preference_center.contacts.notices.store import list_notices_of
from preference_center.core.staff import actor_kind
from preference_center.destinations.store import webhooks
from preference_center.infra.context import services
from preference_center.infra.hooks import Hook
from preference_center.lists.imports.uploads import UPLOAD_RETENTION
from preference_center.rights import person_words as words
from preference_center.rights.access_file import ledger_records
from preference_center.rights.access_file.ledger_records import AccessSubject, SubjectRows
from preference_center.rights.access_file.records import (
    AuthorityRecord,
    BounceRecord,
    ContactRecord,
    ControllerRecord,
    DeliveryRecord,
    ErasureRecord,
    ErasureTaskRecord,
    HoldRecord,
    MoveRecord,
    PolicyNoticeRecord,
    RecipientRecord,
    RequestRecord,
    RetentionRecord,
    StaffLookRecord,
    StepRecord,
    TopicRecord,
)
from preference_center.rights.person_words import in_words
from preference_center.rights.requests import store
from preference_center.rights.requests.store import RightsStep
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import IdentityLevel
from preference_center.web.console import looks as person_access


@Hook
def mail_review_period() -> timedelta:
    """How long a mail to us is kept, sealed, until somebody has read it."""
    raise NotImplementedError


def controller_record(subject: AccessSubject) -> ControllerRecord | None:
    """The company, as its catalogue states it."""
    company, localize = subject.catalogue.controller, subject.catalogue.localize
    if company is None:
        return None
    return ControllerRecord(
        name=localize(company.name, subject.language),
        address=company.address,
        privacy_contact=company.privacy_contact,
        officer=company.officer,
        privacy_notice=localize(company.privacy_notice, subject.language) or None,
        authorities=[
            AuthorityRecord(name=each.name, url=each.url) for each in company.authorities.values()
        ],
    )


def contact_records(subject: AccessSubject) -> list[ContactRecord]:
    """The contacts of these addresses. Other addresses of theirs are not in the file.

    The company's own ids of a person may name them elsewhere, so they need the identity of the
    contact, not only of one address.
    """
    shows_ids = subject.request.level >= IdentityLevel.CONTACT
    connection, keys, numbers = subject.connection, services().keys, subject.numbers
    return [
        ContactRecord(
            account=each.account,
            account_in_words=words.account_state(each.account),
            restricted_at=each.restricted_at,
            language=each.locale,
            created_at=each.created_at,
            changed_at=each.changed_at,
            external_ids=ledger_records.list_external_ids(connection, keys, each.id)
            if shows_ids
            else None,
            addresses=[numbers[address_id] for address_id in each.address_ids],
        )
        for each in ledger_records.list_contacts(connection, subject.ids)
    ]


def topic_records(subject: AccessSubject) -> list[TopicRecord]:
    """What the addresses may be used for, and what allows it."""
    channels = {each.channel for each in subject.addresses}
    localize = subject.catalogue.localize
    return [
        TopicRecord(
            topic=topic.key,
            title=localize(topic.title, subject.language),
            purpose=localize(topic.purpose, subject.language) or None,
            legal_basis=topic.legal_basis and topic.legal_basis.value,
            legal_basis_in_words=words.stated(topic.legal_basis),
        )
        for topic in subject.catalogue.topics.values()
        if topic.channel in channels
    ]


def recipient_records(subject: AccessSubject, rows: SubjectRows) -> list[RecipientRecord]:
    """The tools to which these addresses were reported, or are to be."""
    return [
        RecipientRecord(
            title=subject.titles(name),
            company=recipient.company if recipient else None,
            country=recipient.country if recipient else None,
            role=recipient.role.value if recipient else None,
            role_in_words=words.stated(recipient.role if recipient else None),
            topics=list(sends),
            addresses=[subject.numbers[address_id] for address_id in address_ids],
        )
        for name, sends, address_ids in rows.tools
        for recipient in (subject.catalogue.recipients.get(name),)
    ]


def delivery_records(subject: AccessSubject) -> Iterator[DeliveryRecord]:
    """What was reported to each tool, and its answer; the oldest first."""
    numbers = subject.numbers
    for each in ledger_records.iter_deliveries(subject.connection, subject.ids):
        yield DeliveryRecord(
            address=numbers[each.address_id],
            tool=subject.titles(each.tool or ""),
            at=each.at,
            outcome=each.outcome,
            what=words.delivery_outcome(each.outcome),
            acknowledgement=each.ack or None,
        )


def bounce_records(subject: AccessSubject, rows: SubjectRows) -> list[BounceRecord]:
    """Messages that came back and count for some days."""
    numbers = {each.digest: number for number, each in enumerate(subject.addresses, 1)}
    return [
        BounceRecord(address=numbers[digest], at=at, code=code) for digest, at, code in rows.bounces
    ]


def erasure_records(subject: AccessSubject, rows: SubjectRows) -> list[ErasureRecord]:
    """Erasures of these addresses, here and in each tool."""
    return [
        ErasureRecord(
            address=subject.numbers[address_id],
            extent=extent,
            begun_at=begun_at,
            finished_at=finished_at,
            tools=[
                ErasureTaskRecord(
                    tool=subject.titles(tool),
                    suppressed_at=suppressed_at,
                    erased_at=erased_at,
                    confirmed_at=confirmed_at,
                    by_hand_since=by_hand_since,
                )
                for tool, suppressed_at, erased_at, confirmed_at, by_hand_since in (
                    rows.erasure_tasks.get(erasure_id, ())
                )
            ],
        )
        for erasure_id, address_id, extent, begun_at, finished_at in rows.erasures
    ]


def move_records(subject: AccessSubject, rows: SubjectRows) -> list[MoveRecord]:
    """Corrections of these addresses."""
    return [
        MoveRecord(
            from_address=subject.numbers.get(old),
            to_address=subject.numbers.get(new),
            moved_at=moved_at,
            undone_at=undone_at,
        )
        for old, new, moved_at, undone_at in rows.moves
    ]


def hold_records(subject: AccessSubject, rows: SubjectRows) -> list[HoldRecord]:
    """What keeps these addresses from being erased; the company's name of the case is its own."""
    return [
        HoldRecord(
            address=subject.numbers[address_id],
            ground=ground,
            placed_at=placed_at,
            ends_at=ends_at,
            ended_at=ended_at,
        )
        for address_id, ground, placed_at, ends_at, ended_at in rows.holds
    ]


def policy_notice_records(subject: AccessSubject) -> list[PolicyNoticeRecord]:
    """The versions of the privacy policy that these people are informed of."""
    return [
        PolicyNoticeRecord(
            address=subject.numbers.get(each.address_id),
            version=each.version,
            reach=each.reach.value,
            noticed_at=each.noticed_at,
            via=each.via,
        )
        for each in list_notices_of(subject.connection, subject.ids)
    ]


def staff_look_records(subject: AccessSubject) -> list[StaffLookRecord]:
    """When and why somebody of the staff looked at these addresses: of who, only the kind."""
    numbers = {(each.channel, each.digest): n for n, each in enumerate(subject.addresses, 1)}
    looks = person_access.list_accesses_of(subject.connection, numbers)
    return [
        StaffLookRecord(
            address=numbers[whose],
            at=access.at,
            reason=access.reason.value,
            reason_in_words=words.in_words(access.reason),
            reference=access.reference or None,
            by=actor_kind(access.actor),
        )
        for whose, access in looks
    ]


def retention_records(subject: AccessSubject) -> list[RetentionRecord]:
    """How long the company keeps what it does not keep for good."""
    return [
        RetentionRecord(
            kind=kind.value,
            what=words.in_words(kind),
            days=rule.duration.days,
            ground=subject.catalogue.localize(rule.ground, subject.language),
        )
        for kind, rule in subject.catalogue.retention.items()
    ]


def request_records(subject: AccessSubject) -> list[RequestRecord]:
    """Every request about these addresses, this one included."""
    found = store.list_of_subject(subject.connection, subject.request.subject_digests)
    return [_request_record(subject, each) for each in found]


def _request_record(subject: AccessSubject, each: RightsRequest) -> RequestRecord:
    steps = store.fetch_steps(subject.connection, each.id)
    return RequestRecord(
        reference=each.reference,
        kind=each.kind.value,
        what=in_words(each.kind),
        extent=each.extent and each.extent.value,
        law=each.law and each.law.value,
        received_at=each.received_at,
        due_at=each.due_at,
        extended_to=each.extended_to,
        state=each.state.value,
        state_in_words=words.in_words(each.state),
        outcome=each.outcome and each.outcome.value,
        refusal=each.refusal and each.refusal.value,
        closed_at=each.closed_at,
        text=_own_words(each),
        steps=[_step_record(step) for step in steps],
    )


def _own_words(each: RightsRequest) -> str | None:
    """The text of the request, unless somebody else may have written it."""
    sealed = store.open_part(services().keys, each)
    is_own = each.level >= IdentityLevel.CONTROLS_ADDRESS and not (sealed.agent or sealed.reporter)
    return sealed.text or None if is_own else None


def _step_record(step: RightsStep) -> StepRecord:
    return StepRecord(
        at=step.at,
        action=step.action,
        what=words.step_action(step.action),
        by=words.step_actor(step.actor),
    )


def notes() -> list[str]:
    """What can't be in the file, and why; and how to read the tables."""
    return [
        _(
            "Emails to us that somebody still has to read are kept sealed for %(days)s days. Only"
            " opening each would show whose they are, so they are not in this file.",
            days=mail_review_period().days,
        ),
        _(
            "The same is true of what the systems that send our messages report to us, for"
            " %(days)s days, and of lists that were uploaded but not imported yet, for"
            " %(list_days)s days.",
            days=webhooks.BODY_RETENTION.days,
            list_days=UPLOAD_RETENTION.days,
        ),
        _(
            "In the tables (CSV), what a spreadsheet program would run as a formula begins with an"
            " apostrophe. In data.json it is unchanged."
        ),
        _(
            "When our staff saw your address in a list, as one of many, that is not counted as a"
            " look at your data."
        ),
    ]
