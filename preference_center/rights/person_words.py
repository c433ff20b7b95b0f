"""Say to the person what the codes of their rights and of their data mean, in their language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from flask_babel import gettext as _

from preference_center.catalogue import Catalogue, LegalBasis, RecipientRole, RetainedData
from preference_center.contacts.rules.preferences import PreferenceState
from preference_center.core.events import (
    ALL_MARKETING,
    DESTINATION_SOURCE,
    EVERYTHING,
    MOVE_SOURCE,
    RESTRICTION,
    SHARING,
    UNDELIVERABLE,
    Event,
    EventKind,
)
from preference_center.core.staff import AccessReason
from preference_center.rights.rules.requests import RequestKind, RequestState, StepAction
from preference_center.web.languages import once_per_language

AGENT_ACT = "agent"
"""The page of agents, which is no right of its own."""
_API_SOURCE = "senders"
_KEY_PREFIX = "key:"


@once_per_language
def _words() -> Mapping[type[Enum], Mapping[Enum, str]]:
    """Each kind apart, since values of two kinds may be equal."""
    return {
        RequestKind: {
            RequestKind.ACCESS: _("See and download your data"),
            RequestKind.CORRECT: _("Correct your data"),
            RequestKind.ERASE: _("Delete your data"),
            RequestKind.RESTRICT: _("Limit what we do with your data"),
            RequestKind.UNRESTRICT: _("End the limit"),
            RequestKind.CLOSE: _("Close your account"),
            RequestKind.REOPEN: _("Come back"),
            RequestKind.OBJECT: _("Object to marketing"),
            RequestKind.DONT_SELL_OR_SHARE: _("Do not sell or share my personal information"),
            RequestKind.COMPLAINT: _("Complain"),
            RequestKind.MINOR: _("Report that an address belongs to a child"),
        },
        EventKind: {
            EventKind.OPTED_OUT: _("Unsubscribed"),
            EventKind.OPTED_IN: _("Your own sign-up"),
            EventKind.CONSENTED: _("Consent, as others recorded it"),
            EventKind.PAUSED: _("Pause"),
            EventKind.FREQUENCY_CHOSEN: _("How often you want it"),
            EventKind.BOUNCED: _("A message came back"),
            EventKind.COMPLAINED: _("Complaint about a message"),
            EventKind.DEACTIVATED: _("Account closed"),
            EventKind.ERASED: _("Data erased"),
            EventKind.REOPENED: _("Account reopened"),
            EventKind.RESTRICTED: _("Use of the data limited"),
            EventKind.UNRESTRICTED: _("Limit of the use ended"),
            EventKind.MOVED: _("Address replaced by another"),
            EventKind.RETRACTED: _("Earlier entries taken back"),
        },
        PreferenceState: {
            PreferenceState.ON: _("on"),
            PreferenceState.OFF: _("off"),
            PreferenceState.PAUSED: _("paused"),
        },
        LegalBasis: {
            LegalBasis.CONSENT: _("your consent"),
            LegalBasis.LEGITIMATE_INTEREST: _("our legitimate interest"),
            LegalBasis.EXISTING_CUSTOMER: _("that you are our customer"),
        },
        RecipientRole: {
            RecipientRole.PROCESSOR: _("works on our instructions"),
            RecipientRole.CONTROLLER: _("responsible by itself"),
            RecipientRole.JOINT_CONTROLLER: _("responsible together with us"),
        },
        RetainedData: {
            RetainedData.EVIDENCE: _("Evidence of choices that newer ones have replaced"),
            RetainedData.DELIVERIES: _("Answers of the systems that send our messages"),
            RetainedData.SUPPRESSED_ADDRESSES: _("Readable addresses that get no marketing"),
            RetainedData.CLOSED_ACCOUNTS: _("Closed accounts"),
            RetainedData.AUDIT: _("What our staff did"),
            RetainedData.BROWSER_CONSENTS: _("Choices about cookies, which name nobody"),
        },
        StepAction: {
            StepAction.RECEIVED: _("received"),
            StepAction.REPEATED: _("received again"),
            StepAction.RECEIPT_CONFIRMED: _("receipt confirmed"),
            StepAction.IDENTITY_ASKED: _("proof of identity asked for"),
            StepAction.IDENTITY_CONFIRMED: _("identity proven"),
            StepAction.IDENTITY_FAILED: _("identity not proven"),
            StepAction.CONTRADICTED: _("said to be wrong by the holder of the address"),
            StepAction.PROOF_ADDED: _("proof of an agent's authority received"),
            StepAction.AUTHORITY_REMINDED: _("confirmation of an agent asked for again"),
            StepAction.AUTHORITY_ACCEPTED: _("an agent's authority accepted"),
            StepAction.AUTHORITY_REJECTED: _("an agent's authority not accepted"),
            StepAction.EXTENDED: _("time extended"),
            StepAction.REMINDED: _("we were reminded"),
            StepAction.MERGED: _("joined with another request"),
            StepAction.DONE: _("done"),
            StepAction.REFUSED: _("not granted"),
            StepAction.WITHDRAWN: _("withdrawn"),
            StepAction.LAPSED: _("ended, since the proof did not come"),
            StepAction.FORGOTTEN: _("forgotten"),
            StepAction.TEXT_READ: _("what you wrote read by our staff"),
            StepAction.PROOF_READ: _("a file of an agent read by our staff"),
            StepAction.PROOF_DELETED: _("a file of an agent deleted"),
            StepAction.DECISION_PROPOSED: _("a decision proposed by one of our staff"),
            StepAction.DECISION_DECLINED: _("that decision not taken"),
            StepAction.FILE_DOWNLOADED: _("file downloaded"),
            StepAction.CONSENT_RETRACTED: _("consent taken back, since you never gave it"),
        },
        RequestState: {
            RequestState.RECEIVED: _("received"),
            RequestState.IDENTIFYING: _("waits for proof of identity"),
            RequestState.OPEN: _("in progress"),
            RequestState.DONE: _("done"),
            RequestState.REFUSED: _("not granted"),
            RequestState.WITHDRAWN: _("withdrawn"),
            RequestState.LAPSED: _("ended, since the proof did not come"),
        },
        AccessReason: {
            AccessReason.CALLED: _("A phone call"),
            AccessReason.WROTE: _("A letter, an email or a chat"),
            AccessReason.IN_PERSON: _("A visit in person"),
            AccessReason.DATA_REQUEST: _("A request about personal data"),
            AccessReason.COMPLAINT: _("A complaint"),
            AccessReason.INVESTIGATION: _("A check of whether something went wrong"),
            AccessReason.AUTHORITY: _("A question of an authority or a court"),
            AccessReason.OWN_ADDRESS: _("A look at their own data"),
            AccessReason.KEY_QUERY: _("A query by one of the company’s systems"),
        },
    }


def in_words(value: Enum) -> str:
    """The value as pages, mails and the access file name it; of a kind of request its title."""
    return _words()[type(value)][value]


def act_title(act: str) -> str:
    """The title of a page of rights: of a right, or AGENT_ACT."""
    return str(_("Act for somebody else")) if act == AGENT_ACT else in_words(RequestKind(act))


def stated(value: LegalBasis | RecipientRole | None) -> str:
    """What the company states in its catalogue, if it does."""
    return in_words(value) if value else str(_("not stated"))


def step_action(action: str) -> str:
    """A step of a request; one that is no longer known as it is stored."""
    return in_words(StepAction(action)) if action in list(StepAction) else action


def scope_title(scope: str, catalogue: Catalogue, language: str) -> str:
    """What it covers: a topic by its title, or by its key once the catalogue has it no longer."""
    topic = catalogue.topics.get(scope)
    return _reserved_scopes().get(scope) or (
        catalogue.localize(topic.title, language) if topic else scope
    )


def frequency_title(topic_key: str, key: str, catalogue: Catalogue, language: str) -> str:
    """How often, by its title, or by its key once the catalogue has it no longer."""
    topic = catalogue.topics.get(topic_key)
    title = topic.frequencies.get(key) if topic else None
    return catalogue.localize(title, language) if title else key


@once_per_language
def _reserved_scopes() -> Mapping[str, str]:
    return {
        ALL_MARKETING: _("All marketing"),
        EVERYTHING: _("Everything, since the account is closed"),
        UNDELIVERABLE: _("Marketing: a message to you could not be delivered"),
        RESTRICTION: _("All marketing, while the use of your data is limited"),
        SHARING: _("Sale and sharing of your data for advertising"),
    }


def event_source(event: Event, title_of: Callable[[str], str]) -> str:
    """How an event reached the company, and from whom; of staff only that it was staff."""
    if event.source == MOVE_SOURCE:
        return str(_("Copied from the address that this one replaced"))
    if event.source == DESTINATION_SOURCE:
        return str(_("Reported by: %(system)s", system=title_of(event.actor)))
    how = event.evidence.get("via") or event.evidence.get("method") or event.source
    words = _entry_points().get(how)
    if words:
        return words
    if event.source == _API_SOURCE:
        system = event.actor.removeprefix(_KEY_PREFIX)
        return str(_("Sent by %(system)s, a system of ours", system=system))
    return event.source


@once_per_language
def _entry_points() -> Mapping[str, str]:
    return {
        "one_click": _("With the unsubscribe button of your email app"),
        "mailto": _("By an email to our unsubscribe address"),
        "unsubscribe_page": _("On our unsubscribe page"),
        "preference_page": _("On the page where you choose what you receive"),
        "confirmed_by_mail": _("By a confirmation link that we emailed to you"),
        "global_privacy_control": _("By your browser’s Global Privacy Control"),
        "phone": _("By phone"),
        "postal_mail": _("By letter"),
        "reply": _("By a reply to one of our messages"),
        "certified_mail": _("By certified email (PEC)"),
        "in_person": _("In person"),
        "chat": _("In a chat"),
        "form": _("With a form on our site"),
        "app": _("In our app"),
        "sms": _("By a text message"),
        "feedback_report": _("With the spam button of your email app"),
        "delivery_report": _("A message to you could not be delivered"),
        "import": _("From a list that was imported"),
        "cli": _("Entered by our staff"),
        "console": _("Entered by our staff"),
        "rights": _("On the pages about your rights"),
    }


def delivery_outcome(outcome: str) -> str:
    """What a tool answered."""
    return _outcomes().get(outcome, outcome)


@once_per_language
def _outcomes() -> Mapping[str, str]:
    return {
        "reflected": _("confirmed"),
        "absent": _("did not know the address"),
        "later": _("first attempt failed"),
        "refused": _("refused"),
        "superseded": _("overtaken by a newer request"),
    }


def step_actor(actor: str) -> str:
    """Who took a step of a request: `you`, `company` or `service`. A code, never a name."""
    return {"person": "you", "service": "service"}.get(actor, "company")


def account_state(account: str) -> str:
    """The account of a contact."""
    words: Mapping[str, str] = {
        "open": _("open"),
        "deactivated": _("closed"),
        "erased": _("erased"),
    }
    return words.get(account, account)
