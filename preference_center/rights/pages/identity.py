"""Making sure that it is the person: a one-time link mailed to their address.

Everybody gets the same answer for the same work, whether the address is known, unknown or
erased: one row in the outbox. Nothing else is stored before the link is used.
"""

from __future__ import annotations

from uuid import UUID

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue.rules.model import rights_offered
from preference_center.core.addresses import Address
from preference_center.core.errors import ExpiredLink
from preference_center.core.links.tokens import LIFETIMES, Link, TokenPurpose
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_in_transaction
from preference_center.infra.outbox import EmailKind
from preference_center.rights.pages.list import contact_page
from preference_center.rights.pages.visitor import RightsVisitor, render_rights_page
from preference_center.rights.titles import act_title
from preference_center.web.pages import mailed_links
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
    return _identify_page(visitor, act, status=403, error="not_identified")


def open_rights_link(act: str, token: str = "") -> ResponseReturnValue:
    """The page of a mailed link: its button uses the link up and opens the page of the right.

    Scanners fetch links, so only the button counts (I7). An expired or used link offers to mail
    another one to its own address. Raises InvalidLink.
    """
    context = services()
    if not rights_offered(catalogue_or_empty()):
        return contact_page(RightsVisitor(), status=_status_if_not_offered())
    try:
        link = context.links.read_one_time_token(token, TokenPurpose.RIGHTS, context.now())
        use_contact_language(link.address)
        if "open" in request.form:
            return _use_link(link, act)
    except ExpiredLink:
        return _handle_expired(token, act)
    return render_rights_page(
        "rights/pages/open", RightsVisitor(), act=act, title=act_title(act), mailed_token=token
    )


def mail_rights_link(visitor: RightsVisitor, act: str, address: Address) -> ResponseReturnValue:
    """Mail a link to the address of somebody's own link or request; it is shown masked."""
    return _mail_link(visitor, act, address_of_link(address))


def _use_link(link: Link, act: str) -> ResponseReturnValue:
    """Redirect to a visit with the id of the token that opened it. Raises ExpiredLink."""
    context = services()
    now, token_id = context.now(), UUID(link.message_id)
    expires_at = link.issued_at + LIFETIMES[TokenPurpose.RIGHTS]
    if not run_in_transaction(
        lambda connection: mailed_links.consume_token(
            connection, token_id, now=now, expires_at=expires_at
        )
    ):
        raise ExpiredLink("this link was used already")
    visit = context.links.create_one_time_token(
        TokenPurpose.PAGE_VISIT, link.address, token_id, now
    )
    return redirect(url_for("pages.rights_act", act=act, token=visit), 303)


def _handle_expired(token: str, act: str) -> ResponseReturnValue:
    if request.method == "POST" and "again" in request.form:
        return mail_rights_link(RightsVisitor(), act, services().links.address_of(token))
    return render_rights_page(
        "rights/pages/link_expired",
        RightsVisitor(),
        status=410,
        act=act,
        title=act_title(act),
        mailed_token=token,
    )


def _mail_link(visitor: RightsVisitor, act: str, given: GivenAddress) -> ResponseReturnValue:
    if not can_mail():
        return _identify_page(visitor, act, status=503)
    if given.address is None:
        return _identify_page(visitor, act, given.display_address, status=422, error=given.error)
    if is_cross_site():
        return _identify_page(visitor, act, given.display_address, status=403, error="cross_site")
    limit_network()
    send_one_time_link(
        given.address,
        EmailKind.RIGHTS_LINK,
        TokenPurpose.RIGHTS,
        path=f"rights/open/{act}",
        values={"right": act},
    )
    return render_rights_page(
        "rights/pages/link_sent",
        visitor,
        title=act_title(act),
        sent_to=given.display_address,
        again_path=url_for("pages.rights_act", act=act, token=visitor.token or None),
    )


def _identify_page(
    visitor: RightsVisitor,
    act: str,
    typed: str = "",
    *,
    status: int = 200,
    error: str = "",
) -> ResponseReturnValue:
    return render_rights_page(
        "rights/pages/identify",
        visitor,
        status=status,
        act=act,
        title=act_title(act),
        typed=typed,
        error=error,
        mailable=visitor.address is None or address_of_link(visitor.address).address is not None,
    )


def _status_if_not_offered() -> int:
    return 503 if request.method == "POST" else 200
