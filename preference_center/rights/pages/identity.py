"""Make sure who asks, by a one-time link mailed to their address, and show a request's state.

Everybody gets the same answer for the same work, whether the address is known, unknown or
erased: one row in the outbox. Nothing else is stored before the link is used.

`/rights/status/<token>`: how far a request is, its withdrawal, and the file of one for access.
The token comes by mail and may be forwarded: it shows states and dates, and the address masked.
The file takes more: a visit that proves control of the address, which the token of a request
that was just made continues.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue import Catalogue
from preference_center.catalogue.rules.model import rights_offered
from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import (
    ExpiredLink,
    ForbiddenTransition,
    InvalidLink,
    UnknownRequest,
)
from preference_center.core.links.tokens import LIFETIMES, Link, TokenPurpose
from preference_center.destinations.rules.erase_task import TaskOutcome
from preference_center.destinations.set_up import load_system_titles
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.infra.outbox import EmailKind
from preference_center.rights.access_file.build import (
    NoAccessFile,
    file_expires_at,
    read_access_file,
)
from preference_center.rights.erasure.tasks import ErasureTask, list_erasures_of_request
from preference_center.rights.holds import held_addresses
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    contact_page,
    render_rights_page,
    use_up,
)
from preference_center.rights.person_words import act_title, in_words
from preference_center.rights.requests import steps
from preference_center.rights.rules.identity import RightsStatusLink, read_rights_status_token
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.requests import RequestKind
from preference_center.web.languages import set_contact_language
from preference_center.web.pages.mailed_links import (
    GivenAddress,
    address_of_link,
    is_cross_site,
    read_typed_address,
    send_one_time_link,
)
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import can_mail, catalogue_or_empty, use_contact_language


def identify(visitor: RightsVisitor, act: str) -> ResponseReturnValue:
    """The page of a right for somebody of whom it needs to know more: it mails them a link.

    A holder of a link has it mailed to the link's own address, everybody else to the address
    that they type. A POST of the act itself is refused, and changes nothing.
    """
    if request.method != "POST":
        return _identify_page(visitor, act)
    if visitor.address is not None and "mail" in request.form:
        return mail_rights_link(visitor, act, visitor.address)
    if visitor.address is None and "address" in request.form:
        return _mail_link(visitor, act, read_typed_address())
    return _identify_page(visitor, act, error="not_identified")


def open_rights_link(act: str, token: str = "") -> ResponseReturnValue:
    """The page of a mailed link: its button uses the link up and opens the page of the right.

    Scanners fetch links, so only the button counts (I7). An expired or used link offers to mail
    another one to its own address. Raises InvalidLink.
    """
    context = services()
    if not rights_offered(catalogue_or_empty()):
        return contact_page(RightsVisitor())
    try:
        link = context.links.read_one_time_token(token, TokenPurpose.RIGHTS, context.now())
        use_contact_language(link.address)
        if "open" in request.form:
            return _use_link(link, act)
    except ExpiredLink:
        return _handle_expired(token, act)
    return render_rights_page("open", act=act, title=act_title(act), mailed_token=token)


def mail_rights_link(visitor: RightsVisitor, act: str, address: Address) -> ResponseReturnValue:
    """Mail a link to the address of somebody's own link or request; it is shown masked."""
    return _mail_link(visitor, act, address_of_link(address))


def _use_link(link: Link, act: str) -> ResponseReturnValue:
    """Redirect to a visit with the id of the token that opened it. Raises ExpiredLink."""
    context = services()
    now, token_id = context.now(), UUID(link.message_id)
    use_up(token_id, link.issued_at + LIFETIMES[TokenPurpose.RIGHTS])
    visit = context.links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, link.address, token_id, now
    )
    return redirect(url_for("pages.rights_act", act=act, token=visit), 303)


def _handle_expired(token: str, act: str) -> ResponseReturnValue:
    if request.method == "POST" and "again" in request.form:
        return mail_rights_link(RightsVisitor(), act, services().links.address_of(token))
    return render_rights_page(
        "link_expired", status=410, act=act, title=act_title(act), mailed_token=token
    )


def _mail_link(visitor: RightsVisitor, act: str, given: GivenAddress) -> ResponseReturnValue:
    if not can_mail():
        return _identify_page(visitor, act, status=503)
    if given.address is None:
        return _identify_page(visitor, act, given.display_address, error=given.error)
    if is_cross_site():
        return _identify_page(visitor, act, given.display_address, error="cross_site")
    limit_network()
    was_sent = send_one_time_link(
        given.address,
        EmailKind.RIGHTS_LINK,
        TokenPurpose.RIGHTS,
        path=f"rights/open/{act}",
        values={"right": act},
    )
    return render_rights_page(
        "link_sent",
        visitor,
        status=200 if was_sent else 429,
        title=act_title(act),
        was_sent=was_sent,
        sent_to=given.display_address,
        again_path=url_for("pages.rights_act", act=act, token=visitor.token or None),
    )


def _identify_page(
    visitor: RightsVisitor, act: str, typed: str = "", **values: Any
) -> ResponseReturnValue:
    return render_rights_page(
        "identify",
        visitor,
        act=act,
        title=act_title(act),
        typed=typed,
        mailable=visitor.address is None or address_of_link(visitor.address).address is not None,
        **values,
    )


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A request as its page shows it."""

    token: str
    link: RightsStatusLink
    asked: RightsRequest
    addresses: list[Address]
    """Whom it is about; none once that was erased or forgotten."""

    @property
    def can_prove_by_link(self) -> bool:
        """Whether a link mailed to the first address proves what the request waits for."""
        asked = self.asked
        waits = asked.waits_for_proof and not asked.waits_for_dealings
        is_own = not asked.via.rules.by_agent  # who is asked about an agent has a link
        by_email = bool(self.addresses) and self.addresses[0].channel.rules.is_email
        return waits and is_own and by_email and can_mail()


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
            steps.withdraw_data_request(page.asked.id, steps.PERSON)
        return redirect(url_for("pages.rights_status", token=token, _anchor="result"), 303)
    is_for_file = page.asked.kind is RequestKind.ACCESS
    if "mail" in request.form and page.addresses and (is_for_file or page.can_prove_by_link):
        return mail_rights_link(RightsVisitor(), page.asked.kind.value, page.addresses[0])
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
        asked = steps.load_request(link.request_id)
    except UnknownRequest:
        raise InvalidLink("this request was forgotten") from None
    if asked.kind is RequestKind.MINOR:
        raise InvalidLink("a report about a person is not theirs to see or to withdraw")
    set_contact_language(asked.language)
    return StatusPage(token, link, asked, steps.part_addresses(steps.open_sealed(asked)))


def _render(page: StatusPage, status: int = 200) -> ResponseReturnValue:
    catalogue = catalogue_or_empty()
    controller = catalogue.controller
    return render_rights_page(
        "status",
        status=status,
        asked=page.asked,
        addresses=[mask_address(address) for address in page.addresses],
        title=in_words(page.asked.kind),
        proven=page.link.proves_control,
        visit_token=_visit_token(page),
        status_token=page.token,
        self_path=url_for("pages.rights_status", token=page.token, lang=None),
        can_prove_by_link=page.can_prove_by_link,
        acts_by_itself=page.asked.acts_by_itself(catalogue.rights.closing),
        file_until=file_expires_at(page.asked),
        tools=_list_tools(page.asked, catalogue),
        is_held=_is_held(page.asked),
        authorities=[*controller.authorities.values()] if controller else [],
        now=services().now(),
    )


def _visit_token(page: StatusPage) -> str | None:
    """Continues the visit that made the request, so that a further right takes no further mail."""
    began_at = page.link.visit_began_at
    if began_at is None or not page.addresses:
        return None
    return services().links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, page.addresses[0], page.asked.id, began_at
    )


def _list_tools(asked: RightsRequest, catalogue: Catalogue) -> list[ToolErasure]:
    """Each tool's deletion, by the name that the catalogue gives it for people.

    Of an account with several addresses a tool has a task for each: the one that is least far.
    """
    if asked.kind is not RequestKind.ERASE:
        return []

    def load(connection: Connection) -> list[ToolErasure]:
        titles = load_system_titles(connection, catalogue)
        found = [
            ToolErasure(titles(task.destination), task, erasure.give_up_at)
            for erasure in list_erasures_of_request(connection, asked.id)
            for task in erasure.tasks
        ]
        least_last = sorted(found, key=_progress, reverse=True)
        of_tool = {each.task.destination: each for each in least_last}
        return [of_tool[name] for name in sorted(of_tool)]

    return run_in_transaction(load)


def _progress(tool: ToolErasure) -> tuple[bool, ...]:
    """What is less comes first: what is open, what waits for staff; of what is done, deletions."""
    task = tool.task
    held_nothing = task.outcome in {TaskOutcome.ABSENT, TaskOutcome.NOTHING_HELD}
    steps_done = (each is not None for each in (task.suppressed_at, task.erased_at))
    return (not task.is_open, held_nothing, task.by_hand_since is None, *steps_done)


def _is_held(asked: RightsRequest) -> bool:
    """Whether a legal hold keeps this deletion waiting; `run_clocks` does it after the hold."""
    if asked.kind is not RequestKind.ERASE or not asked.is_open:
        return False
    now = services().now()
    return bool(run_in_transaction(lambda c: held_addresses(c, asked.address_ids, now)))
