"""Send a person a fresh link to their preference page, or retract a mistaken entry of one's own.

Only the entry that one has just recorded can be retracted; all others stay (I5).
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from uuid import UUID, uuid5

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue import Brand
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import words
from preference_center.contacts.console.find import find_contact
from preference_center.contacts.console.person import find_stored
from preference_center.contacts.console.record import language_of
from preference_center.contacts.rules.contact import ContactRef
from preference_center.contacts.rules.statements import SOURCE, is_retractable
from preference_center.core.addresses import Address
from preference_center.core.events import Event, Retraction
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import EmailKind
from preference_center.ledger import record
from preference_center.ledger.store.events import find_retracted, load_events_by_id
from preference_center.web.console.frame import current_actor, redirect_after_post, render_page
from preference_center.web.console.own_looks import open_look
from preference_center.web.emails import emails_stopped
from preference_center.web.languages import LANGUAGES
from preference_center.web.pages.mailed_links import queue_one_time_link


def send_link(access_id: UUID) -> ResponseReturnValue:
    """What would be sent, and in which language (GET); the email (POST)."""
    look = open_look(access_id)
    obstacle = _obstacle(look.address)
    if request.method != "POST" or obstacle:
        return _page(access_id, look.address, obstacle)
    language = request.form.get("language", "")
    if language not in LANGUAGES:
        return _page(access_id, look.address, _("Choose the language of the email."))
    is_queued = queue_one_time_link(
        look.address,
        EmailKind.ONE_TIME_LINK,
        TokenPurpose.EMAILED_LINK,
        "m",
        brand=_only_brand(),
        language=language,
        is_chosen=True,
    )
    if not is_queued:
        problem = _(
            "This mailbox has had as many links as are allowed: 3 in an hour, 10 in a day. Nothing"
            " was sent. An earlier link still works."
        )
        return _page(access_id, look.address, problem)
    run_in_transaction(
        lambda c: insert_audit_entry(
            c, services().now(), current_actor(), "person.link_sent", {"access": str(access_id)}
        )
    )
    return redirect_after_post(url_for("console.person", access_id=access_id, done="sent"))


def _obstacle(address: Address) -> str:
    """Why no link can be sent there, or an empty text."""
    if not address.channel.rules.is_email:
        return str(_("Links are sent by email. Look the person up by their email address."))
    if services().settings.mail_server is None:
        return str(_("No mail server is configured (SMTP_URL), so no email can be sent."))
    if emails_stopped(address, services().now()):
        return str(_("The reader of this mailbox has stopped such emails, so none is sent."))
    return ""


def _page(access_id: UUID, address: Address, problem: str) -> ResponseReturnValue:
    def load(connection: Connection) -> tuple[bool, bool, bool]:
        contact = find_contact(connection, ContactRef(address=address))
        stored = find_stored(connection, address)
        return (
            stored is not None and stored.erased_at is not None,
            contact is not None and contact.account.closed,
            contact is not None and contact.restricted_at is not None,
        )

    is_erased, is_closed, is_restricted = run_in_transaction(load)
    is_refused = request.method == "POST" and problem
    return render_page(
        "contacts/link",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK,
        access_id=access_id,
        address=address,
        problem=problem,
        can_send=not _obstacle(address),
        is_erased=is_erased,
        is_closed=is_closed,
        is_restricted=is_restricted,
        tongues=[*LANGUAGES.items()],
        hours=LIFETIMES[TokenPurpose.EMAILED_LINK] // timedelta(hours=1),
        chosen=language_of(address),
    )


def _only_brand() -> Brand | None:
    """The brand that the email is from, unless there are several: then it is from all."""
    brands = tuple(current_catalogue_or_empty().brands.values())
    return brands[0] if len(brands) == 1 else None


def retract_entry(access_id: UUID, event_id: UUID) -> ResponseReturnValue:
    """What retracting it will do (GET), and the retraction (POST)."""
    look = open_look(access_id)
    is_post = request.method == "POST"
    event = run_in_transaction(
        lambda c: _find_own_event(c, look.address, event_id, may_be_retracted=is_post)
    )
    if event is None:
        abort(HTTPStatus.NOT_FOUND)
    if not is_post:
        return render_page(
            "contacts/retract",
            access_id=access_id,
            address=look.address,
            event=event,
            title=words.event_title(event, current_catalogue_or_empty()),
        )
    retraction = Retraction(
        uuid5(event_id, SOURCE), (event_id,), services().now(), SOURCE, current_actor()
    )
    record([retraction])
    return redirect_after_post(url_for("console.person", access_id=access_id, done="undone"))


def _find_own_event(
    connection: Connection, address: Address, event_id: UUID, *, may_be_retracted: bool
) -> Event | None:
    """The event, if it is about exactly this address and the one signed in may retract it."""
    event = load_events_by_id(connection, [event_id]).get(event_id)
    stored = find_stored(connection, address)
    if event is None or stored is None or event.address_id != stored.id:
        return None
    is_retracted = not may_be_retracted and event_id in find_retracted(connection, [event_id])
    now, actor = services().now(), current_actor()
    return event if is_retractable(event, actor, now, is_retracted=is_retracted) else None
