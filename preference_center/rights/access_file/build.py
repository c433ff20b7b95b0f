"""Build the file of a request once, keep it sealed, and complete the request with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import IO, cast
from uuid import UUID

import structlog

from preference_center.catalogue.store import current_catalogue_or_empty
from preference_center.core.errors import InvalidInput, Unavailable, UnavailableCause
from preference_center.infra.context import services
from preference_center.infra.db.transactions import (
    Connection,
    current_limits,
    read_snapshot,
    run_in_transaction,
    transaction,
)
from preference_center.infra.job_queue import JOB_TIMEOUT_SECONDS
from preference_center.rights.access_file.archive import write_archive
from preference_center.rights.access_file.subject import load_subject
from preference_center.rights.access_file.words import FILE_DOWNLOADED
from preference_center.rights.requests import files
from preference_center.rights.requests.request_steps import (
    PERSON,
    add_step,
    complete_data_request,
    load_request,
)
from preference_center.rights.rules.model import RequestKind, RequestOutcome, RequestState
from preference_center.rights.rules.request import RightsRequest
from preference_center.web.languages import in_language

log = structlog.get_logger()

SERVICE = "service"
"""The actor of what happens by itself."""


class NoAccessFile(InvalidInput):
    """The request has no file: it is not ready yet, or it has expired."""


def build_access_file(request_id: UUID) -> bool:
    """Build the file of a request that is open, and complete the request.

    Returns whether it did: nothing happens if the request is not one for access, is not open, or
    if another worker builds its file. Safe to repeat after a crash. A request of the same people
    within RETENTION gets the same file. Raises Unavailable, also if somebody of them is erased
    meanwhile.
    """
    request = load_request(request_id)
    if request.kind is not RequestKind.ACCESS or request.state is not RequestState.OPEN:
        return False
    # It waits while the file is written, and locks nothing of anybody's.
    limits = replace(current_limits(), idle=JOB_TIMEOUT_SECONDS, total=JOB_TIMEOUT_SECONDS)
    with transaction(limits) as connection:
        if not files.try_lock(connection, request_id):
            return False
        now = services().now()
        earlier = files.find_same_file(connection, request_id, now)
        files.delete_file(connection, request_id)
        if earlier:
            _copy_file(connection, earlier, request_id)
            outcome = RequestOutcome.FULFILLED
        else:
            outcome = _write_file(connection, request, now)
        _require_not_erased(connection, request_id)
        complete_data_request(request_id, outcome, SERVICE, connection=connection)
    log.info("access_file_built", request=str(request_id), outcome=outcome, same=bool(earlier))
    return True


def read_access_file(request_id: UUID, *, actor: str = PERSON) -> bytes:
    """The ZIP, for anyone who may have it; the download becomes a step of the request.

    Raises NoAccessFile and Unavailable.
    """

    def read(connection: Connection) -> bytes:
        now = services().now()
        period = files.load_period(connection, request_id)
        if period is None or period[1] <= now:
            raise NoAccessFile("there is no file of this request: ask for a new one")
        add_step(connection, request_id, now, actor, FILE_DOWNLOADED)
        return b"".join(files.iter_parts(connection, services().keys, request_id))

    return run_in_transaction(read)


def file_expires_at(request_id: UUID) -> datetime | None:
    """Until when the file of a request can be downloaded (UTC); None if there is none."""
    period = run_in_transaction(lambda connection: files.load_period(connection, request_id))
    return period[1] if period and period[1] > services().now() else None


def _write_file(connection: Connection, request: RightsRequest, now: datetime) -> RequestOutcome:
    expires_at = now + files.FILE_RETENTION
    writer = files.FileWriter(
        connection, services().keys, request.id, created_at=now, expires_at=expires_at
    )
    with in_language(request.language) as language, read_snapshot() as snapshot:
        subject = load_subject(snapshot, request, current_catalogue_or_empty(), language)
        write_archive(cast("IO[bytes]", writer), subject, expires_at)
    writer.finish()
    return RequestOutcome.FULFILLED if subject.ids else RequestOutcome.NOTHING_HELD


def _require_not_erased(connection: Connection, request_id: UUID) -> None:
    """Raise Unavailable, so that it is tried again, if somebody was erased meanwhile (I6)."""
    period = files.load_period(connection, request_id)
    assert period  # just written
    if not files.lock_unless_erased(connection, request_id, period[0]):
        raise Unavailable("somebody was erased meanwhile", UnavailableCause.LOCK_TIMEOUT)


def _copy_file(connection: Connection, earlier: UUID, request_id: UUID) -> None:
    keys = services().keys
    period = files.load_period(connection, earlier)
    assert period  # `find_same_file` found it
    parts: Iterator[bytes] = files.iter_parts(connection, keys, earlier)
    for number, data in enumerate(parts):
        files.insert_part(
            connection,
            keys,
            request_id,
            number,
            data,
            created_at=period[0],
            expires_at=period[1],
        )
