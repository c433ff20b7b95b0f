"""Serve `/rights/agent`, where an agent asks, and `/rights/authority`, where the person answers.

The agent's own address is proven by a one-time link, as anybody's. What the agent gets to see
is the same for every principal: a reference, and that the person was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from preference_center.core.addresses import Address, mask_address
from preference_center.core.errors import ExpiredLink, InvalidInput, InvalidLink, UnknownRequest
from preference_center.core.links import FormPurpose
from preference_center.infra.context import services
from preference_center.rights.pages.visitor import (
    RightsVisitor,
    find_form_error,
    form_of,
    is_too_long,
    proven_address,
    read_form_id,
    read_text,
    render_rights_page,
)
from preference_center.rights.person_words import AGENT_ACT, act_title, in_words
from preference_center.rights.requests.agents import (
    ask_for_principal,
    confirm_by_principal,
    refuse_by_principal,
)
from preference_center.rights.requests.steps import load_request, open_sealed, part_addresses
from preference_center.rights.rules.identity import (
    MAX_PROOF_BYTES,
    MAX_PROOFS,
    ProofFile,
    ProofKind,
    read_answer_token,
)
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import MAX_TEXT, Agent, NewRequest
from preference_center.rights.rules.requests import Extent, RequestKind, RequestVia
from preference_center.web.languages import set_contact_language
from preference_center.web.pages.mailed_links import REQUEST_RATE, read_typed_address
from preference_center.web.pages.networks import limit_network

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


_COUNT_AT_ONCE = {RequestKind.OBJECT, RequestKind.DONT_SELL_OR_SHARE}


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
    if not form.error:
        form_error = find_form_error(visitor)
        if form_error:
            return _page(visitor, form, form_error, 400)
    if form.error or form.address is None:
        return _page(visitor, form, form.error, 422)
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
        return _page(visitor, form, "name", 422)
    limit_network()
    reference = _record(form.address, asked, form.files)
    return render_rights_page(
        "rights/pages/agent_sent",
        visitor,
        status=200 if reference else 429,
        title=act_title(AGENT_ACT),
        reference=reference,
        kind=kind,
    )


def authority(token: str = "") -> ResponseReturnValue:
    """Ask the person whether an agent acts for them; a button confirms or refuses it.

    Raises InvalidLink.
    """
    context = services()
    request_id = read_answer_token(
        context.links, FormPurpose.RIGHTS_AUTHORITY, token, context.now()
    )
    try:
        asked = load_request(request_id)
    except UnknownRequest:
        raise InvalidLink("this request was forgotten") from None
    set_contact_language(asked.language)
    late = False
    try:
        asked = _answer(asked)
    except ExpiredLink:
        late = True
    part = open_sealed(asked)
    return render_rights_page(
        "rights/pages/authority",
        RightsVisitor(),
        asked=asked,
        title=in_words(asked.kind),
        agent=part.agent.get("name", ""),
        addresses=[mask_address(each) for each in part_addresses(part)],
        waits=asked.waits_for_principal and asked.level < asked.required_level,
        confirmed=asked.level > 0,
        late=late,
        answer_token=token,
        self_path=url_for("pages.authority", token=token, lang=None),
    )


def _answer(asked: RightsRequest) -> RightsRequest:
    acts: Mapping[str, Callable[..., RightsRequest]] = {
        "confirm": confirm_by_principal,
        "refuse": refuse_by_principal,
    }
    for name, act in acts.items():
        if request.method == "POST" and name in request.form:
            return act(asked.id)
    return asked


def _record(address: Address, asked: NewRequest, files: tuple[ProofFile, ...]) -> str:
    """The reference; empty beyond the limit for one mailbox, where nothing is recorded.

    What counts at once has a limit of its own: whatever else was asked for, one more is recorded.
    """
    context = services()
    mailbox = context.keys.digest(address.mailbox).hex()
    counted = f"{mailbox} {asked.kind}" if asked.kind in _COUNT_AT_ONCE else mailbox
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
    return _Form(
        form.name, form.typed, text, form.choice, form.proof_kind, given.address, files, error
    )


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


def _page(
    visitor: RightsVisitor, form: _Form, error: str = "", status: int = 200
) -> ResponseReturnValue:
    values: dict[str, Any] = {
        "typed": form.typed,
        "typed_name": form.name,
        "typed_text": form.text,
        "choice": form.choice,
        "proof_kind": form.proof_kind,
    }
    return render_rights_page(
        "rights/pages/agent",
        visitor,
        status=status,
        title=act_title(AGENT_ACT),
        form=form_of(visitor),
        choices=[(value, in_words(kind)) for value, (kind, _) in CHOICES.items()],
        max_text=MAX_TEXT,
        max_proofs=MAX_PROOFS,
        error=error,
        **values,
    )
