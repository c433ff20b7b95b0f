"""The identity that an act needs: the least that is enough, and nothing is allowed by default.

Sources: GDPR art. 12(6) and EDPB Guidelines 01/2022, 58-79: proportionate, and no identity card
by default; 11 CCR 7060-7063 for the CCPA.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import assert_never

from preference_center.core.addresses import Address, Channel
from preference_center.rights.rules.model import Extent, IdentityLevel, RequestKind

MAX_FAILURES = 3
"""Failed checks of identity after which a request is refused."""


class Circumstance(StrEnum):
    """What makes an act ask for more than control of one address."""

    OTHER_ADDRESS = "other_address"
    """It concerns further addresses of the contact."""
    OLD_MAILBOX_LOST = "old_mailbox_lost"
    """An address is corrected and the old one can't be read any more."""
    AGENT_ONLY = "agent_only"
    """An agent acts, and the principal can't be reached to confirm it."""
    AFTER_ERASURE = "after_erasure"
    """A contact that was erased is to be opened again."""
    ROLE_MAILBOX = "role_mailbox"
    """Several people read the mailbox, as `info@`."""


class Proof(StrEnum):
    """What showed who the person is."""

    NOTHING = "nothing"
    MESSAGE_LINK = "message_link"
    ONE_TIME_LINK = "one_time_link"
    """Mailed or texted now, and used by POST."""
    PORTAL = "portal"
    """The company's log-in vouches for the address."""
    CONTACT_LOGIN = "contact_login"
    """The company's log-in vouches for the contact."""
    RECENT_DEALINGS = "recent_dealings"
    """Two facts about recent dealings were right, besides control of the address."""


def proven_level(proof: Proof) -> IdentityLevel:
    """The level of identity that a proof gives."""
    match proof:
        case Proof.NOTHING:
            return IdentityLevel.NONE
        case Proof.MESSAGE_LINK:
            return IdentityLevel.MESSAGE_LINK
        case Proof.ONE_TIME_LINK | Proof.PORTAL:
            return IdentityLevel.CONTROLS_ADDRESS
        case Proof.CONTACT_LOGIN | Proof.RECENT_DEALINGS:
            return IdentityLevel.CONTACT
        case _:
            assert_never(proof)


def required_level(
    kind: RequestKind,
    extent: Extent | None = None,
    circumstances: Collection[Circumstance] = (),
) -> IdentityLevel:
    """The level that this act needs; an erasure of unknown extent needs the highest.

    What protects needs none, whatever the circumstances: to object, to opt out of sale and
    sharing (11 CCR 7026(d)), to complain, to report a minor.
    """
    match kind:
        case (
            RequestKind.OBJECT
            | RequestKind.DONT_SELL_OR_SHARE
            | RequestKind.COMPLAINT
            | RequestKind.MINOR
        ):
            return IdentityLevel.NONE
        case RequestKind.ERASE:
            least = (
                IdentityLevel.CONTROLS_ADDRESS
                if extent is Extent.MARKETING
                else IdentityLevel.CONTACT
            )
        case (
            RequestKind.ACCESS
            | RequestKind.CORRECT
            | RequestKind.RESTRICT
            | RequestKind.UNRESTRICT
            | RequestKind.CLOSE
            | RequestKind.REOPEN
        ):
            least = IdentityLevel.CONTROLS_ADDRESS
        case _:
            assert_never(kind)
    return IdentityLevel.CONTACT if circumstances else least


def may_act(
    level: IdentityLevel,
    kind: RequestKind,
    extent: Extent | None = None,
    circumstances: Collection[Circumstance] = (),
) -> bool:
    """Whether a person whose identity is proven to this level may do this."""
    return level >= required_level(kind, extent, circumstances)


_ROLES = (
    "abuse accounts accounting admin administration billing careers contact enquiries finance hello"
    " help helpdesk hostmaster hr info inquiries invoices jobs kontakt mail marketing news noc"
    " office orders postmaster press privacy reception sales security service services shop staff"
    " support team webmaster"
)
_ROLE_NAMES = frozenset(_ROLES.split())


def is_role_mailbox(address: Address) -> bool:
    """Whether the name of a mailbox is that of a role (RFC 2142, and the usual ones)."""
    local, _, _ = address.exact.rpartition("@")
    return address.channel is Channel.EMAIL and local.partition("+")[0] in _ROLE_NAMES
