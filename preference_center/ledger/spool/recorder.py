"""Record an opt-out or, if that fails for any reason, write it to disk (I1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from flask import current_app

from preference_center.core.errors import InvalidInput, Unavailable, UnavailableCause
from preference_center.core.events import Change
from preference_center.infra import metrics
from preference_center.infra.context import services
from preference_center.infra.db import connections
from preference_center.infra.metrics import OptOutOutcome
from preference_center.ledger.batching import record_batched
from preference_center.ledger.recording import record
from preference_center.ledger.spool import frames
from preference_center.ledger.spool.change_json import change_to_json
from preference_center.ledger.spool.folder import SpoolFolder, SpoolUnavailable
from preference_center.ledger.spool.writer import SpoolWriter

log = structlog.get_logger()

EXTENSION_KEY = "preference_center.spool"
OPT_OUTS_KIND = "opt_outs"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where this process stores what the database can't record now."""

    folder: SpoolFolder
    writer: SpoolWriter


def current_spool() -> Spool | None:
    """This process's spool; None if none was started."""
    found: Spool | None = current_app.extensions.get(EXTENSION_KEY)
    return found


def record_or_spool(changes: Sequence[Change]) -> tuple[UUID, ...] | None:
    """Record a person's own opt-outs, or spool them and return None. Either way they are durable.

    Returns the events that they made or repeat.

    Spooled opt-outs have the ids of the failed attempt, so that nothing is recorded twice even if
    the database committed without a response. Where neither is possible, nothing is promised:
    raises what prevented it, or SpoolUnavailable. Raises ValueError for a change that is not an
    opt-out, and InvalidInput where the change is at fault.
    """
    try:
        if len(changes) == 1:
            return record_batched(*changes)
        recorded = record(changes)
        return recorded.events + tuple(recorded.repeats.values())
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the person has said "stop"
        data = {"changes": [change_to_json(change) for change in changes]}
        spool_request(OPT_OUTS_KIND, data, min(change.received_at for change in changes), error)
        return None


def spool_request(
    kind: str, data: Mapping[str, Any], received_at: datetime, error: Exception
) -> None:
    """Spool a request that `error` kept from being recorded, encrypted; return once it is on disk.

    `data` is JSON, and `kind` selects the handler that records it later (see
    `register_handler`). Raises `error` where this process has no spool, and SpoolUnavailable
    when it can't be written.
    """
    spool = current_spool()
    if spool is None:
        metrics.count_opt_outs(OptOutOutcome.REFUSED)
        raise error
    if isinstance(error, Unavailable) and error.cause is not UnavailableCause.SCHEMA:
        # Whether the tables fit is asked of all of them, when a process starts or an outage ends.
        connections.report_failure(error.cause, error.reason)
    sealed = services().links.seal_request({"kind": kind, **data})
    try:
        spool.writer.append(frames.encode_frame(sealed, received_at))
    except SpoolUnavailable:
        metrics.count_opt_outs(OptOutOutcome.REFUSED)
        raise
    metrics.count_opt_outs(OptOutOutcome.SPOOLED)
    if isinstance(error, Unavailable):
        log.info("request_spooled", kind=kind, **error.log_fields)
    else:  # without its text, which may quote a row
        state = getattr(error, "sqlstate", None)
        log.error("request_spooled", kind=kind, error=type(error).__name__, sqlstate=state)
