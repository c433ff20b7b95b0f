"""Define the kinds, states, ways and outcomes of requests, and what follows from each value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import assert_never


class RequestKind(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    """To see and download (GDPR art. 15, 20; CCPA right to know)."""
    CORRECT = "correct"
    ERASE = "erase"
    RESTRICT = "restrict"
    """To limit the use (GDPR art. 18)."""
    UNRESTRICT = "unrestrict"
    CLOSE = "close"
    REOPEN = "reopen"
    OBJECT = "object"
    """To object to marketing (GDPR art. 21(2)): it counts at once, at any level of identity."""
    DONT_SELL_OR_SHARE = "dont_sell_or_share"
    """To opt out of sale and sharing for advertising (Cal. Civ. Code 1798.120): the same."""
    COMPLAINT = "complaint"
    MINOR = "minor"
    """A report that an address is a minor's."""

    @property
    def erases(self) -> bool:
        """Whether fulfilling it erases the person: two people of the staff decide that."""
        return self in {RequestKind.ERASE, RequestKind.MINOR}

    @property
    def is_opt_out(self) -> bool:
        """Whether it counts as soon as it is received, at any level of identity."""
        return self in {RequestKind.OBJECT, RequestKind.DONT_SELL_OR_SHARE}


class Extent(StrEnum):
    """How far an erasure goes. Both leave suppressions by digest (I6)."""

    MARKETING = "marketing"
    """Choices, consents, history and contact links; marketing stays off, service mail goes on."""
    ACCOUNT = "account"
    """Also the account: no service mail either."""

    @property
    def rules(self) -> ExtentRules:
        """What follows from it."""
        match self:
            case Extent.MARKETING:
                return ExtentRules(
                    covered_by=frozenset({Extent.MARKETING, Extent.ACCOUNT}), of_account=False
                )
            case Extent.ACCOUNT:
                return ExtentRules(covered_by=frozenset({Extent.ACCOUNT}), of_account=True)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class ExtentRules:
    """What follows from an extent of erasure."""

    covered_by: frozenset[Extent]
    """What an earlier erasure has to have been, so that nothing is left to erase."""
    of_account: bool
    """Whether contacts go, with all their addresses, and nothing is sent to them any more.

    That takes the company's agreement. Who asks for it objects to marketing, which counts at once.
    """


class IdentityLevel(IntEnum):
    """How sure it is that the person is who they say; each includes the lower ones."""

    NONE = 0
    MESSAGE_LINK = 1
    """A link of a message, which may have been forwarded."""
    CONTROLS_ADDRESS = 2
    """Controls the address now: a one-time token, or vouched for by the company's log-in."""
    CONTACT = 3
    """The contact: vouched for by a log-in, or two facts about recent dealings were right."""


class IdentityResult(StrEnum):
    """How a check of identity went."""

    ASKED = "asked"
    """The person was asked for proof."""
    CONFIRMED = "confirmed"
    FAILED = "failed"


class RequestState(StrEnum):
    """Where a request is. That it was extended is a mark, not a state."""

    RECEIVED = "received"
    IDENTIFYING = "identifying"
    """It waits for the person, or for an agent's authority, to be proven."""
    OPEN = "open"
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    """The proof that it waited for did not come in time."""

    @property
    def rules(self) -> StateRules:
        """What follows from it."""
        match self:
            case RequestState.RECEIVED:
                ends = {RequestState.REFUSED, RequestState.WITHDRAWN, RequestState.LAPSED}
                following = frozenset({RequestState.IDENTIFYING, RequestState.OPEN, *ends})
                return StateRules(following, waits_for_proof=True)
            case RequestState.IDENTIFYING:
                following = RequestState.RECEIVED.rules.following - {RequestState.IDENTIFYING}
                return StateRules(following, waits_for_proof=True, was_asked=True)
            case RequestState.OPEN:
                ends = {RequestState.DONE, RequestState.REFUSED, RequestState.WITHDRAWN}
                return StateRules(frozenset(ends), is_open=True)
            case (
                RequestState.DONE
                | RequestState.REFUSED
                | RequestState.WITHDRAWN
                | RequestState.LAPSED
            ):
                return StateRules()
            case _:
                assert_never(self)

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be done."""
        return not self.rules.following


@dataclass(frozen=True, slots=True)
class StateRules:
    """What follows from the state of a request."""

    following: frozenset[RequestState] = frozenset()
    """The states that may follow; none is an end. Only who has proven identity gets to DONE."""
    waits_for_proof: bool = False
    """Whether the person, or an agent's authority, is still to be proven."""
    was_asked: bool = False
    """Whether they were asked for it: if it does not come, the request lapses."""
    is_open: bool = False
    """Whether it can be fulfilled."""


class RefusalGround(StrEnum):
    """Why a request is refused; the decision names it, and how to complain."""

    NOT_IDENTIFIED = "not_identified"
    LEGAL_DUTY = "legal_duty"
    CLAIMS = "claims"
    """The data is needed for legal claims (GDPR art. 17(3)(e))."""
    EXCESSIVE = "excessive"
    UNFOUNDED = "unfounded"
    """What it says is not so (GDPR art. 12(5)): of a report of a minor, that it was dismissed."""
    OTHERS_RIGHTS = "others_rights"


class RequestVia(StrEnum):
    """How a request reached the company."""

    PAGE = "page"
    PORTAL = "portal"
    """The company's own page, behind its log-in."""
    PHONE = "phone"
    POSTAL_MAIL = "postal_mail"
    EMAIL = "email"
    IN_PERSON = "in_person"
    CHAT = "chat"
    API = "api"
    AGENT = "agent"
    """Somebody whom the person has authorized."""

    @property
    def rules(self) -> ViaRules:
        """What follows from it."""
        match self:
            case RequestVia.PAGE:
                return ViaRules(confirms_at_once=True, from_anybody=True, shows_policy=True)
            case RequestVia.PORTAL:
                return ViaRules(confirms_at_once=True)
            case RequestVia.PHONE | RequestVia.IN_PERSON | RequestVia.CHAT:
                return ViaRules(confirms_at_once=True, by_staff=True)
            case RequestVia.POSTAL_MAIL:
                return ViaRules(by_staff=True)
            case RequestVia.EMAIL:
                return ViaRules(by_staff=True, from_anybody=True)
            case RequestVia.API:
                return ViaRules()
            case RequestVia.AGENT:
                return ViaRules(by_staff=True, from_anybody=True, by_agent=True)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True)
class ViaRules:
    """What follows from how a request reached the company."""

    confirms_at_once: bool = False
    """Whether the person gets the reference on the spot, as the receipt of the request."""
    by_staff: bool = False
    """Whether staff may record such a request."""
    from_anybody: bool = False
    """Whether anybody could have caused it, by a form or by a mail with a forged From."""
    shows_policy: bool = False
    """Whether our own page showed the privacy policy."""
    by_agent: bool = False
    """Whether it names an agent, who has to be authorized before anything but an objection."""


class RequestOutcome(StrEnum):
    """How a request was fulfilled."""

    FULFILLED = "fulfilled"
    PARTLY = "partly"
    """Something must be kept, or was not found; the answer says what."""
    NOTHING_HELD = "nothing_held"
    ALREADY_SO = "already_so"


class ExtensionReason(StrEnum):
    """Why an answer takes longer; GDPR art. 12(3) knows these two."""

    COMPLEX = "complex"
    MANY_REQUESTS = "many_requests"
    """Of the same person."""


class AskedFact(StrEnum):
    """What support asked about recent dealings; answers are never stored."""

    LAST_ORDER = "last_order"
    ORDER_AMOUNT = "order_amount"
    PAYMENT_METHOD = "payment_method"
    DELIVERY_PLACE = "delivery_place"
    CUSTOMER_SINCE = "customer_since"
    LAST_CONTACT = "last_contact"
    SUBSCRIPTIONS = "subscriptions"
    IDENTITY_DOCUMENT_SEEN = "identity_document_seen"
    """Shown by the person and not copied (EDPB 01/2022, 74-78); the step has the date."""


class ReceiptNote(StrEnum):
    """What the email about the receipt of a request says besides."""

    MARKETING_OFF = "marketing_off"
    WAITS_FOR_PROOF = "waits_for_proof"


class StepAction(StrEnum):
    """What a step of a request records."""

    RECEIVED = "received"
    REPEATED = "repeated"
    """The same request came again within a day."""
    RECEIPT_CONFIRMED = "receipt_confirmed"
    IDENTITY_ASKED = "identity_asked"
    IDENTITY_CONFIRMED = "identity_confirmed"
    IDENTITY_FAILED = "identity_failed"
    CONTRADICTED = "contradicted"
    """The holder of an address that was reported to be a minor's says that it is not."""
    PROOF_ADDED = "proof_added"
    """A file that proves an agent's authority."""
    AUTHORITY_REMINDED = "authority_reminded"
    """The person was asked once more whether the agent acts for them."""
    AUTHORITY_ACCEPTED = "authority_accepted"
    AUTHORITY_REJECTED = "authority_rejected"
    EXTENDED = "extended"
    FILE_DOWNLOADED = "file_downloaded"
    CONSENT_RETRACTED = "consent_retracted"
    """Of a request whose person never gave it."""
    REMINDED = "reminded"
    MERGED = "merged"
    """The contact was merged; of two open requests the earlier date counts."""
    DONE = "done"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    FORGOTTEN = "forgotten"
    TEXT_READ = "text_read"
    """Staff read what was written."""
    PROOF_READ = "proof_read"
    """Staff saved an agent's file."""
    PROOF_DELETED = "proof_deleted"
    DECISION_PROPOSED = "decision_proposed"
    """One of the staff would decide so; another one has to."""
    DECISION_DECLINED = "decision_declined"
