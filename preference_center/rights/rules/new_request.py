"""Check a data-subject request as it comes in, and build what is stored of it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from uuid import UUID

from preference_center.catalogue.rules.privacy import Law
from preference_center.core.addresses import Address, Channel, parse_address
from preference_center.core.errors import InvalidInput
from preference_center.rights.rules.deadlines import compute_deadlines
from preference_center.rights.rules.identity import Circumstance, is_role_mailbox, required_level
from preference_center.rights.rules.lifecycle import RightsRequest, opt_out_scope
from preference_center.rights.rules.requests import (
    Extent,
    IdentityLevel,
    RequestKind,
    RequestState,
    RequestVia,
)

MAX_TEXT = 4_000
"""Characters of what the person wrote."""


MAX_REPORT = 1_000
"""Characters of what makes somebody think that an address is a minor's."""


MAX_NAME = 100
"""Characters of an agent's name."""


MAX_SUBJECTS = 100
"""Addresses and external ids of one request: it is about one person."""


_CONTACT_LIKE = re.compile(
    r"[/@\\]|\bwww\b|\w\.[a-z]{2,}\b|\b(?:dot|punto|punkt|point) (?:com|net|org|info|eu)\b"
    r"|(?:\d\D*){5}",
    re.IGNORECASE,
)
"""A link, an address, or a phone number: five digits, with whatever between them."""


@dataclass(frozen=True, slots=True)
class Agent:
    """Somebody who acts for the person."""

    name: str
    address: str

    def check(self) -> None:
        """Raises InvalidInput unless it is a name that can be shown to the person, and an address.

        The name is typed by a stranger and mailed to somebody: it must name no way to reach them.
        """
        if not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable():
            raise InvalidInput(f"state the agent's name, up to {MAX_NAME} characters")
        if _CONTACT_LIKE.search(self.name):
            raise InvalidInput("state the agent's name without a link, address or phone number")
        parse_address(self.address, Channel.EMAIL)


@dataclass(frozen=True, slots=True, repr=False)
class NewRequest:
    """What is asked for, about whom, and how sure it is who asks.

    `level` is what is proven of the person that the request is about, for all of `addresses`.
    `received_at` (aware) may be stated for what came by letter or phone. `law` is stated where
    the person said where they live. With `identity_asked` the person was asked for proof at the
    same time, which stops the clock where the law allows it. `language` (BCP 47) empty is that of
    the contact. `id` is given where a form may be sent twice: it is recorded once.
    """

    kind: RequestKind
    via: RequestVia
    language: str
    addresses: tuple[Address, ...] = ()
    external_ids: tuple[str, ...] = ()
    extent: Extent | None = None
    law: Law | None = None
    brand: str | None = None
    received_at: datetime | None = None
    level: IdentityLevel = IdentityLevel.NONE
    circumstances: frozenset[Circumstance] = frozenset()
    identity_asked: bool = False
    text: str = ""
    agent: Agent | None = None
    reporter: str = ""
    id: UUID | None = None

    def check(self) -> None:
        """Raises InvalidInput, which states what to fix."""
        subjects = len(self.addresses) + len(self.external_ids)
        if not subjects:
            raise InvalidInput("state whom the request is about: an address or an external id")
        if subjects > MAX_SUBJECTS:
            raise InvalidInput(f"a request is about one person: name up to {MAX_SUBJECTS} of them")
        if len(self.text) > MAX_TEXT:
            raise InvalidInput(f"the text is longer than {MAX_TEXT:,} characters: shorten it")
        if self.via.rules.by_agent != (self.agent is not None):
            raise InvalidInput("a request by an agent, and only that, names the agent: state who")
        if self.agent is not None:
            self.agent.check()
        if self.kind is RequestKind.MINOR and len(self.text) > MAX_REPORT:
            raise InvalidInput(f"a report is longer than {MAX_REPORT:,} characters: shorten it")
        if (self.extent is not None) != (self.kind is RequestKind.ERASE):
            raise InvalidInput("a request to erase, and only that, has an extent: state which")

    @property
    def opt_out_scope(self) -> str | None:
        """The scope of the opt-out that it is, as soon as it is received; None if it is none."""
        return opt_out_scope(self.kind, self.extent, self.via, self.level)

    @property
    def reaches_contact(self) -> bool:
        """Whether it concerns all addresses of the contact, also those that it does not name."""
        return self.kind is RequestKind.CLOSE or bool(self.extent and self.extent.rules.of_account)

    @property
    def required_level(self) -> IdentityLevel:
        """The identity that it needs, also for further addresses and mailboxes of a role.

        An external id names the contact, with all its addresses.
        """
        found = set(self.circumstances)
        if len(self.addresses) > 1 or self.external_ids:
            found.add(Circumstance.OTHER_ADDRESS)
        if any(map(is_role_mailbox, self.addresses)):
            found.add(Circumstance.ROLE_MAILBOX)
        return required_level(self.kind, self.extent, found)


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """The stored rows of the people that a request is about, and their digests."""

    digests: tuple[bytes, ...] = field(repr=False)
    address_ids: tuple[int, ...] = ()
    contact_id: UUID | None = None


def build_request(
    new: NewRequest,
    request_id: UUID,
    subject: SubjectRows,
    laws: Collection[Law],
    zone: tzinfo,
    received_at: datetime,
    now: datetime,
) -> RightsRequest:
    """The request as it is first stored, `sealed` apart: open if identity is proven already.

    `laws` are those that the company has configured. Raises InvalidInput.
    """
    new.check()
    dates = compute_deadlines(new.kind, [new.law] if new.law else laws, received_at, zone)
    received = RightsRequest(
        id=request_id,
        kind=new.kind,
        extent=new.extent,
        law=new.law,
        via=new.via,
        language=new.language,
        brand=new.brand,
        received_at=received_at,
        recorded_at=now,
        confirm_by=dates.confirm_by,
        confirmed_at=now if new.via.rules.confirms_at_once else None,
        due_at=dates.due_at,
        stopped_at=None,
        extended_to=None,
        extension_reason=None,
        level=new.level,
        required_level=new.required_level,
        failures=0,
        state=RequestState.RECEIVED,
        outcome=None,
        refusal=None,
        contact_id=subject.contact_id,
        address_ids=subject.address_ids,
        subject_digests=subject.digests,
        sealed=None,
        closed_at=None,
        forget_at=None,
        next_at=None,
        version=1,
    )
    if new.level >= received.required_level:
        return replace(received, state=RequestState.OPEN).schedule(now)
    if new.identity_asked:
        return received.ask_identity(now, stops_clock=dates.stops_for_identity)
    return received.schedule(now)
