"""What waits for a person's decision: mails and texts, vendor events, opt-outs without an address.

The console and `flask inbound` use these. `actor` is who decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID, uuid5

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.core.events import Change, EventKind
from preference_center.core.mime import (
    MailTooComplex,
    parse_addresses,
    parse_mail,
    usable_addresses,
)
from preference_center.destinations.rules.questions import UNREADABLE_QUESTION
from preference_center.destinations.store import destinations, webhooks
from preference_center.inbound import store
from preference_center.inbound.store import ReviewItem
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import record
from preference_center.ledger.rules import (
    ReceivedVia,
    RequestOrigin,
    build_opt_out_change,
    validate_opt_out_scope,
)
from preference_center.ledger.store import suppressions

SHOWN_FIELDS = ("From", "To", "Cc", "Date", "Subject", "Message-ID", "In-Reply-To")
TEXT_FIELDS = ("X-From", "X-To")
"""The fields of a text message, which waits in the form of a mail."""


class NotOpen(InvalidInput):
    """Nothing that waits has this id: somebody decided on it."""

    def __init__(self, open_id: UUID) -> None:
        super().__init__(f"nothing that waits has the id {open_id}: it was decided on, perhaps")
        self.open_id = open_id


MAX_REASON = 200


class UnusableReason(InvalidInput):
    """A reason that the audit can't have: none, a long one, or one with an address (I12)."""


class Meaning(StrEnum):
    """What a mail or a text turned out to say."""

    OPTED_OUT = "opted-out"
    COMPLAINED = "complained"


@dataclass(frozen=True, slots=True)
class ShownMail:
    """What a decision needs of a mail or a text: fields with their values, and texts by type."""

    fields: Sequence[tuple[str, str]]
    texts: Sequence[tuple[str, str]]


def load_item(item_id: UUID) -> tuple[ReviewItem, bytes]:
    """An open item and its beginning, which is personal data. Raises NotOpen."""
    keys = services().keys
    found = run_in_transaction(lambda connection: store.load_open_item(connection, keys, item_id))
    if found is None:
        raise NotOpen(item_id)
    return found


def show_mail(head: bytes) -> ShownMail:
    """Decode the beginning of a mail; what has too many parts is one text, as it is."""
    try:
        mail = parse_mail(head)
    except MailTooComplex:
        return ShownMail((), [("", head.decode("utf-8", "replace"))])
    fields = [
        (name, mail.field(name)) for name in (*SHOWN_FIELDS, *TEXT_FIELDS) if mail.field(name)
    ]
    return ShownMail(fields, [(leaf.content_type, leaf.text.strip()) for leaf in mail.text_parts])


def claimed_sender(item: ReviewItem, head: bytes) -> Address | None:
    """Whom a mail or text claims to be from, if that is one address."""
    try:
        mail = parse_mail(head)
    except MailTooComplex:
        return None
    if channel_of(item).rules.is_email:
        texts = usable_addresses(parse_addresses([mail.field("From")]))
    else:
        texts = (mail.field("X-From"),)
    try:
        (text,) = texts
        return parse_address(text, channel_of(item), region=services().settings.phone_region)
    except (ValueError, InvalidAddress):  # none or several
        return None


def channel_of(item: ReviewItem) -> Channel:
    """The channel of the addresses that an item is about."""
    return Channel.SMS if item.mailbox == Channel.SMS else Channel.EMAIL


def resolve_item(
    item: ReviewItem,
    addresses: Sequence[Address],
    meaning: Meaning,
    scope: str,
    origin: RequestOrigin,
) -> int:
    """Record what an item means, as of when it was received, and delete it; how many are recorded.

    Raises InvalidInput if the scope can't be opted out of or there is no address, and NotOpen.
    """
    if not addresses:
        raise InvalidInput("give the address of the person, one a line if there are several")
    valid_scope = validate_opt_out_scope(addresses[0], scope, current_catalogue())
    changes = [
        _change(item, number, address, meaning, valid_scope, origin)
        for number, address in enumerate(addresses)
    ]
    recorded = record(
        changes, lambda connection, _: _settle(connection, item.id, meaning, origin.actor)
    )
    return len(recorded.events)


def dismiss_items(item_ids: Iterable[UUID], actor: str) -> None:
    """Delete items that need no action: all of them, or none. Raises NotOpen."""

    def dismiss_all(connection: Connection) -> None:
        for item_id in item_ids:
            _settle(connection, item_id, "dismissed", actor)

    run_in_transaction(dismiss_all)


def dismiss_pending(opt_out_ids: Iterable[UUID], reason: str, actor: str) -> None:
    """Decide that the addresses of opt-outs by mail can't be found: late no more.

    Checks honour them all the same. All of them, or none. Raises NotOpen and UnusableReason.
    """
    _check_reason(reason)

    def dismiss_all(connection: Connection) -> None:
        now = services().now()
        for opt_out_id in opt_out_ids:
            if not suppressions.dismiss_pending(connection, opt_out_id, reason, now):
                raise NotOpen(opt_out_id)
            detail = {"opt_out": str(opt_out_id), "reason": reason}
            insert_audit_entry(connection, now, actor, "pending_opt_out.dismissed", detail)

    run_in_transaction(dismiss_all)


def retry_vendor_events(actor: str) -> None:
    """Process all undecided vendor events once more."""

    def release(connection: Connection) -> set[int]:
        posts = webhooks.list_webhooks_with_open_questions(connection)
        now, detail = services().now(), {"events": str(len(posts))}
        insert_audit_entry(connection, now, actor, "vendor_event.retried", detail)
        return webhooks.requeue_webhooks(connection, posts, now)

    for destination_id in run_in_transaction(release):
        services().queue.nudge_webhooks(destination_id)


def discard_vendor_events(webhook_ids: Iterable[UUID], reason: str, actor: str) -> None:
    """Decide that vendor events need no action: all of them, or none.

    Raises NotOpen and UnusableReason.
    """
    _check_reason(reason)

    def discard_all(connection: Connection) -> None:
        now = services().now()
        for webhook_id in webhook_ids:
            if not webhooks.discard_webhook_questions(connection, webhook_id, reason, now):
                raise NotOpen(webhook_id)
            detail = {"event": str(webhook_id), "reason": reason}
            insert_audit_entry(connection, now, actor, "vendor_event.discarded", detail)

    run_in_transaction(discard_all)


def ignore_question(destination: str, question: str, reason: str, actor: str) -> int:
    """Ask a question no more of a destination; how many events are decided by that.

    Raises InvalidInput for a body that can't be parsed, which may be any opt-out, where no event
    waits with this question, and if there is no such destination; UnusableReason.
    """
    _check_reason(reason)
    if question == UNREADABLE_QUESTION:
        raise InvalidInput("an unreadable body may be any opt-out: discard them one by one")

    def ignore(connection: Connection) -> int:
        context = services()
        now, target = context.now(), destinations.get_by_name(connection, context.keys, destination)
        decided = webhooks.ignore_question(connection, target.id, question, reason, now)
        if not decided:  # else nobody would ever see what it is about
            raise InvalidInput("no event of this destination waits with this question")
        detail = {"name": destination, "question": question, "reason": reason}
        insert_audit_entry(connection, now, actor, "vendor_event.ignored", detail)
        return decided

    return run_in_transaction(ignore)


def _check_reason(reason: str) -> None:
    if not reason or len(reason) > MAX_REASON or "@" in reason:
        raise UnusableReason(
            f"give a reason of up to {MAX_REASON} characters, without an address: the audit has it"
        )


def _settle(connection: Connection, item_id: UUID, outcome: str, actor: str) -> None:
    now = services().now()
    if not store.resolve_item(connection, item_id, outcome, now):
        raise NotOpen(item_id)
    detail = {"item": str(item_id), "outcome": str(outcome)}
    insert_audit_entry(connection, now, actor, "review_item.resolved", detail)


def _change(
    item: ReviewItem,
    number: int,
    address: Address,
    meaning: Meaning,
    scope: str,
    origin: RequestOrigin,
) -> Change:
    change = build_opt_out_change(
        uuid5(item.id, f"{meaning} {scope} {number}"),
        address,
        scope,
        ReceivedVia.REPLY,
        origin,
        received_at=item.received_at,
        occurred_at=item.received_at,
    )
    if meaning is Meaning.COMPLAINED:
        evidence = {"method": "feedback_report", "proof": "person"}
        return replace(change, kind=EventKind.COMPLAINED, evidence=evidence, own_act=False)
    return change
