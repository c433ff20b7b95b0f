"""Open a data-subject request, once however often it comes within a day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from preference_center import contacts
from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.contacts import WrittenContact
from preference_center.contacts.rules.contact import ContactRef
from preference_center.contacts.store import external_id_digest, find_locale
from preference_center.core.addresses import Address
from preference_center.core.errors import ForbiddenTransition, UnknownContact
from preference_center.core.events import Change, EventKind
from preference_center.infra.context import services
from preference_center.infra.db.connections import hold_digest_length
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.ledger import RecordResult, record
from preference_center.ledger.rules import clamp_to_now
from preference_center.rights.requests import minors, steps, store
from preference_center.rights.requests.store import SealedPart
from preference_center.rights.rules.identity import Circumstance
from preference_center.rights.rules.lifecycle import RightsRequest
from preference_center.rights.rules.new_request import NewRequest, SubjectRows, build_request
from preference_center.rights.rules.requests import (
    IdentityLevel,
    RequestKind,
    RequestOutcome,
    StepAction,
)

InTransaction = Callable[[Connection, RightsRequest], None]
"""Called with the request in the transaction that stores it; perhaps again after a failure."""


def open_request(
    new: NewRequest, actor: str, in_transaction: InTransaction | None = None
) -> RightsRequest:
    """Record a request; see `rights.requests.handle.open_request`."""
    new.check()
    opener = _Opener(_name_addresses(new), actor, in_transaction)
    new = opener.new
    if (scope := new.opt_out_scope) and new.addresses:
        record([opener.opt_out(address, scope) for address in new.addresses], opener.write_after)
    elif new.kind is RequestKind.MINOR:
        minors.restrict_reported(new, actor, opener.received_at, opener.write_report)
    else:
        run_in_transaction(opener.write)
    assert opener.opened
    return opener.opened


def _name_addresses(new: NewRequest) -> NewRequest:
    """With the addresses of the contacts that it names by the company's ids, emails first.

    Not for a correction, which names the one address that is wrong.
    """
    refs = [ContactRef(external_id=each) for each in new.external_ids]
    if not refs or new.kind is RequestKind.CORRECT:
        return new
    contact_set, found = contacts.load_contacts(refs), set[Address]()
    for ref in refs:
        with suppress(UnknownContact):
            found |= contact_set.find(ref).addresses
    ordered = sorted(found, key=lambda each: (not each.channel.rules.is_email, each.exact))
    return replace(new, addresses=tuple(dict.fromkeys([*new.addresses, *ordered])))


class _Opener:
    """Writes one request; `write` may be called again after a failure."""

    def __init__(self, new: NewRequest, actor: str, in_transaction: InTransaction | None) -> None:
        context = services()
        self._in_transaction = in_transaction
        self.new, self._actor = new, actor
        self._id, self._now = new.id or context.new_id(), context.now()
        self.received_at = clamp_to_now(new.received_at or self._now, self._now)
        self._catalogue = current_catalogue_or_empty()
        self._event_ids = [context.new_id() for _ in new.addresses]
        self._detail: dict[str, object] = {}
        self.opened: RightsRequest | None = None

    def opt_out(self, address: Address, scope: str) -> Change:
        """The opt-out that the request is, at any level of identity."""
        return Change(
            id=self._event_ids[self.new.addresses.index(address)],
            kind=EventKind.OPTED_OUT,
            address=address,
            scope=scope,
            occurred_at=self.received_at,
            received_at=self.received_at,
            source=steps.SOURCE,
            actor=self._actor,
            evidence={"request": str(self._id), "via": self.new.via, **self._policy_shown()},
        )

    def _policy_shown(self) -> dict[str, str]:
        """The version of the privacy policy, where our own page showed it."""
        policy = self._catalogue.policy_in_force(self._now)
        return {"policy": policy.reference} if policy and self.new.via.rules.shows_policy else {}

    def write_after(self, connection: Connection, _: RecordResult) -> None:
        self.write(connection)

    def write_report(self, connection: Connection, written: Sequence[WrittenContact]) -> None:
        """Store a report of a minor, and whether it restricted anybody."""
        self._detail = {minors.RESTRICTED: any(each.is_changed for each in written)}
        self.write(connection)

    def write(self, connection: Connection) -> None:
        """Store the request, or what it adds to the one that it repeats."""
        request = self._build(connection)
        store.lock_subject(connection, request.subject_digests)
        opened = store.load_request(connection, self._id)
        if opened is None:
            same = self._find_repeat(connection, request)
            opened = self._repeat(connection, same) if same else self._insert(connection, request)
        if self._in_transaction:
            self._in_transaction(connection, opened)
        self.opened = opened

    def _find_repeat(self, connection: Connection, request: RightsRequest) -> RightsRequest | None:
        """The request that this one repeats. Other words are not a repeat: they are read, too.

        Nor are none, of somebody who has proven nothing: a repeat leads to the status page of the
        first, which can withdraw it.
        """
        found = store.find_same(connection, request)
        return next((each for each in found if self._is_repeat(each)), None)

    def _is_repeat(self, same: RightsRequest) -> bool:
        part, new = store.open_part(services().keys, same), self.new
        if part.agent.get("address") != (new.agent.address if new.agent else None):
            return False  # the person is asked about every agent, and confirms it only there
        has_proof = new.level > IdentityLevel.NONE
        return part.text == new.text or (not new.text and has_proof)

    def _build(self, connection: Connection) -> RightsRequest:
        keys, new = services().keys, self.new
        hold_digest_length(connection, keys)
        digests = tuple(map(keys.exact_digest, new.addresses))
        channels = [address.channel.value for address in new.addresses]
        known = store.find_subject(connection, digests, channels)
        if known.is_erased and new.kind is RequestKind.REOPEN:
            found = new.circumstances | {Circumstance.AFTER_ERASURE}
            new = replace(new, circumstances=found)
        if known.has_other_addresses and new.reaches_contact:
            found = new.circumstances | {Circumstance.OTHER_ADDRESS}
            new = replace(new, circumstances=found)
        if not new.language and new.addresses:
            locale = find_locale(connection, keys, new.addresses[0])
            new = replace(new, language=locale or self._catalogue.default_language)
        named = tuple(external_id_digest(keys, each) for each in new.external_ids)
        return build_request(
            new,
            self._id,
            SubjectRows(digests + named, known.address_ids, known.contact_id),
            self._catalogue.rights.laws,
            steps.time_zone(self._catalogue),
            self.received_at,
            self._now,
        )

    def _insert(self, connection: Connection, request: RightsRequest) -> RightsRequest:
        sealed = store.seal_part(services().keys, request.id, _sealed_part(self.new))
        request = replace(request, sealed=sealed)
        detail = {"via": request.via, "level": request.level.value, **self._detail}
        mails = self._mails_receipt(connection, request)
        # Where no address is known, nothing has counted yet: staff find out whose it is.
        is_done = bool(request.kind.is_opt_out and self.new.addresses and not self.new.text)
        store.insert_request(connection, request)
        steps.append_step(
            connection,
            request,
            self._actor,
            StepAction.RECEIVED,
            detail,
            mails=mails and not is_done,
        )
        if request.state.rules.was_asked:
            steps.append_step(connection, request, self._actor, StepAction.IDENTITY_ASKED)
        if is_done:
            request = request.complete(RequestOutcome.FULFILLED, self._now)
            store.update_request(connection, request)
            done = {"outcome": RequestOutcome.FULFILLED}
            steps.append_step(connection, request, self._actor, StepAction.DONE, done, mails=mails)
        return request

    def _mails_receipt(self, connection: Connection, request: RightsRequest) -> bool:
        """One mail about all reports of a minor."""
        if request.kind is not RequestKind.MINOR:
            return True
        return not minors.list_reports(connection, request.subject_digests)

    def _repeat(self, connection: Connection, same: RightsRequest) -> RightsRequest:
        level = self.new.level
        steps.append_step(
            connection, same, self._actor, StepAction.REPEATED, {"level": level.value}
        )
        if level <= same.level:
            return self._ask(connection, same) if self.new.identity_asked else same
        known = same.confirm_identity(level, self._now)
        detail: dict[str, object] = {"level": level.value, "facts": []}
        return steps.store_change(
            connection, known, self._actor, StepAction.IDENTITY_CONFIRMED, detail
        )

    def _ask(self, connection: Connection, same: RightsRequest) -> RightsRequest:
        """Stop the clock of a request of which nobody has asked for proof yet."""
        stops = steps.deadlines_of(same).stops_for_identity
        try:
            asked = same.ask_identity(self._now, stops_clock=stops)
        except ForbiddenTransition:  # somebody has, or identity is proven
            return same
        return steps.store_change(connection, asked, self._actor, StepAction.IDENTITY_ASKED)


def _sealed_part(new: NewRequest) -> SealedPart:
    agent = new.agent
    return SealedPart(
        text=new.text,
        addresses=tuple((address.channel.value, address.exact) for address in new.addresses),
        external_ids=new.external_ids,
        agent={"name": agent.name, "address": agent.address} if agent else {},
        reporter=new.reporter,
    )
