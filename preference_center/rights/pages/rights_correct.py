"""`/rights/correct`: language and address by oneself; anything else is read by staff."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, assert_never

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.contacts import load_contacts, upsert_contacts
from preference_center.contacts.choices import ACTOR
from preference_center.contacts.rules.contact import ContactRef, ContactUpdate
from preference_center.core.addresses import Channel
from preference_center.core.errors import UnknownContact
from preference_center.infra.context import services
from preference_center.ledger.rules import RequestOrigin
from preference_center.rights.pages.address import SOURCE, ask_new_address
from preference_center.rights.pages.forms import (
    ask,
    find_form_error,
    form_of,
    is_too_long,
    read_text,
    redirect_to_status,
)
from preference_center.rights.pages.visitor import RightsVisitor, proven_address, render_rights_page
from preference_center.rights.rules.model import RequestKind
from preference_center.rights.rules.new_request import MAX_TEXT
from preference_center.rights.titles import right_title
from preference_center.web.languages import LANGUAGES, set_contact_language
from preference_center.web.pages.rendering import can_mail


class Correction(StrEnum):
    """What is to be corrected: one question a page."""

    LANGUAGE = "language"
    ADDRESS = "address"
    WORDS = "words"
    """Anything that the person describes in their own words."""


def correct(visitor: RightsVisitor) -> ResponseReturnValue:
    """Choose what is wrong; `what` is the page of one correction."""
    what = _read_what(request.values.get("what", ""))
    if what is None:
        if request.method == "POST":
            return _correction_page(visitor, "rights/pages/correct", "nothing_chosen", status=422)
        return _correction_page(visitor, "rights/pages/correct")
    if request.method == "POST" and (error := find_form_error(visitor)):
        return _correction_page(visitor, f"rights/pages/correct_{what.value}", error, status=400)
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
    address = proven_address(visitor)
    try:
        contact = load_contacts([ContactRef(address=address)]).find(ContactRef(address=address))
    except UnknownContact:
        return _correction_page(visitor, "rights/pages/correct_language", known=False)
    chosen = request.form.get("language", "")
    if request.method != "POST":
        return _correction_page(visitor, "rights/pages/correct_language", current=contact.locale)
    if chosen not in LANGUAGES:
        return _correction_page(
            visitor,
            "rights/pages/correct_language",
            "nothing_chosen",
            status=422,
            current=contact.locale,
        )
    origin = RequestOrigin(SOURCE, ACTOR, services().now())
    upsert_contacts([ContactUpdate(addresses=(address,), locale=chosen)], origin)
    set_contact_language(chosen)
    return _correction_page(visitor, "rights/pages/correct_language", current=chosen, saved=True)


def _correct_address(visitor: RightsVisitor) -> ResponseReturnValue:
    """Ask for the new address, and mail it a link; a phone number is corrected by staff."""
    if proven_address(visitor).channel is not Channel.EMAIL or not can_mail():
        return _correct_by_words(visitor)
    if request.method != "POST":
        return _correction_page(visitor, "rights/pages/correct_address")
    typed, new, error = ask_new_address(visitor)
    if error:
        return _correction_page(
            visitor, "rights/pages/correct_address", error, status=422, typed=typed
        )
    assert new
    return _correction_page(
        visitor, "rights/pages/link_sent", sent_to=typed, again_path=_path(visitor)
    )


def _path(visitor: RightsVisitor) -> str:
    return url_for("pages.rights_act", act=RequestKind.CORRECT.value, token=visitor.token)


def _correct_by_words(visitor: RightsVisitor) -> ResponseReturnValue:
    text = read_text()
    if request.method != "POST":
        return _correction_page(visitor, "rights/pages/correct_words")
    if error := "too_long" if is_too_long(text) else "" if text else "empty":
        return _correction_page(
            visitor, "rights/pages/correct_words", error, status=422, typed_text=text
        )
    asked = ask(visitor, RequestKind.CORRECT, proven_address(visitor), text=text)
    return redirect_to_status(visitor, asked)


def _read_what(text: str) -> Correction | None:
    try:
        return Correction(text)
    except ValueError:
        return None


def _correction_page(
    visitor: RightsVisitor, template: str, error: str = "", *, status: int = 200, **values: Any
) -> ResponseReturnValue:
    return render_rights_page(
        template,
        visitor,
        status=status,
        kind=RequestKind.CORRECT,
        title=right_title(RequestKind.CORRECT),
        form=form_of(visitor),
        max_text=MAX_TEXT,
        error=error,
        **values,
    )
