"""Say in words what the codes of requests mean, in the language of the page."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.deadlines import RequestStage
from preference_center.rights.erasure.tasks import DoneByHand
from preference_center.rights.rules.identity import Proof, ProofKind
from preference_center.rights.rules.requests import (
    AskedFact,
    ExtensionReason,
    Extent,
    IdentityLevel,
    IdentityResult,
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)

WORDS: Mapping[type[Enum], Mapping[Any, LazyString]] = {
    RequestKind: {
        RequestKind.ACCESS: _("Access to data"),
        RequestKind.CORRECT: _("Correction"),
        RequestKind.ERASE: _("Erasure"),
        RequestKind.RESTRICT: _("Restriction"),
        RequestKind.UNRESTRICT: _("End of a restriction"),
        RequestKind.CLOSE: _("Closing of the account"),
        RequestKind.REOPEN: _("Reopening of the account"),
        RequestKind.OBJECT: _("Objection to marketing"),
        RequestKind.DONT_SELL_OR_SHARE: _("No sale or sharing"),
        RequestKind.COMPLAINT: _("Complaint"),
        RequestKind.MINOR: _("Report of a minor"),
    },
    Extent: {Extent.MARKETING: _("marketing only"), Extent.ACCOUNT: _("whole account")},
    RequestState: {
        RequestState.RECEIVED: _("received"),
        RequestState.IDENTIFYING: _("waits for proof of identity"),
        RequestState.OPEN: _("to be decided"),
        RequestState.DONE: _("done"),
        RequestState.REFUSED: _("refused"),
        RequestState.WITHDRAWN: _("withdrawn"),
        RequestState.LAPSED: _("lapsed"),
    },
    RequestStage: {
        RequestStage.ON_TIME: _("on time"),
        RequestStage.PAST_TARGET: _("past the target"),
        RequestStage.DUE_SOON: _("due soon"),
        RequestStage.OVERDUE: _("overdue"),
    },
    Law: {Law.GDPR: _("GDPR"), Law.UK_GDPR: _("UK GDPR"), Law.CCPA: _("CCPA"), Law.LGPD: _("LGPD")},
    RequestVia: {
        RequestVia.PAGE: _("on the pages of rights"),
        RequestVia.PORTAL: _("in the company’s portal"),
        RequestVia.EMAIL: _("by email"),
        RequestVia.PHONE: _("by phone"),
        RequestVia.POSTAL_MAIL: _("by letter"),
        RequestVia.IN_PERSON: _("in person"),
        RequestVia.CHAT: _("in a chat"),
        RequestVia.API: _("from a system of the company"),
        RequestVia.AGENT: _("by an agent"),
    },
    IdentityLevel: {
        IdentityLevel.NONE: _("nothing proven"),
        IdentityLevel.MESSAGE_LINK: _("a link of a message"),
        IdentityLevel.CONTROLS_ADDRESS: _("control of the address"),
        IdentityLevel.CONTACT: _("identity of the account’s holder"),
    },
    Proof: {
        Proof.NOTHING: _("Nothing yet"),
        Proof.MESSAGE_LINK: _("They used a link of one of our messages"),
        Proof.ONE_TIME_LINK: _("They used a one-time link, mailed or texted now"),
        Proof.PORTAL: _("Our log-in vouches for the address"),
        Proof.CONTACT_LOGIN: _("Our log-in vouches for the account"),
        Proof.RECENT_DEALINGS: _("Two facts about recent dealings were right"),
    },
    IdentityResult: {
        IdentityResult.ASKED: _("The person was asked for proof"),
        IdentityResult.CONFIRMED: _("They have proven who they are"),
        IdentityResult.FAILED: _("The check failed"),
    },
    AskedFact: {
        AskedFact.LAST_ORDER: _("Last order"),
        AskedFact.ORDER_AMOUNT: _("Amount of an order"),
        AskedFact.PAYMENT_METHOD: _("Way of paying"),
        AskedFact.DELIVERY_PLACE: _("Place of delivery"),
        AskedFact.CUSTOMER_SINCE: _("Customer since when"),
        AskedFact.LAST_CONTACT: _("Last contact with us"),
        AskedFact.SUBSCRIPTIONS: _("What they are subscribed to"),
        AskedFact.IDENTITY_DOCUMENT_SEEN: _("An identity document was seen, not copied"),
    },
    RefusalGround: {
        RefusalGround.NOT_IDENTIFIED: _("it is not proven who asks"),
        RefusalGround.LEGAL_DUTY: _("a law obliges us to keep the data"),
        RefusalGround.CLAIMS: _("the data is needed for legal claims"),
        RefusalGround.EXCESSIVE: _("the requests are excessive"),
        RefusalGround.UNFOUNDED: _("what the report says is not so"),
        RefusalGround.OTHERS_RIGHTS: _("it would harm the rights of others"),
    },
    RequestOutcome: {
        RequestOutcome.FULFILLED: _("fulfilled"),
        RequestOutcome.PARTLY: _("fulfilled in part"),
        RequestOutcome.NOTHING_HELD: _("nothing is held"),
        RequestOutcome.ALREADY_SO: _("it was so already"),
    },
    ExtensionReason: {
        ExtensionReason.COMPLEX: _("the request is complex"),
        ExtensionReason.MANY_REQUESTS: _("the person made many requests"),
    },
    ProofKind: {
        ProofKind.POWER_OF_ATTORNEY: _("Power of attorney"),
        ProofKind.HEIR: _("That the agent inherits"),
    },
    DoneByHand: {
        DoneByHand.DELETED: _("Deleted there"),
        DoneByHand.NOT_THERE: _("The tool did not have the person"),
        DoneByHand.SUPPRESSED: _("Put on its suppression list"),
    },
}
"""Each kind apart, since values of two kinds may be equal."""


def in_words(value: Enum) -> str:
    """The value as the console shows it."""
    return str(WORDS[type(value)][value])


def kind_words(kind: RequestKind, extent: Extent | None = None) -> str:
    """What is asked for, and how far an erasure goes."""
    return f"{in_words(kind)} ({in_words(extent)})" if extent else in_words(kind)


def law_words(law: Law | None) -> str:
    """The law whose deadline counts."""
    return in_words(law) if law else str(_("the earliest date of the laws in the catalogue"))


def state_to_others(state: RequestState) -> str:
    """How far a request is, for staff who don't handle requests."""
    if state.rules.is_open:
        return str(_("in progress"))
    if state is RequestState.LAPSED:
        return str(_("lapsed, since identity was not proven"))
    return in_words(state)


STAGE_KINDS = {
    RequestStage.ON_TIME: "good",
    RequestStage.PAST_TARGET: "warn",
    RequestStage.DUE_SOON: "warn",
    RequestStage.OVERDUE: "bad",
}
"""The colours of stages."""
