"""An opt-out goes into the ledger or, while that can't be written, to disk (I1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from flask import current_app

from preference_center.domain.events import Change
from preference_center.errors import Unavailable
from preference_center.extensions import services
from preference_center.ledger import record, record_together
from preference_center.spool import frames
from preference_center.spool.change_json import to_json
from preference_center.spool.folder import Folder
from preference_center.spool.writer import Writer
from preference_center.storage.db import outage

log = structlog.get_logger()

NAME = "preference_center.spool"
OPT_OUTS = "opt_outs"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where this process keeps what the database can't record now."""

    folder: Folder
    writer: Writer


def current() -> Spool | None:
    """This process's spool; None where none was started."""
    found: Spool | None = current_app.extensions.get(NAME)
    return found


def accept(changes: Sequence[Change]) -> tuple[UUID, ...] | None:
    """Record a person's own opt-outs, or spool them: None then. Either way they are durable.

    Returns the events that they made or repeat.

    What is spooled has the ids that the database was tried with, so that nothing is recorded
    twice even if it committed without answering. Raises Unavailable where neither can be
    done, with nothing promised, and ValueError for what is no opt-out.
    """
    try:
        if len(changes) == 1:
            return record_together(*changes)
        recorded = record(changes)
        return recorded.events + tuple(recorded.repeated.values())
    except Unavailable as error:
        data = {"changes": [to_json(change) for change in changes]}
        keep(OPT_OUTS, data, min(change.received_at for change in changes), error)
        return None


def keep(kind: str, data: Mapping[str, Any], received_at: datetime, because: Unavailable) -> None:
    """Spool a request that was not recorded, sealed; returns once it is on disk.

    `data` is JSON, and `kind` names who records it later (see `handle`). Raises `because`
    where this process has no spool, and CannotSpool when it can't be written.
    """
    spool = current()
    if spool is None:
        raise because
    outage.begin(because.cause)
    sealed = services().links.seal_request({"kind": kind, **data})
    spool.writer.append(frames.encode(sealed, received_at))
    log.info("spooled", kind=kind, cause=because.cause)
