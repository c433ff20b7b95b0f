"""What the values of a catalogue mean, in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from preference_center.catalogue.rules.diff import LineChange
from preference_center.catalogue.rules.model import (
    AfterClosingGround,
    LegalBasis,
    MessageClass,
    ServiceGround,
    TopicDefault,
    UnprovenImportPolicy,
)
from preference_center.catalogue.rules.privacy import RecipientRole, RetainedData
from preference_center.catalogue.rules.sites import CookieCategory
from preference_center.core.addresses import Channel

WORDS: Mapping[type[StrEnum], Mapping[StrEnum, LazyString]] = {
    Channel: {
        Channel.EMAIL: _("Email"),
        Channel.SMS: _("SMS"),
        Channel.PHONE: _("Phone"),
    },
    TopicDefault: {
        TopicDefault.OPT_IN: _("only to people who asked for it"),
        TopicDefault.OPT_OUT: _("to everybody who has not opted out"),
    },
    LegalBasis: {
        LegalBasis.CONSENT: _("consent"),
        LegalBasis.LEGITIMATE_INTEREST: _("legitimate interest"),
        LegalBasis.EXISTING_CUSTOMER: _("existing customers, similar products"),
    },
    MessageClass: {
        MessageClass.MARKETING: _("marketing"),
        MessageClass.SERVICE: _("service"),
    },
    ServiceGround: {
        ServiceGround.SECURITY: _("security"),
        ServiceGround.BILLING: _("billing"),
        ServiceGround.LEGAL_NOTICE: _("legal notice"),
        ServiceGround.ACCOUNT: _("account"),
        ServiceGround.TRANSACTION: _("transaction"),
    },
    AfterClosingGround: {
        AfterClosingGround.JUST_REQUESTED: _(
            "also after the account is closed: the person has just asked for it"
        ),
        AfterClosingGround.FINAL_INVOICE: _("also after the account is closed: the final invoice"),
        AfterClosingGround.LEGAL_NOTICE: _("also after the account is closed: a legal notice"),
    },
    UnprovenImportPolicy: {
        UnprovenImportPolicy.REFUSE: _("refused"),
        UnprovenImportPolicy.FLAG: _("counted, and marked as unproven"),
    },
    RetainedData: {
        RetainedData.EVIDENCE: _("evidence that a newer choice has replaced"),
        RetainedData.DELIVERIES: _("acknowledgements of connected tools"),
        RetainedData.SUPPRESSED_ADDRESSES: _("readable addresses that get no marketing"),
        RetainedData.CLOSED_ACCOUNTS: _("people whose account is closed"),
        RetainedData.AUDIT: _("the audit of what staff did"),
        RetainedData.BROWSER_CONSENTS: _("browsers’ choices about cookies that have ended"),
    },
    RecipientRole: {
        RecipientRole.PROCESSOR: _("processor"),
        RecipientRole.CONTROLLER: _("controller of its own"),
        RecipientRole.JOINT_CONTROLLER: _("joint controller"),
    },
    CookieCategory: {
        CookieCategory.ESSENTIAL: _("essential, always on"),
        CookieCategory.FUNCTIONAL: _("functional"),
        CookieCategory.STATISTICS: _("statistics"),
        CookieCategory.ADVERTISING: _("advertising"),
    },
    LineChange: {
        LineChange.SAME: _("unchanged"),
        LineChange.ADDED: _("added"),
        LineChange.REMOVED: _("removed"),
    },
}
"""Each kind apart, since values of two kinds may be equal."""


def in_words(value: StrEnum) -> str:
    """The value as a page shows it."""
    return str(WORDS[type(value)][value])
