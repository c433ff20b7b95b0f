"""Outboxes send webhooks to the company: each is a table, and the queue is the database."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial
from typing import Generic, TypeVar
from uuid import UUID

import structlog
from standardwebhooks.webhooks import Webhook as Signer

from preference_center.core.deadlines import destination_retry
from preference_center.core.networks import split_url
from preference_center.core.occurrences import Occurrence
from preference_center.infra import metrics, occurrences
from preference_center.infra.context import Services, services
from preference_center.infra.db.transactions import Connection, fetch_count, run_in_transaction
from preference_center.integrations.base.contract import DeliveryError

ALLOW_PRIVATE = "CONNECTORS_ALLOW_PRIVATE"
"""Environment variable of development: `1` lets destinations reach this very machine."""


LEASE = timedelta(seconds=60)
"""Longer than an exchange may take."""
GIVE_UP_AFTER = timedelta(days=7)
"""Then the webhook is not tried any more: the request itself stays open and overdue."""
MAX_DUE = 1_000
"""Due ones are counted up to here."""
_FAILED = "failed"
_GIVEN_UP = "send_rights_webhooks"
"""Counted as a failure of the job that sends them."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClaimedRow:
    """A webhook that this worker holds until its lease ends. Each field is a column."""

    id: UUID
    created_at: datetime
    attempts: int


W = TypeVar("W", bound=ClaimedRow)


@dataclass(frozen=True, slots=True)
class Outbox(Generic[W]):
    """One table of webhooks, which has the columns of `claimed`, `next_at` and `outcome`."""

    table: str
    claimed: type[W]

    def count_due(self, connection: Connection, now: datetime) -> int:
        """How many are due (to MAX_DUE)."""
        query = f"""SELECT count(*) FROM (
            SELECT FROM {self.table} WHERE next_at <= %s LIMIT %s) AS due"""  # noqa: S608 - a constant
        return fetch_count(connection, query.encode(), (now, MAX_DUE))

    def load_failing_since(self, connection: Connection) -> datetime | None:
        """When the oldest was made that failed and is tried again (of 1,000)."""
        query = f"""SELECT min(created_at) FROM (SELECT created_at FROM {self.table}
            WHERE next_at IS NOT NULL AND outcome = %s LIMIT 1000) AS failing"""  # noqa: S608 - a constant
        row = connection.execute(query.encode(), (_FAILED,)).fetchone()
        assert row  # an aggregate
        at: datetime | None = row[0]
        return at

    def claim(self, connection: Connection, *, now: datetime, until: datetime) -> W | None:
        """Claim the webhook that has been due for longest; the lease ends at `until`."""
        columns = ", ".join(f"w.{column.name}" for column in fields(self.claimed))
        query = f"""WITH due AS (SELECT id FROM {self.table} WHERE next_at <= %(now)s
                ORDER BY next_at, created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
            UPDATE {self.table} w SET next_at = %(until)s, attempts = attempts + 1
            FROM due WHERE w.id = due.id RETURNING {columns}"""  # noqa: S608 - constants
        row = connection.execute(query.encode(), {"now": now, "until": until}).fetchone()
        return self.claimed(*row) if row else None

    def settle(
        self, connection: Connection, webhook_id: UUID, outcome: str, next_at: datetime | None
    ) -> None:
        """Record how an attempt ended; without `next_at` the webhook is done.

        One that was delivered stays so, whatever a worker that lost its lease reports.
        """
        query = f"""UPDATE {self.table} SET outcome = %s, next_at = %s
            WHERE id = %s AND next_at IS NOT NULL"""  # noqa: S608 - a constant
        connection.execute(query.encode(), (outcome, next_at, webhook_id))


def send_due(
    outbox: Outbox[W],
    send: Callable[[Services, W], DeliveryError | None],
    *,
    until: datetime,
    stop: Callable[[], bool],
) -> int:
    """As `send_due_webhooks`, for any outbox.

    `send` posts a webhook and settles it if it was accepted; it returns the error otherwise, and
    the webhook is tried again until GIVE_UP_AFTER.
    """
    context, sent = services(), 0
    while not stop() and context.now() < until:
        now = context.now()
        claim = run_in_transaction(partial(outbox.claim, now=now, until=now + LEASE))
        if claim is None:
            break
        error = send(context, claim)
        if error is not None:
            _defer(context, outbox, claim, error)
        sent += error is None
    return sent


def _defer(context: Services, outbox: Outbox[W], claim: W, error: DeliveryError) -> None:
    now, next_at = context.now(), None
    if now < claim.created_at + GIVE_UP_AFTER:
        next_at = destination_retry(claim.attempts, now, jitter=context.random.random())
    else:
        metrics.count_job_failure(_GIVEN_UP)
        occurrences.note(Occurrence.JOB_FAILED, _GIVEN_UP)
    log.warning("company_webhook_failed", webhook=str(claim.id), error=str(error))
    run_in_transaction(lambda c: outbox.settle(c, claim.id, _FAILED, next_at))


def send_signed(context: Services, webhook_id: UUID, body: str) -> DeliveryError | None:
    """Post `body` to the company's program; the error, or None if it accepted it with a 2xx.

    A repeat with the same id is the same webhook to the receiver.
    """
    url, secrets = context.settings.rights_webhook_url, context.settings.rights_webhook_secret
    if url is None:
        return DeliveryError("RIGHTS_WEBHOOK_URL is no longer set", permanent=True)
    name = f"msg_{webhook_id}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(context.now().timestamp())),
        "webhook-signature": " ".join(
            Signer(secret).sign(name, context.now(), body) for secret in secrets.split()
        ),
    }
    # Imported late: its libraries take memory and time where nothing is sent.
    from preference_center.integrations.base.http import HttpContext  # noqa: PLC0415

    http = HttpContext(now=context.now, allow_private=os.environ.get(ALLOW_PRIVATE) == "1")
    origin, path = split_url(url)
    try:
        networks = context.settings.reachable_networks
        with http.session("rights", origin, networks=networks) as session:
            session.send(
                "POST", "RIGHTS_WEBHOOK_URL", raw_path=path, body=body.encode(), headers=headers
            )
    except DeliveryError as error:
        return error
    return None
