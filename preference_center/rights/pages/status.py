"""`/rights/status/<token>`: how far a request is, its withdrawal, and the file of one for access.

The token comes by mail and may be forwarded: it shows states and dates, and the address masked.
The file takes more: a visit that proves control of the address, which the token of a request
that was just made continues.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue import Authority, Catalogue
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import ForbiddenTransition, InvalidLink, UnknownRequest
from preference_center.destinations.set_up import load_system_titles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.rights.access_file.build import (
    NoAccessFile,
    file_expires_at,
    read_access_file,
)
from preference_center.rights.erasure.erasure_list import ErasureTask, list_erasures_of_request
from preference_center.rights.pages.identity import mail_rights_link
from preference_center.rights.pages.visitor import RightsVisitor, render_rights_page
from preference_center.rights.requests.request_steps import (
    PERSON,
    load_request,
    open_sealed,
    part_addresses,
    withdraw_data_request,
)
from preference_center.rights.rights_holds import held_addresses
from preference_center.rights.rules.model import RequestKind, RequestState
from preference_center.rights.rules.request import RightsRequest
from preference_center.rights.rules.rights_status import RightsStatusLink, read_rights_status_token
from preference_center.rights.titles import right_title
from preference_center.web.languages import set_contact_language
from preference_center.web.pages.rendering import catalogue_or_empty


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A request as its page shows it."""

    token: str
    link: RightsStatusLink
    asked: RightsRequest
    addresses: list[Address]
    """Whom it is about; none once that was erased or forgotten."""


@dataclass(frozen=True, slots=True)
class ToolErasure:
    """How far the deletion in one tool is, and by when it is done at the latest."""

    title: str
    task: ErasureTask
    give_up_at: datetime


def rights_status(token: str = "") -> ResponseReturnValue:
    """Show how far a request is (GET), withdraw it, or mail a link to its file (POST).

    Raises InvalidLink.
    """
    page = _open_page(token)
    if "withdraw" in request.form:
        with suppress(ForbiddenTransition):  # closed meanwhile: the page says how
            withdraw_data_request(page.asked.id, PERSON)
        return redirect(url_for("pages.rights_status", token=token, _anchor="result"), 303)
    if "mail" in request.form and page.asked.kind is RequestKind.ACCESS and page.addresses:
        return mail_rights_link(RightsVisitor(), RequestKind.ACCESS.value, page.addresses[0])
    return _render(page)


def download_access_file(token: str = "") -> ResponseReturnValue:
    """The ZIP of a request for access (POST). Raises InvalidLink.

    It takes a visit that proves control of the address; else the status page says how to get one.
    """
    page = _open_page(token)
    if not page.link.proves_control:
        return _render(page, status=403)
    try:
        content = read_access_file(page.asked.id)
    except NoAccessFile:
        return _render(page, status=410)
    response = Response(content, mimetype="application/zip")
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"data-{page.asked.reference}.zip"
    )
    return response


def _open_page(token: str) -> StatusPage:
    context = services()
    link = read_rights_status_token(context.links, token, context.now())
    try:
        asked = load_request(link.request_id)
    except UnknownRequest:
        raise InvalidLink("this request was forgotten") from None
    if asked.kind is RequestKind.MINOR:
        raise InvalidLink("a report about a person is not theirs to see or to withdraw")
    set_contact_language(asked.language)
    return StatusPage(token, link, asked, part_addresses(open_sealed(asked)))


def _render(page: StatusPage, status: int = 200) -> ResponseReturnValue:
    catalogue = catalogue_or_empty()
    return render_rights_page(
        "rights/pages/status",
        RightsVisitor(),
        status=status,
        asked=page.asked,
        addresses=[mask_address(address) for address in page.addresses],
        title=right_title(page.asked.kind),
        proven=page.link.proves_control,
        status_token=page.token,
        self_path=url_for("pages.rights_status", token=page.token, lang=None),
        acts_by_itself=page.asked.acts_by_itself(catalogue.rights.closing),
        file_until=_file_until(page.asked),
        tools=_list_tools(page.asked, catalogue),
        is_held=_is_held(page.asked),
        authorities=_authorities(catalogue),
        now=services().now(),
    )


def _file_until(asked: RightsRequest) -> datetime | None:
    return file_expires_at(asked.id) if asked.kind is RequestKind.ACCESS else None


def _list_tools(asked: RightsRequest, catalogue: Catalogue) -> list[ToolErasure]:
    """Each tool's deletion, by the name that the catalogue gives it for people."""
    if asked.kind is not RequestKind.ERASE:
        return []

    def load(connection: Connection) -> list[ToolErasure]:
        titles = load_system_titles(connection, catalogue)
        return [
            ToolErasure(titles(task.destination), task, erasure.give_up_at)
            for erasure in list_erasures_of_request(connection, asked.id)
            for task in erasure.tasks
        ]

    return run_in_transaction(load)


def _is_held(asked: RightsRequest) -> bool:
    """Whether a legal hold keeps this deletion waiting; `acts` does it as soon as that ends."""
    if asked.kind is not RequestKind.ERASE or asked.state is not RequestState.OPEN:
        return False
    now = services().now()
    return bool(run_in_transaction(lambda c: held_addresses(c, asked.address_ids, now)))


def _authorities(catalogue: Catalogue) -> list[Authority]:
    return [*catalogue.controller.authorities.values()] if catalogue.controller else []
