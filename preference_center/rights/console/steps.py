"""The steps that support takes: identity, the receipt, more time, the withdrawal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from preference_center.rights import words
from preference_center.rights.console import progress
from preference_center.rights.console.act_pages import (
    ActPage,
    Field,
    act_on_request,
    options,
    read_choice,
)
from preference_center.rights.requests import handle
from preference_center.rights.requests.request_steps import (
    ask_identity,
    confirm_receipt,
    deadlines_of,
    extend_deadline,
    fail_identity,
    withdraw_data_request,
)
from preference_center.rights.rules.identity import MAX_FAILURES, Proof, proven_level
from preference_center.rights.rules.model import AskedFact, ExtensionReason
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.console.frame import current_actor


class IdentityResult(StrEnum):
    """What came of asking who somebody is."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    FAILED = "failed"


def identify_request(request_id: UUID) -> ResponseReturnValue:
    """Record that proof was asked for, came, or did not convince."""
    return act_on_request(request_id, _identity_page, _identify)


def confirm_request_receipt(request_id: UUID) -> ResponseReturnValue:
    """Record that the person was informed of the receipt."""
    page = ActPage(
        _("Receipt was confirmed"),
        [_("Record that the person was informed of the reference, by letter or by phone.")],
        _("Record"),
    )
    return act_on_request(
        request_id,
        lambda _asked: page,
        lambda asked: confirm_receipt(asked.id, current_actor()),
    )


def extend_request(request_id: UUID) -> ResponseReturnValue:
    """Take the longer time that the law allows."""
    return act_on_request(request_id, _extension_page, _extend)


def withdraw_request(request_id: UUID) -> ResponseReturnValue:
    """Record that the person no longer asks for it."""
    page = ActPage(
        _("Withdraw"),
        [_("The request ends, and nothing of it is done. The person can ask again.")],
        _("Withdraw the request"),
        danger=True,
    )
    return act_on_request(
        request_id,
        lambda _asked: page,
        lambda asked: withdraw_data_request(asked.id, current_actor()),
    )


def _identity_page(asked: RightsRequest) -> ActPage:
    results: Mapping[IdentityResult, str] = {
        IdentityResult.ASKED: _("The person was asked for proof"),
        IdentityResult.CONFIRMED: _("They have proven who they are"),
        IdentityResult.FAILED: _("The check failed"),
    }
    needed = words.level_words(asked.required_level)
    says = [_("Needed for this: %(needed)s.", needed=needed)]
    says.append(_("Note what was asked about, never the answers. Ask for no identity card."))
    if asked.failures:
        left = MAX_FAILURES - asked.failures
        says.append(_("Failed checks left before it is refused: %(left)s.", left=left))
    proofs = [proof for proof in Proof if proof is not Proof.NOTHING]
    return ActPage(
        _("Identity"),
        says,
        _("Record"),
        (
            Field("result", _("What happened"), options(IdentityResult, results.__getitem__)),
            Field(
                "proof",
                _("What showed it"),
                [("", _("nothing")), *options(proofs, words.proof_words)],
                hint=_("Only where they have proven it"),
            ),
            Field("facts", _("Asked about"), options(AskedFact, words.fact_words), several=True),
        ),
    )


def _identify(asked: RightsRequest) -> object:
    actor = current_actor()
    typed = request.form.getlist("facts")
    facts = [fact for fact in AskedFact if fact.value in typed]
    match read_choice(IdentityResult, "result"):
        case IdentityResult.ASKED:
            return ask_identity(asked.id, actor)
        case IdentityResult.FAILED:
            return fail_identity(asked.id, actor, facts)
        case IdentityResult.CONFIRMED:
            level = proven_level(read_choice(Proof, "proof"))
            return handle.confirm_identity(asked.id, level, actor, facts)


def _extension_page(asked: RightsRequest) -> ActPage:
    until = deadlines_of(asked).extendable_to
    says = [
        _("The person is informed of the new date and the reason. It is possible once, and only"
          " before the first date.")
    ]  # fmt: skip
    if until:
        says.append(_("The law allows until %(day)s.", day=progress.day_words(until)))
    reasons = options(ExtensionReason, words.extension_words)
    return ActPage(_("Extend"), says, _("Extend"), (Field("reason", _("Reason"), reasons),))


def _extend(asked: RightsRequest) -> object:
    reason = read_choice(ExtensionReason, "reason")
    return extend_deadline(asked.id, reason, current_actor())
