"""A job erases people in one destination: suppress, confirm, erase, read back (GDPR art. 19; I6).

The push of the opt-out goes first (`destinations.push`): a tool that loses the opt-out together
with the person must have had it, and one that does not know the address is asked nothing. A worker
that dies loses its lease and no more. A failure defers its tasks and never opens the destination's
circuit: opt-outs go on (I3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import structlog

from preference_center.core.deadlines import PROBE_INTERVAL
from preference_center.destinations.connect import LEASE_DURATION, ConnectorFactory, Lease
from preference_center.destinations.push import log_failure, safe_message
from preference_center.destinations.rules.erase_task import (
    EraseClaim,
    EraseStep,
    TaskSettlement,
    settle_erase,
    settle_failure,
    settle_permanent_failure,
    settle_read_back,
    settle_unchanged,
    settle_without_request,
)
from preference_center.destinations.rules.plan import claim_limit
from preference_center.destinations.rules.states import Destination
from preference_center.destinations.store import destinations, erasure_tasks
from preference_center.infra.context import services
from preference_center.infra.db.transactions import run_autocommit, run_in_transaction
from preference_center.integrations.base.contract import (
    LINK_FIELD,
    Capabilities,
    Connector,
    DeliveryError,
    EraseItem,
    EraseMode,
    FieldItem,
    LeaseExpired,
    PushOutcome,
    RateLimited,
    RequestRejected,
    SupportsContactFields,
    SupportsErase,
    UnsupportedByDestination,
)
from preference_center.integrations.registry import load_integrations

log = structlog.get_logger()

MAX_BATCH = 25
"""Tasks of one claim: an address takes a request or two of its own in most tools, and more than
these would not end inside a lease."""

NO_NOTE = "The connector can't erase: find the address in the tool, and delete what it holds."
"""The reason of a task where a connector of another distribution states none."""


def erase_due(
    destination_id: int,
    connect: ConnectorFactory,
    *,
    until: datetime,
    stop: Callable[[], bool],
) -> int:
    """Work on a destination's erasures batch by batch until none is due; how many tasks.

    Starts no batch at or after `until`, nor once `stop()` is true.
    """
    context, total = services(), 0
    while not stop() and context.now() < until:
        destination = run_autocommit(
            lambda c: destinations.find_by_id(c, context.keys, destination_id)
        )
        if destination is None or not destination.allows_requests(context.now()):
            break
        count = erase_batch(destination, connect)
        if not count:
            break
        total += count
    return total


def erase_batch(destination: Destination, connect: ConnectorFactory) -> int:
    """Bring one batch of due tasks a step further; returns how many were claimed."""
    context = services()
    lease, now = context.new_id(), context.now()
    ends_at = now + LEASE_DURATION
    connector = connect(destination, Lease(ends_at, context.now))
    capabilities = _capabilities(destination, connector)
    if capabilities.erase is EraseMode.BY_HAND:
        reason = _by_hand_reason(destination, capabilities)
        run_autocommit(
            lambda c: erasure_tasks.assign_to_person(c, destination.id, reason, context.now())
        )
        return 0
    claims = run_in_transaction(
        lambda c: erasure_tasks.claim_tasks(
            c,
            context.keys,
            destination.id,
            lease,
            now=now,
            until=ends_at,
            limit=min(MAX_BATCH, claim_limit(destination, capabilities)),
        )
    )
    if claims:
        _Batch(destination, connector, capabilities, lease).run(claims)
    return len(claims)


def _capabilities(destination: Destination, connector: Connector) -> Capabilities:
    integration = load_integrations().get(destination.kind)
    if integration is None:
        return connector.capabilities.for_settings(destination.settings)
    return integration.load_spec().capabilities_for(destination.settings)


def _by_hand_reason(destination: Destination, capabilities: Capabilities) -> str:
    setting = capabilities.erase_setting
    if setting and not destination.settings.get(setting):
        return f"The destination has no {setting}. {capabilities.erase_note}"
    return capabilities.erase_note or NO_NOTE


@dataclass(frozen=True, slots=True)
class _Batch:
    """Claimed tasks of one destination, and what to ask the tool about them."""

    destination: Destination
    connector: Connector
    capabilities: Capabilities
    lease: UUID

    def run(self, claims: Sequence[EraseClaim]) -> None:
        """Do each task's next step, and store the results."""
        context = services()
        now, random = context.now(), context.random.random
        settlements = list[TaskSettlement]()
        groups: dict[EraseStep, list[EraseClaim]] = {EraseStep.READ_BACK: [], EraseStep.ERASE: []}
        for claim in claims:
            settled = settle_without_request(claim, self.capabilities, now, random())
            if settled:
                settlements.append(settled)
            else:
                groups[claim.step].append(claim)
        self._store(settlements)
        self._store(self._request(groups[EraseStep.READ_BACK], self._read_back))
        self._store(self._request(groups[EraseStep.ERASE], self._erase))

    def _store(self, settlements: Sequence[TaskSettlement]) -> None:
        if not settlements:
            return
        now = services().now()
        held = run_in_transaction(
            lambda c: erasure_tasks.settle_tasks(
                c, self.destination.id, self.lease, settlements, now
            )
        )
        done = sum(row.outcome is not None for row in settlements if row.erasure_id in held)
        log.info("erased", **self.destination.log_fields, tasks=len(held), done=done)

    def _request(
        self,
        claims: Sequence[EraseClaim],
        call: Callable[[Sequence[EraseClaim]], Sequence[TaskSettlement]],
    ) -> Sequence[TaskSettlement]:
        """What `call` makes of these tasks, or of its failure.

        A response that the connector fails on may be about one of several people: then each is
        asked about alone.
        """
        if not claims:
            return []
        try:
            return call(claims)
        except (DeliveryError, UnsupportedByDestination) as error:
            return [self._settle_error(claim, error) for claim in claims]
        except Exception as error:  # noqa: BLE001 - whatever a tool's response did to the connector
            if len(claims) > 1:
                return [row for claim in claims for row in self._request([claim], call)]
            return [self._settle_error(claim, error) for claim in claims]

    def _settle_error(self, claim: EraseClaim, error: Exception) -> TaskSettlement:
        context = services()
        now, jitter = context.now(), context.random.random()
        if isinstance(error, LeaseExpired):
            return settle_unchanged(claim, now)
        retry_after = error.retry_after if isinstance(error, DeliveryError) else None
        if isinstance(error, RateLimited):
            return settle_unchanged(claim, now + min(retry_after or timedelta(0), PROBE_INTERVAL))
        log_failure("erase_failed", self.destination, error)
        if isinstance(error, UnsupportedByDestination | RequestRejected) or getattr(
            error, "permanent", False
        ):
            reason = f"{safe_message(error)}. {self.capabilities.erase_note}"
            return settle_permanent_failure(claim, reason, now, jitter)
        return settle_failure(claim, now, jitter, retry_after)

    def _erase(self, claims: Sequence[EraseClaim]) -> Sequence[TaskSettlement]:
        items = {ref: claim.to_item(ref) for ref, claim in enumerate(claims)}
        outcomes = dict(self._empty_link_field([item for item in items.values() if not item.job]))
        erased = [item for ref, item in items.items() if ref not in outcomes]
        if erased:
            outcomes |= cast("SupportsErase", self.connector).erase(erased)
        context = services()
        now, random = context.now(), context.random.random
        return [
            settle_erase(claims[ref], outcomes.get(ref), self.capabilities, now, random())
            for ref in items
        ]

    def _empty_link_field(self, items: Sequence[EraseItem]) -> Mapping[int, PushOutcome]:
        """Empty the field for permanent links; the outcomes of those where that is to be retried.

        Whatever then becomes of the deletion, the tool has no link of the person's any more.
        """
        field = self.destination.settings.get(LINK_FIELD)
        if not items or not field or not self.capabilities.can_hold_link:
            return {}
        links = [FieldItem(item.ref, item.address, item.channel, "") for item in items]
        written = cast("SupportsContactFields", self.connector).write_field(field, links)
        later = {ref: outcome for ref, outcome in written.items() if outcome.is_open}
        return {ref: replace(outcome, job="") for ref, outcome in later.items()}

    def _read_back(self, claims: Sequence[EraseClaim]) -> Sequence[TaskSettlement]:
        items = [claim.to_item(ref) for ref, claim in enumerate(claims)]
        held = cast("SupportsErase", self.connector).find_held(items)
        context = services()
        now, random = context.now(), context.random.random
        return [
            settle_read_back(claim, now, random(), is_held=held.get(ref))
            for ref, claim in enumerate(claims)
        ]
