"""Serve the forms by which somebody asks for another person, or reports one.

`/rights/agent`: the agent's own address is proven by a one-time link, as anybody's. What the agent
gets to see is the same for every principal: a reference, and that the person was asked.

`/rights/minor`: anybody reports a child. The answer is the same for every address, also beyond the
limit of reports about one mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flask import request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from preference_center.catalogue.rules.model import rights_offered
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidAddress, InvalidInput
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    contact_page,
    find_form_error,
    form_of,
    is_switch,
    is_too_long,
    proven_address,
    read_form_id,
    read_text,
    render_form,
    render_rights_page,
)
from preference_center.rights.person_words import AGENT_ACT, act_title, in_words
from preference_center.rights.requests.agents import ask_for_principal
from preference_center.rights.requests.handle import open_request
from preference_center.rights.rules.identity import (
    MAX_PROOF_BYTES,
    MAX_PROOFS,
    ProofFile,
    ProofKind,
)
from preference_center.rights.rules.new_request import MAX_REPORT, MAX_TEXT, Agent, NewRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestVia
from preference_center.web.pages.mailed_links import REQUEST_RATE, read_typed_address
from preference_center.web.pages.networks import limit_network
from preference_center.web.pages.rendering import catalogue_or_empty

CHOICES: Mapping[str, tuple[RequestKind, Extent | None]] = {
    "access": (RequestKind.ACCESS, None),
    "correct": (RequestKind.CORRECT, None),
    "erase_marketing": (RequestKind.ERASE, Extent.MARKETING),
    "erase_account": (RequestKind.ERASE, Extent.ACCOUNT),
    "restrict": (RequestKind.RESTRICT, None),
    "object": (RequestKind.OBJECT, None),
    "dont_sell_or_share": (RequestKind.DONT_SELL_OR_SHARE, None),
    "close": (RequestKind.CLOSE, None),
}
"""What an agent can ask for here, by the value of its radio button."""


@dataclass(frozen=True, slots=True, repr=False)
class _Form:
    """What was typed, and what is wrong with it. Files have to be chosen again."""

    name: str = ""
    typed: str = ""
    text: str = ""
    choice: str = ""
    proof_kind: str = ProofKind.POWER_OF_ATTORNEY.value
    address: Address | None = None
    files: tuple[ProofFile, ...] = field(default=())
    error: str = ""


def act_for_somebody(visitor: RightsVisitor) -> ResponseReturnValue:
    """The form of an agent whose address is proven (GET), or their request (POST)."""
    if request.method != "POST":
        return _page(visitor, _Form())
    form = _read_form()
    if is_switch():
        return _page(visitor, form)
    error = form.error or find_form_error(visitor)
    if error or form.address is None:
        return _page(visitor, form, error)
    kind, extent = CHOICES[form.choice]
    asked = NewRequest(
        kind=kind,
        via=RequestVia.AGENT,
        language="",
        addresses=(form.address,),
        extent=extent,
        text=form.text,
        agent=Agent(form.name, proven_address(visitor).exact),
        id=read_form_id(visitor),
    )
    try:
        asked.check()
    except InvalidInput:  # all else was checked before
        return _page(visitor, form, "name")
    limit_network()
    reference = _record(form.address, asked, form.files)
    return render_rights_page(
        "agent_sent",
        visitor,
        status=200 if reference else 429,
        title=act_title(AGENT_ACT),
        reference=reference,
        kind=kind,
    )


def _record(address: Address, asked: NewRequest, files: tuple[ProofFile, ...]) -> str:
    """The reference; empty beyond the limit for one mailbox, where nothing is recorded.

    What counts at once has a limit of its own: whatever else was asked for, one more is recorded.
    """
    context = services()
    mailbox = context.keys.digest(address.mailbox).hex()
    counted = f"{mailbox} {asked.kind}" if asked.kind.is_opt_out else mailbox
    if not context.limiter.hit(REQUEST_RATE, "agent", counted):
        return ""
    return ask_for_principal(asked, files).reference


def _read_form() -> _Form:
    given, text = read_typed_address(), read_text()
    form = _Form(
        name=" ".join(request.form.get("name", "").split()),
        typed=given.display_address,
        text=text,
        choice=request.form.get("right", ""),
        proof_kind=request.form.get("proof_kind", ProofKind.POWER_OF_ATTORNEY.value),
        address=given.address,
    )
    files, error = _read_files(form.proof_kind)
    if not form.name:
        error = "name"
    elif given.error:
        error = given.error
    elif form.choice not in CHOICES:
        error = "nothing_chosen"
    elif is_too_long(text):
        error = "too_long"
    return replace(form, files=files, error=error)


def _read_files(kind: str) -> tuple[tuple[ProofFile, ...], str]:
    """The uploaded files, or what is wrong with them. Their names are not read."""
    uploaded = [each for each in request.files.getlist("proof") if each.filename]
    if len(uploaded) > MAX_PROOFS:
        return (), "too_many_files"
    if kind not in list(ProofKind):
        return (), "nothing_chosen"
    files = tuple(_read_file(each, ProofKind(kind)) for each in uploaded)
    for file in files:
        if len(file.content) > MAX_PROOF_BYTES:
            return (), "file_too_large"
        try:
            file.check()
        except InvalidInput:
            return (), "file_type"
    return files, ""


def _read_file(uploaded: FileStorage, kind: ProofKind) -> ProofFile:
    return ProofFile(uploaded.stream.read(MAX_PROOF_BYTES + 1), uploaded.mimetype, kind)


def _page(visitor: RightsVisitor, form: _Form, error: str = "") -> ResponseReturnValue:
    return render_rights_page(
        "agent",
        visitor,
        error=error,
        title=act_title(AGENT_ACT),
        form=form_of(visitor),
        choices=[(value, in_words(kind)) for value, (kind, _) in CHOICES.items()],
        max_text=MAX_TEXT,
        max_proofs=MAX_PROOFS,
        typed=form.typed,
        typed_name=form.name,
        typed_text=form.text,
        choice=form.choice,
        proof_kind=form.proof_kind,
    )


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
    nobody = RightsVisitor()
    if not rights_offered(catalogue_or_empty()):
        return contact_page(nobody)
    report = _read_report() if request.method == "POST" else _Report()
    sent = request.method == "POST" and not is_switch()
    error = (report.error or find_form_error(nobody)) if sent else ""
    if report.address and sent and not error:
        _record_report(report.address, report)
        return render_rights_page("minor_thanks", title=in_words(RequestKind.MINOR))
    return render_form(
        "minor",
        nobody,
        RequestKind.MINOR,
        error=error,
        typed=report.typed,
        typed_text=report.text,
        typed_contact=report.contact,
        max_text=MAX_REPORT,
    )


def _read_report() -> _Report:
    given, text = read_typed_address(), read_text()
    contact = request.form.get("contact", "").strip()[:_MAX_CONTACT]
    report = _Report(given.display_address, text, contact, given.address, error=given.error)
    if report.error or not contact or len(text) > MAX_REPORT:
        return replace(report, error=report.error or ("too_long" if len(text) > MAX_REPORT else ""))
    try:
        return replace(report, reporter=parse_address(contact, Channel.EMAIL))
    except InvalidAddress:
        return replace(report, error="contact")


def _record_report(address: Address, report: _Report) -> None:
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
