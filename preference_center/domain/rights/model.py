"""Data-subject requests as values: their kinds, states and outcomes."""

from __future__ import annotations

from enum import IntEnum, StrEnum


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
    COMPLAINT = "complaint"
    MINOR = "minor"
    """A report that an address is a minor's."""


class Extent(StrEnum):
    """How far an erasure goes. Both leave suppressions by digest (I6)."""

    MARKETING = "marketing"
    """Choices, consents, history and contact links; marketing stays off, service mail goes on."""
    ACCOUNT = "account"
    """Also the account: no service mail either."""


class IdentityLevel(IntEnum):
    """How sure it is that the person is who they say; each includes the lower ones."""

    NONE = 0
    MESSAGE_LINK = 1
    """A link of a message, which may have been forwarded."""
    CONTROLS_ADDRESS = 2
    """Controls the address now: a one-time token, or vouched for by the company's log-in."""
    CONTACT = 3
    """The contact: vouched for by a log-in, or two facts about recent dealings were right."""


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
    def closed(self) -> bool:
        """Whether nothing more is to be done."""
        return self not in {RequestState.RECEIVED, RequestState.IDENTIFYING, RequestState.OPEN}


class RefusalGround(StrEnum):
    """Why a request is refused; the decision names it, and how to complain."""

    NOT_IDENTIFIED = "not_identified"
    LEGAL_DUTY = "legal_duty"
    CLAIMS = "claims"
    """The data is needed for legal claims (GDPR art. 17(3)(e))."""
    EXCESSIVE = "excessive"
    OTHERS_RIGHTS = "others_rights"


class Law(StrEnum):
    """The laws whose deadlines are known."""

    GDPR = "gdpr"
    UK_GDPR = "uk_gdpr"
    CCPA = "ccpa"
    LGPD = "lgpd"
