"""Record what a person asks for by phone, by letter or in person: /console/requests/new.

Whom it is about is found by a recorded look, from the person's page or here, so that no address
is in a URL (I12).
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from flask import abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.catalogue.rules.privacy import Law
from preference_center.contacts.words import access_reasons
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import InvalidInput
from preference_center.core.staff import STAFF_REASONS, AccessReason
from preference_center.infra.context import services
from preference_center.rights import words
from preference_center.rights.console.acts import (
    ActPage,
    Field,
    address_fields,
    handle_act,
    load_or_404,
    options,
    read_address,
    read_choice,
    read_line,
    read_time,
    url_of,
)
from preference_center.rights.requests import agents, handle
from preference_center.rights.requests.steps import open_sealed, part_addresses
from preference_center.rights.rules.identity import PROOFS, Proof, proven_level
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import Agent, NewRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestVia
from preference_center.web.console.frame import current_actor, redirect_after_post
from preference_center.web.console.own_looks import open_look, record_look
from preference_center.web.languages import LANGUAGES

_VIA = tuple(via for via in RequestVia if via.rules.by_staff)


def new_request() -> ResponseReturnValue:
    """Name whom a request is about (GET); the look is recorded, then the form follows (POST)."""

    def look() -> str:
        address, reason = read_address(), read_choice(AccessReason, "reason", STAFF_REASONS)
        access_id = record_look(address, reason, read_line("reference"))
        return url_for("console.open_request", access_id=access_id)

    return handle_act(_address_page, look, url_for("console.request_queue_page"))


def open_request(access_id: UUID) -> ResponseReturnValue:
    """Record a request about the person of a look."""
    address = open_look(access_id).address
    return handle_act(
        lambda: _request_page(address),
        lambda: url_of(_open(address)),
        url_for("console.request_queue_page"),
    )


def see_person(request_id: UUID) -> ResponseReturnValue:
    """Look at the person whom a request is about (POST): one more recorded look."""
    asked = load_or_404(request_id)
    named = part_addresses(open_sealed(asked))
    if not named:
        abort(HTTPStatus.NOT_FOUND)
    access_id = record_look(named[0], AccessReason.DATA_REQUEST, asked.reference)
    return redirect_after_post(url_for("console.person", access_id=access_id))


def _address_page() -> ActPage:
    return ActPage(
        _("Open a request"),
        [_("The look is recorded, and shown to the person if they ask for their data.")],
        _("Continue"),
        (
            *address_fields(_("Channel"), _("Address")),
            Field(
                "reason",
                _("Why do you look this person up?"),
                [
                    ("", _("Choose a reason")),  # one chosen beforehand would be recorded unread
                    *((reason.value, access_reasons()[reason]) for reason in STAFF_REASONS),
                ],
            ),
            Field("reference", _("Number of the ticket or case, if there is one"), required=False),
        ),
    )


def _request_page(address: Address) -> ActPage:
    unknown, later = ("", _("not stated")), _("not yet")
    return ActPage(
        _("Open a request"),
        [
            _("About %(address)s.", address=mask_address(address)),
            _("The person is mailed the reference; read it out, too. An objection counts at once."),
        ],
        _("Open the request"),
        (
            Field("kind", _("What they ask for"), options(RequestKind, words.kind_words)),
            Field("extent", _("How far, if they ask to erase"), [("", "–"), *options(Extent)]),
            Field("via", _("How it reached us"), options(_VIA)),
            Field(
                "received_at",
                _("Received"),
                type="datetime-local",
                hint=_("Empty: now. The clock runs from then."),
                required=False,
            ),
            Field(
                "proof",
                _("What shows who they are"),
                [(Proof.NOTHING.value, later), *options(PROOFS)],
            ),
            Field(
                "asked",
                _("Proof"),
                [("yes", _("They were asked for proof: the clock may stop"))],
                several=True,
            ),
            Field("law", _("Law of where they live"), [unknown, *options(Law)]),
            Field("language", _("Language of the answer"), [("", _("theirs")), *LANGUAGES.items()]),
            Field(
                "text",
                _("What they wrote or said"),
                type="textarea",
                hint=_("As it is, without what is not needed; it is sealed"),
                required=False,
            ),
            Field("agent_name", _("Name of the agent, if one asks"), required=False),
            Field("agent_address", _("Email address of the agent"), required=False),
        ),
    )


def _open(address: Address) -> RightsRequest:
    extent, law = request.form.get("extent"), request.form.get("law")
    via, language = read_choice(RequestVia, "via", _VIA), request.form.get("language", "")
    new = NewRequest(
        kind=read_choice(RequestKind, "kind"),
        via=via,
        language=language if language in LANGUAGES else "",
        addresses=(address,),
        extent=read_choice(Extent, "extent") if extent else None,
        law=read_choice(Law, "law") if law else None,
        received_at=_read_received_at(),
        level=proven_level(read_choice(Proof, "proof")),
        identity_asked="yes" in request.form.getlist("asked"),
        text=_read_text(),
        agent=_read_agent(via),
    )
    if via.rules.by_agent:
        return agents.ask_for_principal(new, actor=current_actor())
    return handle.open_request(new, current_actor())


def _read_received_at() -> datetime | None:
    received_at = read_time("received_at")
    if received_at is not None and received_at > services().now():
        raise InvalidInput(_("It can’t have been received in the future: check the date."))
    return received_at


def _read_text() -> str:
    """What was written, with the line breaks of this service; a browser counts each as two."""
    return request.form.get("text", "").replace("\r\n", "\n").strip()


def _read_agent(via: RequestVia) -> Agent | None:
    name, address = read_line("agent_name"), read_line("agent_address")
    return Agent(name, address) if via.rules.by_agent or name or address else None
