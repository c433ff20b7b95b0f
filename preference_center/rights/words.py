"""Say in words what the codes of requests mean, in the language of the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

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
    RefusalGround,
    RequestKind,
    RequestOutcome,
    RequestState,
    RequestVia,
)

_HOUR = timedelta(hours=1)
_IN_HOURS_BELOW = timedelta(days=2)


def kind_words(kind: RequestKind, extent: Extent | None = None) -> str:
    """What is asked for."""
    words: Mapping[RequestKind, LazyString] = {
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
    }
    return f"{words[kind]} ({extent_words(extent)})" if extent else str(words[kind])


def extent_words(extent: Extent) -> str:
    """How far an erasure goes."""
    words: Mapping[Extent, LazyString] = {
        Extent.MARKETING: _("marketing only"),
        Extent.ACCOUNT: _("whole account"),
    }
    return str(words[extent])


def state_words(state: RequestState) -> str:
    """Where a request is."""
    words: Mapping[RequestState, LazyString] = {
        RequestState.RECEIVED: _("received"),
        RequestState.IDENTIFYING: _("waits for proof of identity"),
        RequestState.OPEN: _("to be decided"),
        RequestState.DONE: _("done"),
        RequestState.REFUSED: _("refused"),
        RequestState.WITHDRAWN: _("withdrawn"),
        RequestState.LAPSED: _("lapsed"),
    }
    return str(words[state])


def stage_words(stage: RequestStage) -> str:
    """How late it is."""
    words: Mapping[RequestStage, LazyString] = {
        RequestStage.ON_TIME: _("on time"),
        RequestStage.PAST_TARGET: _("past the target"),
        RequestStage.DUE_SOON: _("due soon"),
        RequestStage.OVERDUE: _("overdue"),
    }
    return str(words[stage])


STAGE_KINDS = {
    RequestStage.ON_TIME: "good",
    RequestStage.PAST_TARGET: "warn",
    RequestStage.DUE_SOON: "warn",
    RequestStage.OVERDUE: "bad",
}
"""The colours of stages."""


def law_words(law: Law | None) -> str:
    """The law whose deadline counts."""
    if law is None:
        return str(_("the earliest date of the laws in the catalogue"))
    words: Mapping[Law, LazyString] = {
        Law.GDPR: _("GDPR"),
        Law.UK_GDPR: _("UK GDPR"),
        Law.CCPA: _("CCPA"),
        Law.LGPD: _("LGPD"),
    }
    return str(words[law])


def via_words(via: RequestVia) -> str:
    """How it reached the company."""
    words: Mapping[RequestVia, LazyString] = {
        RequestVia.PAGE: _("on the pages of rights"),
        RequestVia.PORTAL: _("in the company’s portal"),
        RequestVia.EMAIL: _("by email"),
        RequestVia.PHONE: _("by phone"),
        RequestVia.POSTAL_MAIL: _("by letter"),
        RequestVia.IN_PERSON: _("in person"),
        RequestVia.CHAT: _("in a chat"),
        RequestVia.API: _("from a system of the company"),
        RequestVia.AGENT: _("by an agent"),
    }
    return str(words[via])


def level_words(level: IdentityLevel) -> str:
    """What is known about who asks."""
    words: Mapping[IdentityLevel, LazyString] = {
        IdentityLevel.NONE: _("nothing proven"),
        IdentityLevel.MESSAGE_LINK: _("a link of a message"),
        IdentityLevel.CONTROLS_ADDRESS: _("control of the address"),
        IdentityLevel.CONTACT: _("identity of the account’s holder"),
    }
    return str(words[level])


def proof_words(proof: Proof) -> str:
    """What showed who the person is."""
    words: Mapping[Proof, LazyString] = {
        Proof.NOTHING: _("Nothing yet"),
        Proof.MESSAGE_LINK: _("They used a link of one of our messages"),
        Proof.ONE_TIME_LINK: _("They used a one-time link, mailed or texted now"),
        Proof.PORTAL: _("Our log-in vouches for the address"),
        Proof.CONTACT_LOGIN: _("Our log-in vouches for the account"),
        Proof.RECENT_DEALINGS: _("Two facts about recent dealings were right"),
    }
    return str(words[proof])


def fact_words(fact: AskedFact) -> str:
    """What support asked about."""
    words: Mapping[AskedFact, LazyString] = {
        AskedFact.LAST_ORDER: _("Last order"),
        AskedFact.ORDER_AMOUNT: _("Amount of an order"),
        AskedFact.PAYMENT_METHOD: _("Way of paying"),
        AskedFact.DELIVERY_PLACE: _("Place of delivery"),
        AskedFact.CUSTOMER_SINCE: _("Customer since when"),
        AskedFact.LAST_CONTACT: _("Last contact with us"),
        AskedFact.SUBSCRIPTIONS: _("What they are subscribed to"),
        AskedFact.IDENTITY_DOCUMENT_SEEN: _("An identity document was seen, not copied"),
    }
    return str(words[fact])


def ground_words(ground: RefusalGround) -> str:
    """Why a request is refused."""
    words: Mapping[RefusalGround, LazyString] = {
        RefusalGround.NOT_IDENTIFIED: _("it is not proven who asks"),
        RefusalGround.LEGAL_DUTY: _("a law obliges us to keep the data"),
        RefusalGround.CLAIMS: _("the data is needed for legal claims"),
        RefusalGround.EXCESSIVE: _("the requests are excessive"),
        RefusalGround.UNFOUNDED: _("what the report says is not so"),
        RefusalGround.OTHERS_RIGHTS: _("it would harm the rights of others"),
    }
    return str(words[ground])


def outcome_words(outcome: RequestOutcome) -> str:
    """How it was fulfilled."""
    words: Mapping[RequestOutcome, LazyString] = {
        RequestOutcome.FULFILLED: _("fulfilled"),
        RequestOutcome.PARTLY: _("fulfilled in part"),
        RequestOutcome.NOTHING_HELD: _("nothing is held"),
        RequestOutcome.ALREADY_SO: _("it was so already"),
    }
    return str(words[outcome])


def extension_words(reason: ExtensionReason) -> str:
    """Why the answer takes longer."""
    words: Mapping[ExtensionReason, LazyString] = {
        ExtensionReason.COMPLEX: _("the request is complex"),
        ExtensionReason.MANY_REQUESTS: _("the person made many requests"),
    }
    return str(words[reason])


def proof_kind_words(kind: ProofKind) -> str:
    """What an agent's file shows."""
    words: Mapping[ProofKind, LazyString] = {
        ProofKind.POWER_OF_ATTORNEY: _("Power of attorney"),
        ProofKind.HEIR: _("That the agent inherits"),
    }
    return str(words[kind])


def by_hand_words(how: DoneByHand) -> str:
    """What somebody did in a tool."""
    words: Mapping[DoneByHand, LazyString] = {
        DoneByHand.DELETED: _("Deleted there"),
        DoneByHand.NOT_THERE: _("The tool did not have the person"),
        DoneByHand.SUPPRESSED: _("Put on its suppression list"),
    }
    return str(words[how])
