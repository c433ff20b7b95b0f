"""What waits for a person's decision: mails and texts, vendor events, opt-outs, bursts."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts.rules.statements import SOURCE
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.deadlines import WINDOW, deadline_stage
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING, SHARING, format_receipt_code
from preference_center.core.staff import AccessAction, AccessReason, Permission, StaffAccess
from preference_center.destinations.rules.questions import (
    INVALID_ADDRESS_QUESTION,
    UNREADABLE_QUESTION,
)
from preference_center.destinations.store import webhooks
from preference_center.inbound import bursts, review, store
from preference_center.inbound.review import Meaning, NotOpen, UnusableReason
from preference_center.inbound.rules import ReviewReason
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger.rules import RequestOrigin
from preference_center.ledger.store import suppressions
from preference_center.ledger.store.addresses import load_readable
from preference_center.web.console.frame import (
    Route,
    current_actor,
    redirect_after_post,
    render_page,
)
from preference_center.web.console.looks import insert_person_access
from preference_center.web.languages import page_language

LISTED = 50
"""How many of each list are shown: what has waited longest is decided first."""

REASON_TEXTS: Mapping[ReviewReason, LazyString] = {
    ReviewReason.UNCLEAR: _("The meaning of a reply is not clear"),
    ReviewReason.HAS_FURTHER_REQUEST: _("The opt-out is recorded; the reply asks for more"),
    ReviewReason.WRONG_MAILBOX: _("A reply to an address for reports"),
    ReviewReason.NO_RECIPIENT: _("A report without a recipient"),
    ReviewReason.UNPROVEN: _("A report without proof that it is about a mail of ours"),
    ReviewReason.UNKNOWN_REPORT_TYPE: _("A report of an unknown type"),
    ReviewReason.TRUNCATED: _("A report too long to be read whole: its beginning is recorded"),
    ReviewReason.TOO_COMPLEX: _("It has too many parts"),
    ReviewReason.UNREADABLE: _("It could not be read"),
}
QUESTION_TEXTS: Mapping[str, LazyString] = {
    UNREADABLE_QUESTION: _("The body does not match the vendor’s documentation"),
    INVALID_ADDRESS_QUESTION: _("An opt-out or complaint with an invalid address"),
}


def review_lists() -> ResponseReturnValue:
    """The first items of each list, and the newest bursts."""
    now = services().now()

    def load(connection: Connection) -> dict[str, Any]:
        return {
            "items": store.list_open_items(connection, LISTED),
            "questions": webhooks.list_open_questions(connection, LISTED),
            "pending": suppressions.list_open(connection, LISTED),
            "bursts": bursts.list_newest_bursts(connection, LISTED),
            "counts": webhooks.count_waiting(webhooks.list_waiting(connection)),
        }

    return render_page(
        "inbound/lists",
        **run_in_transaction(load),
        stage_of=lambda at: deadline_stage(at + WINDOW, now),
        due_at=lambda at: at + WINDOW,
        reasons=REASON_TEXTS,
        question_texts=QUESTION_TEXTS,
        UNREADABLE_QUESTION=UNREADABLE_QUESTION,
        done=request.args.get("done", ""),
    )


def review_item(item_id: UUID) -> ResponseReturnValue:
    """One mail or text, as text; that somebody read it is recorded for its sender to see."""
    return _item_page(item_id)


def resolve_review_item(item_id: UUID) -> ResponseReturnValue:
    """Record what a mail means, or that it needs no action."""
    try:
        if request.form.get("decision") == "dismiss":
            review.dismiss_items([item_id], current_actor())
        else:
            _resolve(item_id)
    except NotOpen:
        abort(HTTPStatus.NOT_FOUND)
    except InvalidInput as error:
        return _item_page(item_id, problem=str(error))
    return redirect_after_post(url_for("console.review_lists", done="item"))


def discard_vendor_event(webhook_id: UUID) -> ResponseReturnValue:
    """Decide that a vendor event needs no action, or its question never does."""
    reason = request.form.get("reason", "").strip()
    try:
        if request.form.get("decision") == "ignore":
            review.ignore_question(
                request.form.get("destination", ""),
                request.form.get("question", ""),
                reason,
                current_actor(),
            )
        else:
            review.discard_vendor_events([webhook_id], reason, current_actor())
    except UnusableReason:
        return redirect_after_post(url_for("console.review_lists", done="no-reason"))
    except InvalidInput:
        abort(HTTPStatus.NOT_FOUND)
    return redirect_after_post(url_for("console.review_lists", done="event"))


def retry_vendor_events() -> ResponseReturnValue:
    """Process all undecided vendor events once more."""
    review.retry_vendor_events(current_actor())
    return redirect_after_post(url_for("console.review_lists", done="retry"))


def dismiss_pending_opt_out(opt_out_id: UUID) -> ResponseReturnValue:
    """Decide that the address of an opt-out by mail can't be found."""
    reason = request.form.get("reason", "").strip()
    try:
        review.dismiss_pending([opt_out_id], reason, current_actor())
    except UnusableReason:
        return redirect_after_post(url_for("console.review_lists", done="no-reason"))
    except NotOpen:
        abort(HTTPStatus.NOT_FOUND)
    return redirect_after_post(url_for("console.review_lists", done="pending"))


def burst(burst_id: UUID) -> ResponseReturnValue:
    """One burst: when, how many, of which domain, and the references of its opt-outs."""
    found = run_in_transaction(lambda connection: bursts.find_burst(connection, burst_id))
    if found is None:
        abort(HTTPStatus.NOT_FOUND)
    events = run_in_transaction(lambda connection: bursts.list_event_ids(connection, burst_id))
    domain = run_in_transaction(lambda connection: _burst_domain(connection, burst_id))
    codes = [format_receipt_code(event) for event in events]
    return render_page("inbound/burst", burst=found, domain=domain, codes=codes)


def _burst_domain(connection: Connection, burst_id: UUID) -> str:
    """The domain. It is not stored with the burst, but read from an address that still exists."""
    ids = bursts.list_address_ids(connection, burst_id)
    for _channel, address in load_readable(connection, services().keys, ids).values():
        return address.rpartition("@")[2]
    return str(_("no longer known: all its addresses were erased"))


def _resolve(item_id: UUID) -> None:
    context = services()
    item, _head = review.load_item(item_id)
    lines = filter(None, map(str.strip, request.form.get("addresses", "").splitlines()))
    addresses = [
        parse_address(line, review.channel_of(item), region=context.settings.phone_region)
        for line in lines
    ]
    try:
        meaning = Meaning(request.form.get("meaning", ""))
    except ValueError:
        raise InvalidInput(f"a meaning is one of {', '.join(Meaning)}") from None
    origin = RequestOrigin(SOURCE, current_actor(), context.now())
    review.resolve_item(item, addresses, meaning, request.form.get("scope", ""), origin)


def _item_page(item_id: UUID, *, problem: str = "") -> ResponseReturnValue:
    """The page; each time that it shows a mail is a look of its own."""
    try:
        item, head = review.load_item(item_id)
    except NotOpen:
        abort(HTTPStatus.NOT_FOUND)
    channel, sender = review.channel_of(item), review.claimed_sender(item, head)
    if item.has_content:
        run_in_transaction(lambda connection: _record_look(connection, item_id, sender))
    return render_page(
        "inbound/item",
        status=422 if problem else 200,
        problem=problem,
        item=item,
        mail=review.show_mail(head),
        reason=REASON_TEXTS[ReviewReason(item.reason)],
        due_at=item.received_at + WINDOW,
        stage=deadline_stage(item.received_at + WINDOW, services().now()),
        scopes=_scopes(channel),
        addresses=request.form.get("addresses", sender.exact if sender else ""),
        chosen=request.form,
    )


def _record_look(connection: Connection, item_id: UUID, sender: Address | None) -> None:
    """Record for the sender that a mail was read; for the audit alone if it names no one sender."""
    context, actor, action = services(), current_actor(), AccessAction.MAIL_REVIEWED
    if sender is None:
        detail = {"item": str(item_id)}
        insert_audit_entry(connection, context.now(), actor, action, detail)
        return
    look = StaffAccess(context.new_id(), context.now(), actor, action, AccessReason.WROTE)
    insert_person_access(connection, context.keys, look, sender)


def _scopes(channel: Channel) -> list[tuple[str, str]]:
    """What one can opt out of, with its title."""
    catalogue, language = current_catalogue_or_empty(), page_language()
    topics = [
        (key, catalogue.localize(topic.title, language))
        for key, topic in catalogue.topics.items()
        if topic.channel is channel
    ]
    return [
        (ALL_MARKETING, str(_("All marketing"))),
        *topics,
        (SHARING, str(_("Sale and sharing of data"))),
    ]


ROUTES = (
    Route("/review", review_lists, Permission.REVIEW),
    Route("/review/mails/<uuid:item_id>", review_item, Permission.REVIEW),
    Route("/review/mails/<uuid:item_id>/decide", resolve_review_item, Permission.REVIEW, ("POST",)),
    Route("/review/events/retry", retry_vendor_events, Permission.REVIEW, ("POST",)),
    Route(
        "/review/events/<uuid:webhook_id>/decide",
        discard_vendor_event,
        Permission.REVIEW,
        ("POST",),
    ),
    Route(
        "/review/pending/<uuid:opt_out_id>/dismiss",
        dismiss_pending_opt_out,
        Permission.REVIEW,
        ("POST",),
    ),
    Route("/review/bursts/<uuid:burst_id>", burst, Permission.REVIEW),
)
