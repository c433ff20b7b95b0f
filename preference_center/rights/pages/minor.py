"""Serve `/rights/minor`, where anybody reports a child, and `/rights/reported`, for the answer.

The answer to a report is the same for every address, also beyond the limit of reports about
one mailbox. On `/rights/reported` the holder of the address contradicts the report. What a report
brings about is for `rights.requests.minors` to say.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for
from flask.typing import ResponseReturnValue

from preference_center.catalogue.rules.model import rights_offered
from preference_center.core.addresses import Address, Channel, mask_address, parse_address
from preference_center.core.errors import InvalidAddress, InvalidLink, UnknownRequest
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    contact_page,
    find_form_error,
    form_of,
    read_form_id,
    read_text,
    render_rights_page,
)
from preference_center.rights.person_words import in_words
from preference_center.rights.requests.handle import open_request
from preference_center.rights.requests.minors import contradict
from preference_center.rights.requests.steps import load_request, open_sealed, part_addresses
from preference_center.rights.rules.identity import ANSWER_TIMES, read_answer_token
from preference_center.rights.rules.new_request import MAX_REPORT, NewRequest
from preference_center.rights.rules.requests import RequestKind, RequestVia
from preference_center.web.languages import set_contact_language
from preference_center.web.pages.mailed_links import REQUEST_RATE, read_typed_address
from preference_center.web.pages.rendering import catalogue_or_empty

_MAX_CONTACT = 320
"""Characters; RFC 5321 4.5.3.1 allows fewer still."""


@dataclass(frozen=True, slots=True, repr=False)
class _Report:
    """What was typed, what it reads as, and what is wrong with it."""

    typed: str = ""
    text: str = ""
    contact: str = ""
    address: Address | None = None
    reporter: Address | None = None
    error: str = ""


def report_minor() -> ResponseReturnValue:
    """The form (GET), or a report (POST). It takes no link and no proof."""
    if not rights_offered(catalogue_or_empty()):
        return contact_page(RightsVisitor(), status=503 if request.method == "POST" else 200)
    if request.method != "POST":
        return _form(_Report())
    report = _read_report()
    if report.error or report.address is None:
        return _form(report, report.error, 422)
    if error := find_form_error(RightsVisitor()):
        return _form(report, error, 403)
    _record(report.address, report)
    return render_rights_page(
        "rights/pages/minor_thanks", RightsVisitor(), title=in_words(RequestKind.MINOR)
    )


def reported(token: str = "") -> ResponseReturnValue:
    """What the mail about a report leads to: the button says that it is wrong.

    Raises InvalidLink.
    """
    context = services()
    request_id = read_answer_token(context.links, FormPurpose.RIGHTS_REPORTED, token, context.now())
    try:
        report = load_request(request_id)
    except UnknownRequest:
        raise InvalidLink("this report was forgotten") from None
    set_contact_language(report.language)
    late = context.now() > report.recorded_at + ANSWER_TIMES[FormPurpose.RIGHTS_REPORTED]
    said = "wrong" in request.form and not late
    if said:
        report = contradict(request_id)
    addresses = part_addresses(open_sealed(report))
    return render_rights_page(
        "rights/pages/reported",
        RightsVisitor(),
        report=report,
        addresses=[mask_address(each) for each in addresses],
        said=said and not report.state.closed,
        late=late,
        token_of_report=token,
        self_path=url_for("pages.reported", token=token, lang=None),
    )


def _read_report() -> _Report:
    given, text = read_typed_address(), read_text()
    contact = request.form.get("contact", "").strip()[:_MAX_CONTACT]
    report = _Report(given.display_address, text, contact, given.address, error=given.error)
    if report.error:
        return report
    if len(text) > MAX_REPORT:
        return _Report(given.display_address, text, contact, error="too_long")
    if not contact:
        return report
    try:
        reporter = parse_address(contact, Channel.EMAIL)
    except InvalidAddress:
        return _Report(given.display_address, text, contact, error="contact")
    return _Report(given.display_address, text, contact, given.address, reporter)


def _record(address: Address, report: _Report) -> None:
    context = services()
    mailbox = context.keys.digest(address.mailbox).hex()
    if not context.limiter.hit(REQUEST_RATE, "minor", mailbox):
        return
    open_request(
        NewRequest(
            kind=RequestKind.MINOR,
            via=RequestVia.PAGE,
            language="",
            addresses=(address,),
            text=report.text,
            reporter=report.reporter.exact if report.reporter else "",
            id=read_form_id(RightsVisitor()),
        )
    )


def _form(report: _Report, error: str = "", status: int = 200) -> ResponseReturnValue:
    visitor = RightsVisitor()
    return render_rights_page(
        "rights/pages/minor",
        visitor,
        status=status,
        title=in_words(RequestKind.MINOR),
        form=form_of(visitor),
        typed=report.typed,
        typed_text=report.text,
        typed_contact=report.contact,
        max_text=MAX_REPORT,
        error=error,
    )
