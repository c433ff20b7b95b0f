"""Say which identity an act needs, check files of proof, and make the links that requests mail.

The identity is the least that is enough, and nothing is allowed by default. Sources: GDPR art.
12(6) and EDPB Guidelines 01/2022, 58-79: proportionate, and no identity card by default; 11 CCR
7060-7063 for the CCPA.

A file that proves an agent's authority is recognized by its first bytes and by nothing else: not by
its name, which is never stored, and not by the type that the browser declares. It is stored as it
came, sealed, and is never opened, rendered or unpacked here, so what hides in it (an archive, a
script, a place in EXIF) does nothing.

Links hold no address (I12). The links by which people answer what somebody else said about them are
mailed to the address that a request is about, and to nobody else: so anyone who uses one reads that
mailbox. What it may do once depends on the state of the request. The other links lead to the status
page of a request.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from preference_center.core.addresses import Address
from preference_center.core.errors import InvalidInput
from preference_center.core.links import FormPurpose, Links
from preference_center.core.links.tokens import LIFETIMES, TokenPurpose
from preference_center.rights.rules.requests import Extent, IdentityLevel, RequestKind

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


PROOFS = tuple(proof for proof in Proof if proof is not Proof.NOTHING)


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
    kind: RequestKind, extent: Extent | None = None, circumstances: Collection[Circumstance] = ()
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
            least = IdentityLevel.CONTROLS_ADDRESS if extent else IdentityLevel.CONTACT
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
    return address.channel.rules.is_email and local.partition("+")[0] in _ROLE_NAMES


MAX_PROOFS = 3
"""Files of one request."""


MAX_PROOF_BYTES = 5_000_000


class ProofKind(StrEnum):
    """What the file shows."""

    POWER_OF_ATTORNEY = "power_of_attorney"
    HEIR = "heir"
    """That the person has died and the agent inherits, as a certificate of inheritance."""


class ProofType(StrEnum):
    """The type of a file, as its first bytes say."""

    PDF = "application/pdf"
    PNG = "image/png"
    JPEG = "image/jpeg"


_FIRST_BYTES: Mapping[ProofType, bytes] = {
    ProofType.PDF: b"%PDF-",  # ISO 32000-2 7.5.2
    ProofType.PNG: b"\x89PNG\r\n\x1a\n",  # RFC 2083 3.1
    ProofType.JPEG: b"\xff\xd8\xff",  # ITU-T T.81 B.1.1.3: start of image, then a marker
}


@dataclass(frozen=True, slots=True)
class ProofFile:
    """An uploaded file. `declared_type` is what the browser called it."""

    content: bytes = field(repr=False)
    declared_type: str
    kind: ProofKind

    @property
    def type(self) -> ProofType:
        """The type by its first bytes. Raises InvalidInput unless it is one of ProofType."""
        for found, first in _FIRST_BYTES.items():
            if self.content.startswith(first):
                return found
        raise InvalidInput("send a PDF, PNG or JPEG: this file is none of them, whatever its name")

    def check(self) -> None:
        """Raises InvalidInput, which states what to fix."""
        if len(self.content) > MAX_PROOF_BYTES:
            raise InvalidInput(
                f"the file is larger than {MAX_PROOF_BYTES:,} bytes: make it smaller"
            )
        _ = self.type


ANSWER_PATHS: Mapping[FormPurpose, str] = {
    FormPurpose.RIGHTS_AUTHORITY: "authority",
    FormPurpose.RIGHTS_REPORTED: "reported",
}
"""The part of the path after `/rights/`."""


ANSWER_TIMES: Mapping[FormPurpose, timedelta] = {
    FormPurpose.RIGHTS_AUTHORITY: timedelta(days=7),
    FormPurpose.RIGHTS_REPORTED: timedelta(days=14),
}
"""How long after the request was recorded an answer is taken."""


def answer_url(
    links: Links, purpose: FormPurpose, request_id: UUID, now: datetime, host: str | None = None
) -> str:
    """The URL of the page that takes the answer; `host` is the brand's own, if it has one."""
    token = links.seal_form(purpose, {"request": str(request_id)}, now)
    return f"{links.base_url(host)}/rights/{ANSWER_PATHS[purpose]}/{token}"


def read_answer_token(links: Links, purpose: FormPurpose, token: str, now: datetime) -> UUID:
    """The id of the request, however old the link is. Raises InvalidLink."""
    _, data = links.open_form(purpose, token, None, now)
    return UUID(data["request"])


@dataclass(frozen=True, slots=True)
class RightsStatusLink:
    """What a token of the status page says."""

    request_id: UUID
    visit_began_at: datetime | None = None
    """Of the visit that it continues, as long as that lasts."""

    @property
    def proves_control(self) -> bool:
        """Whether it continues a visit that proves control of the address."""
        return self.visit_began_at is not None


def create_rights_status_token(
    links: Links, request_id: UUID, now: datetime, visit_began_at: datetime | None = None
) -> str:
    """The token of a request's status page. It does not expire.

    With `visit_began_at` it continues the visit that made the request, for as long as that lasts.
    """
    data = {"request": str(request_id)}
    if visit_began_at is not None:
        data["visit"] = visit_began_at.isoformat()
    return links.seal_form(FormPurpose.RIGHTS_STATUS, data, now)


def rights_status_url(
    links: Links, request_id: UUID, now: datetime, host: str | None = None
) -> str:
    """The URL of a request's status page, for mails; `host` is the brand's own, if it has one."""
    token = create_rights_status_token(links, request_id, now)
    return f"{links.base_url(host)}/rights/status/{token}"


def read_rights_status_token(links: Links, token: str, now: datetime) -> RightsStatusLink:
    """What a token of the status page says. Raises InvalidLink."""
    _, data = links.open_form(FormPurpose.RIGHTS_STATUS, token, None, now)
    began_at = datetime.fromisoformat(data["visit"]) if "visit" in data else None
    if began_at is not None and now - began_at > LIFETIMES[TokenPurpose.PAGE_VISIT]:
        began_at = None
    return RightsStatusLink(UUID(data["request"]), began_at)
