"""Serve `/rights/correct`: a person corrects language and address; staff read all else.

A link to the new address confirms it, and a notice to the old one undoes it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, assert_never
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.contacts import load_contacts, upsert_contacts
from preference_center.contacts.choices import ACTOR
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core import errors
from preference_center.core.addresses import Address, Channel, mask_address
from preference_center.core.links import FormPurpose
from preference_center.core.links.tokens import restore_address
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.outbox import EmailKind, OutgoingEmail, enqueue_emails, insert_emails
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    ask,
    find_form_error,
    is_switch,
    is_too_long,
    proven_address,
    read_text,
    redirect_to_status,
    render_form,
    render_rights_page,
    use_up,
)
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.correct import correct_address, undo_move
from preference_center.rights.requests.handle import PAGE_SOURCE, open_request
from preference_center.rights.requests.moves import Move
from preference_center.rights.requests.steps import PERSON
from preference_center.rights.rules.new_request import NewRequest
from preference_center.rights.rules.requests import IdentityLevel, RequestKind, RequestVia
from preference_center.web.emails import may_email
from preference_center.web.languages import LANGUAGES, page_language, set_contact_language
from preference_center.web.pages.mailed_links import read_typed_address
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import can_mail, catalogue_or_empty, lead_brand

CONFIRMATION_LIFETIME = timedelta(hours=24)
"""How long the link to the new address works."""


def confirm_new_address(token: str = "") -> ResponseReturnValue:
    """The page of the link to the new address: its button moves what was said at the old one.

    Raises InvalidLink.
    """
    context = services()
    now = context.now()
    asked_at, data = context.links.open_form(FormPurpose.NEW_ADDRESS, token, None, now)
    old, new = (restore_address(data[key], Channel.EMAIL) for key in ("old", "new"))
    shown: dict[str, Any] = {
        "mailed_token": token,
        "old": mask_address(old),
        "new": mask_address(new),
    }
    expires_at = asked_at + CONFIRMATION_LIFETIME
    if now > expires_at:
        return _address_page("address_expired", status=410)
    if "confirm" not in request.form:
        return _address_page("address_confirm", **shown)
    try:
        use_up(UUID(data["id"]), expires_at)
        _move(old, new, UUID(data["id"]))
    except errors.ExpiredLink:
        return _address_page("address_expired", status=410)
    except errors.AddressConflict:
        return _address_page("address_refused", status=409, why="taken", **shown)
    except errors.ForbiddenTransition:  # a mailbox of a role: several people read it
        return _address_page("address_refused", status=409, why="identity", **shown)
    except errors.InvalidInput:
        return _address_page("address_refused", status=409, why="erased", **shown)
    return _address_page("address_done", **shown)


def undo_new_address(token: str = "") -> ResponseReturnValue:
    """The page of the notice to the old address: its button undoes the correction.

    Raises InvalidLink.
    """
    context = services()
    now = context.now()
    _, data = context.links.open_form(FormPurpose.MOVED_ADDRESS, token, None, now)
    if "undo" not in request.form:
        return _address_page("address_undo", mailed_token=token)
    try:
        undo_move(UUID(data["move"]), origin=RequestOrigin(PAGE_SOURCE, ACTOR, now))
    except errors.InvalidInput:
        return _address_page("address_undo", mailed_token=token, too_late=True, status=410)
    return _address_page("address_undo", mailed_token=token, undone=True)


def _mail_confirmation(old: Address, new: Address) -> None:
    context = services()
    now, token_id = context.now(), context.new_id()
    data = {"id": str(token_id), "old": old.exact, "new": new.exact}
    sealed = context.links.seal_form(FormPurpose.NEW_ADDRESS, data, now)
    path = f"address/{sealed}"
    enqueue_emails([_email(EmailKind.NEW_ADDRESS, new, path, token_id, CONFIRMATION_LIFETIME)])


def _move(old: Address, new: Address, request_id: UUID) -> None:
    """Record the request, move the address, and mail the old one. Pressed twice it is one.

    Raises AddressConflict and InvalidInput; then the request stays, for support to answer.
    """
    asked = open_request(_new_request(old, new, request_id))

    def notify(connection: Connection, move: Move) -> None:
        if can_mail():
            insert_emails(connection, [_notice(old, move)])

    correct_address(asked.id, new, actor=PERSON, in_transaction=notify)


def _new_request(old: Address, new: Address, request_id: UUID) -> NewRequest:
    brand = lead_brand(tuple(catalogue_or_empty().brands.values()))
    return NewRequest(
        kind=RequestKind.CORRECT,
        via=RequestVia.PAGE,
        language=page_language(),
        addresses=(old,),
        brand=brand.key if brand else None,
        level=IdentityLevel.CONTROLS_ADDRESS,
        text=new.exact,
        id=request_id,
    )


def _notice(old: Address, move: Move) -> OutgoingEmail:
    context = services()
    sealed = context.links.seal_form(
        FormPurpose.MOVED_ADDRESS, {"move": str(move.id)}, context.now()
    )
    lasts = move.undo_until - context.now()
    return _email(EmailKind.ADDRESS_MOVED, old, f"moved/{sealed}", move.id, lasts)


def _email(
    kind: EmailKind, to: Address, path: str, email_id: UUID, lasts: timedelta
) -> OutgoingEmail:
    context = services()
    brand = lead_brand(tuple(catalogue_or_empty().brands.values()))
    base_url = context.links.base_url(brand.host if brand else None)
    return OutgoingEmail(
        id=email_id,
        kind=kind,
        recipient=to,
        language=page_language(),
        brand=brand.key if brand else None,
        values={"link": f"{base_url}/rights/{path}"},
        expires_at=context.now() + lasts,
        unproven=kind is EmailKind.NEW_ADDRESS,  # the holder of another address typed it
    )


def _address_page(template: str, *, status: int = 200, **values: Any) -> ResponseReturnValue:
    title = in_words(RequestKind.CORRECT)
    return render_rights_page(template, status=status, title=title, **values)


class Correction(StrEnum):
    """What is to be corrected: one question a page."""

    LANGUAGE = "language"
    ADDRESS = "address"
    WORDS = "words"
    """Anything that the person describes in their own words."""


def correct(visitor: RightsVisitor) -> ResponseReturnValue:
    """Choose what is wrong; `what` is the page of one correction."""
    try:
        what = Correction(request.values.get("what", ""))
    except ValueError:
        error = "nothing_chosen" if request.method == "POST" else ""
        return _page(visitor, "correct", error=error)
    if is_switch():
        return _page(visitor, "correct_words", typed_text=read_text())
    if request.method == "POST" and (error := find_form_error(visitor)):
        return _page(visitor, f"correct_{what.value}", error=error)
    match what:
        case Correction.LANGUAGE:
            return _correct_language(visitor)
        case Correction.ADDRESS:
            return _correct_address(visitor)
        case Correction.WORDS:
            return _correct_by_words(visitor)
        case _:
            assert_never(what)


def _correct_language(visitor: RightsVisitor) -> ResponseReturnValue:
    """Set the language of the contact with exactly this address, if there is one."""
    address, template = proven_address(visitor), "correct_language"
    try:
        contact = load_contacts([ContactRef(address=address)]).find(ContactRef(address=address))
    except errors.UnknownContact:
        return _page(visitor, template, known=False)
    chosen = request.form.get("language", "")
    if request.method != "POST":
        return _page(visitor, template, current=contact.locale)
    if chosen not in LANGUAGES:
        return _page(visitor, template, error="nothing_chosen", current=contact.locale)
    origin = RequestOrigin(PAGE_SOURCE, ACTOR, services().now())
    upsert_contacts([ContactUpdate(addresses=(address,), locale=chosen)], origin)
    set_contact_language(chosen)
    return _page(visitor, template, current=chosen, saved=True)


def _correct_address(visitor: RightsVisitor) -> ResponseReturnValue:
    """Ask for the new address, and mail it a link; a phone number is corrected by staff.

    Up to the limit of what anybody can cause. The answer is the same whether the new address is
    known or not.
    """
    old = proven_address(visitor)
    if not old.channel.rules.is_email or not can_mail():
        return _correct_by_words(visitor)
    if request.method != "POST":
        return _page(visitor, "correct_address")
    given = read_typed_address()
    new, typed = given.address, given.display_address
    if new is None or new.exact == old.exact:
        error = "same_address" if new else given.error or "invalid"
        return _page(visitor, "correct_address", error=error, typed=typed)
    limit_network()
    was_sent = may_email(new)
    if was_sent:
        _mail_confirmation(old, new)
    return _page(
        visitor,
        "link_sent",
        status=200 if was_sent else 429,
        sent_to=typed,
        was_sent=was_sent,
        again_path=url_for("pages.rights_act", act=RequestKind.CORRECT.value, token=visitor.token),
    )


def _correct_by_words(visitor: RightsVisitor) -> ResponseReturnValue:
    text = read_text()
    error = "too_long" if is_too_long(text) else "" if text else "empty"
    if request.method != "POST":
        return _page(visitor, "correct_words")
    if error:
        return _page(visitor, "correct_words", error=error, typed_text=text)
    asked = ask(visitor, RequestKind.CORRECT, proven_address(visitor), text=text)
    return redirect_to_status(visitor, asked)


def _page(visitor: RightsVisitor, template: str, **values: Any) -> ResponseReturnValue:
    return render_form(template, visitor, RequestKind.CORRECT, **values)
