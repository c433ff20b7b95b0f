"""Make the records about the contact, tools, requests, and what the company has stated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from psycopg.rows import dict_row

from preference_center.contacts.notices.store import list_notices_of
from preference_center.core.staff import actor_kind
from preference_center.destinations.store import webhooks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.hooks import Hook
from preference_center.lists.store import UPLOAD_RETENTION
from preference_center.rights import person_words as words
from preference_center.rights.access_file import records
from preference_center.rights.access_file.ledger_records import AccessSubject
from preference_center.rights.person_words import in_words
from preference_center.rights.requests import store
from preference_center.rights.requests.store import RightsStep
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import IdentityLevel
from preference_center.web.console import looks as person_access
from preference_center.web.languages import format_duration

_FETCH_SIZE = 500
_SELECT_CONTACTS = """
SELECT c.id, c.account, c.restricted_at, c.locale AS language, c.created_at, c.changed_at,
    array_agg(linked.address_id ORDER BY linked.address_id) AS address_ids
FROM contact c JOIN contact_address linked ON linked.contact_id = c.id
WHERE linked.address_id = ANY(%(ids)b) GROUP BY c.id ORDER BY c.created_at, c.id
"""
_SELECT_DELIVERIES = """
SELECT d.address_id, destination.name, d.at, d.outcome, answered.ack
FROM delivery d LEFT JOIN destination ON destination.id = d.destination_id
LEFT JOIN delivery_ack answered ON answered.delivery_id = d.id
WHERE d.address_id = ANY(%(ids)b) ORDER BY d.id
"""
_SELECT_TOOLS = """
SELECT d.name, d.sends, array_agg(a.id ORDER BY a.id)
FROM address a
CROSS JOIN destination d
JOIN sync_state s ON s.destination_id = d.id AND s.address_id = a.id
WHERE a.id = ANY(%(ids)b) GROUP BY d.id ORDER BY d.name
"""
_SELECT_BOUNCES = """
SELECT digest, at, code FROM counted_bounce WHERE digest = ANY(%(digests)s) ORDER BY at
"""
_SELECT_ERASURES = """
SELECT id, address_id, extent, begun_at, finished_at FROM erasure
WHERE address_id = ANY(%(ids)s) ORDER BY begun_at
"""
_SELECT_ERASURE_TASKS = """
SELECT erasure_id, destination, suppressed_at, erased_at, confirmed_at, by_hand_since
FROM erasure_task WHERE erasure_id = ANY(%(ids)s) ORDER BY destination
"""
_SELECT_MOVES = """
SELECT from_address_id, to_address_id, moved_at, undone_at FROM address_move
WHERE from_address_id = ANY(%(ids)s) OR to_address_id = ANY(%(ids)s) ORDER BY moved_at
"""
_SELECT_HOLDS = """
SELECT address_id, ground, placed_at, ends_at, ended_at FROM hold
WHERE address_id = ANY(%(ids)s) ORDER BY placed_at
"""


@Hook
def mail_review_period() -> timedelta:
    """How long a mail to us is kept, sealed, until somebody has read it."""
    raise NotImplementedError


def controller_record(subject: AccessSubject) -> records.ControllerRecord | None:
    """The company, as its catalogue states it."""
    company, localize = subject.catalogue.controller, subject.catalogue.localize
    if company is None:
        return None
    return records.ControllerRecord(
        name=localize(company.name, subject.language),
        address=company.address,
        privacy_contact=company.privacy_contact,
        officer=company.officer,
        privacy_notice=localize(company.privacy_notice, subject.language) or None,
        authorities=[
            records.AuthorityRecord(name=each.name, url=each.url)
            for each in company.authorities.values()
        ],
    )


def _rows(
    connection: Connection, query: str, given: Mapping[str, object], *, binary: bool = False
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row, binary=binary) as cursor:
        return cursor.execute(query.encode(), given).fetchall()


def contact_records(subject: AccessSubject) -> list[records.ContactRecord]:
    """The contacts of these addresses. Other addresses of theirs are not in the file.

    The company's own ids of a person may name them elsewhere, so they need the identity of the
    contact, not only of one address.
    """
    shows_ids = subject.request.level >= IdentityLevel.CONTACT
    numbers, given = subject.numbers, {"ids": subject.ids}
    return [
        records.ContactRecord(
            account_in_words=words.account_state(row["account"]),
            external_ids=_external_ids(subject.connection, contact_id) if shows_ids else None,
            addresses=[numbers[address_id] for address_id in address_ids],
            **row,
        )
        for row in _rows(subject.connection, _SELECT_CONTACTS, given, binary=True)
        for contact_id, address_ids in [(row.pop("id"), row.pop("address_ids"))]
    ]


def _external_ids(connection: Connection, contact_id: UUID) -> list[str]:
    """The company's own ids of this contact, as far as they can be read."""
    rows = connection.execute(
        """SELECT digest, ciphertext FROM contact_external_id
        WHERE contact_id = %s AND ciphertext IS NOT NULL ORDER BY linked_at, digest""",
        (contact_id,),
    )
    keys = services().keys
    return [keys.open(ciphertext, context=digest) for digest, ciphertext in rows]


def topic_records(subject: AccessSubject) -> list[records.TopicRecord]:
    """What the addresses may be used for, and what allows it."""
    channels = {each.channel for each in subject.addresses}
    localize = subject.catalogue.localize
    return [
        records.TopicRecord(
            topic=topic.key,
            title=localize(topic.title, subject.language),
            purpose=localize(topic.purpose, subject.language) or None,
            legal_basis=topic.legal_basis and topic.legal_basis.value,
            legal_basis_in_words=words.stated(topic.legal_basis),
        )
        for topic in subject.catalogue.topics.values()
        if topic.channel in channels
    ]


def recipient_records(subject: AccessSubject) -> list[records.RecipientRecord]:
    """The tools to which these addresses were reported, or are to be."""
    tools = subject.connection.execute(_SELECT_TOOLS, {"ids": subject.ids}, binary=True)
    return [
        records.RecipientRecord(
            title=subject.titles(name),
            company=recipient.company if recipient else None,
            country=recipient.country if recipient else None,
            role=recipient.role.value if recipient else None,
            role_in_words=words.stated(recipient.role if recipient else None),
            topics=list(sends),
            addresses=[subject.numbers[address_id] for address_id in address_ids],
        )
        for name, sends, address_ids in tools
        for recipient in (subject.catalogue.recipients.get(name),)
    ]


def delivery_records(subject: AccessSubject) -> Iterator[records.DeliveryRecord]:
    """What was reported to each tool, and its answer; the oldest first."""
    numbers = subject.numbers
    with closing(subject.connection.cursor("deliveries", binary=True)) as cursor:
        cursor.execute(_SELECT_DELIVERIES, {"ids": subject.ids})
        while rows := cursor.fetchmany(_FETCH_SIZE):
            for address_id, tool, at, outcome, ack in rows:
                yield records.DeliveryRecord(
                    address=numbers[address_id],
                    tool=subject.titles(tool or ""),
                    at=at,
                    outcome=outcome,
                    what=words.delivery_outcome(outcome),
                    acknowledgement=ack or None,
                )


def bounce_records(subject: AccessSubject) -> list[records.BounceRecord]:
    """Messages that came back and count for some days."""
    numbers = {each.digest: number for number, each in enumerate(subject.addresses, 1)}
    rows = _rows(subject.connection, _SELECT_BOUNCES, {"digests": list(numbers)})
    return [records.BounceRecord(address=numbers[row.pop("digest")], **row) for row in rows]


def erasure_records(subject: AccessSubject) -> list[records.ErasureRecord]:
    """Erasures of these addresses, here and in each tool."""
    rows = _rows(subject.connection, _SELECT_ERASURES, {"ids": subject.ids})
    tools: dict[UUID, list[records.ErasureTaskRecord]] = {row["id"]: [] for row in rows}
    for task in _rows(subject.connection, _SELECT_ERASURE_TASKS, {"ids": list(tools)}):
        title = subject.titles(task.pop("destination"))
        tools[task.pop("erasure_id")].append(records.ErasureTaskRecord(tool=title, **task))
    return [
        records.ErasureRecord(
            address=subject.numbers[row.pop("address_id")], tools=tools[row.pop("id")], **row
        )
        for row in rows
    ]


def move_records(subject: AccessSubject) -> list[records.MoveRecord]:
    """Corrections of these addresses."""
    numbers = subject.numbers
    return [
        records.MoveRecord(from_address=numbers.get(old), to_address=numbers.get(new), **row)
        for row in _rows(subject.connection, _SELECT_MOVES, {"ids": subject.ids})
        for old, new in [(row.pop("from_address_id"), row.pop("to_address_id"))]
    ]


def hold_records(subject: AccessSubject) -> list[records.HoldRecord]:
    """What keeps these addresses from being erased; the company's name of the case is its own."""
    rows = _rows(subject.connection, _SELECT_HOLDS, {"ids": subject.ids})
    return [
        records.HoldRecord(address=subject.numbers[row.pop("address_id")], **row) for row in rows
    ]


def policy_notice_records(subject: AccessSubject) -> list[records.PolicyNoticeRecord]:
    """The versions of the privacy policy that these people are informed of."""
    return [
        records.PolicyNoticeRecord(
            address=subject.numbers.get(each.address_id),
            version=each.version,
            reach=each.reach.value,
            noticed_at=each.noticed_at,
            via=each.via,
        )
        for each in list_notices_of(subject.connection, subject.ids)
    ]


def staff_look_records(subject: AccessSubject) -> list[records.StaffLookRecord]:
    """When and why somebody of the staff looked at these addresses: of who, only the kind."""
    numbers = {(each.channel, each.digest): n for n, each in enumerate(subject.addresses, 1)}
    looks = person_access.list_accesses_of(subject.connection, numbers)
    return [
        records.StaffLookRecord(
            address=numbers[whose],
            at=access.at,
            reason=access.reason.value,
            reason_in_words=words.in_words(access.reason),
            reference=access.reference or None,
            by=actor_kind(access.actor),
        )
        for whose, access in looks
    ]


def retention_records(subject: AccessSubject) -> list[records.RetentionRecord]:
    """How long the company keeps what it does not keep for good."""
    return [
        records.RetentionRecord(
            kind=kind.value,
            what=words.in_words(kind),
            days=rule.duration.days,
            ground=subject.catalogue.localize(rule.ground, subject.language),
        )
        for kind, rule in subject.catalogue.retention.items()
    ]


def request_records(subject: AccessSubject) -> list[records.RequestRecord]:
    """Every request about these addresses, this one included."""
    found = store.list_of_subject(subject.connection, subject.request.subject_digests)
    return [_request_record(subject, each) for each in found]


def _request_record(subject: AccessSubject, each: RightsRequest) -> records.RequestRecord:
    steps = store.fetch_steps(subject.connection, each.id)
    return records.RequestRecord(
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


def _step_record(step: RightsStep) -> records.StepRecord:
    return records.StepRecord(
        at=step.at,
        action=step.action,
        what=words.step_action(step.action),
        by=words.step_actor(step.actor),
    )


def notes() -> list[str]:
    """What can't be in the file, and why; and how to read the tables."""
    return [
        _(
            "Emails to us that somebody still has to read are kept sealed for %(period)s. Only"
            " opening each would show whose they are, so they are not in this file.",
            period=format_duration(mail_review_period().days),
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
