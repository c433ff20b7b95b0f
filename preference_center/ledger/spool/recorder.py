"""`record_or_spool` records an opt-out or, if that fails for any reason, writes it to disk (I1).

`SpoolWriter` appends to this process's spool file, with one fsync for all concurrent threads. A
person's own opt-outs are stored as JSON; what is parsed must satisfy the rules of `Change`, too.

The spool folder also has what a process needs to accept opt-outs if it starts in an outage: public
link keys of senders, so that their links can be read; and the catalogue, for the names on the page.
Both are as they were in the database a minute ago.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import UUID

import structlog
from flask import current_app
from pydantic import TypeAdapter, ValidationError

from preference_center.catalogue.store import cached_text, current_catalogue, seed_catalogue_cache
from preference_center.core.addresses import Address, Channel
from preference_center.core.errors import (
    CatalogueError,
    InvalidInput,
    Unavailable,
    UnavailableCause,
)
from preference_center.core.events import Change, EventKind
from preference_center.core.links.tokens import SenderKey, restore_address
from preference_center.core.occurrences import Occurrence
from preference_center.infra import metrics, occurrences
from preference_center.infra.context import services
from preference_center.infra.db import connections
from preference_center.infra.files import atomic_write
from preference_center.infra.keys.link_keys import cache_senders, seed_sender_cache
from preference_center.infra.metrics import OptOutOutcome
from preference_center.ledger.recording import record, record_batched
from preference_center.ledger.spool import host_time
from preference_center.ledger.spool.folder import OpenSpoolFile, SpoolFolder, SpoolUnavailable
from preference_center.ledger.spool.frames import encode_frame
from preference_center.ledger.spool.locked_tables import LockedTables

log = structlog.get_logger()


LOOK_INTERVAL = 1.0
"""Seconds between looks at the size of the folder, to which other processes write, too."""


@dataclass(slots=True)
class _PendingFrame:
    content: bytes
    done: bool = False
    error: SpoolUnavailable | None = None


@dataclass(slots=True)
class SpoolWriter:
    """The file of this process in `folder`, created with the first record after each replay.

    Thread-safe.
    """

    folder: SpoolFolder
    monotonic: Callable[[], float] = time.monotonic
    _pending_lock: Lock = field(default_factory=Lock)
    """Protects `_waiting`; held briefly."""
    _file_lock: Lock = field(default_factory=Lock)
    """Protects the file."""
    _pending: list[_PendingFrame] = field(default_factory=list)
    _file: OpenSpoolFile | None = None
    _quota: int = 0
    """Bytes that may be appended until `_look_at`, by the size of the folder then."""
    _look_at: float = field(default=float("-inf"))

    def append(self, frame: bytes) -> None:
        """Return once the frame is on disk. Raises SpoolUnavailable if it isn't, or may not be.

        A thread that waits for the file's lock finds that the lock's holder wrote its frame.
        """
        pending = _PendingFrame(frame)
        with self._pending_lock:
            self._pending.append(pending)
        with self._file_lock:
            if not pending.done:
                with self._pending_lock:
                    batch, self._pending = self._pending, []
                error = self._write(b"".join(each.content for each in batch))
                for each in batch:
                    each.done, each.error = True, error
        if pending.error:
            raise SpoolUnavailable(str(pending.error)) from pending.error

    @property
    def is_in_use(self) -> bool:
        """Whether this process has a file to append to."""
        return self._file is not None

    def close_file(self) -> None:
        """Let what was appended be replayed: the next record gets a new file."""
        with self._file_lock:
            self._close_file()

    def _write(self, content: bytes) -> SpoolUnavailable | None:
        try:
            if self._file is not None and self._file.is_deleted:
                self._close_file()
            if self._file is None and self.folder.free_bytes() < len(content):
                return SpoolUnavailable("the disk of the spool is full")
            if not self._take_quota(len(content)):
                return SpoolUnavailable("the spool is full: see SPOOL_MAX_BYTES")
            if self._file is None:
                self._file = self.folder.create_file()
                log.warning("spool_in_use", file=self._file.path.name)
            self._file.append(content)
        except OSError as error:
            # After a failed fsync the state of the disk is unknown: leave the file to be replayed.
            log.error("spool_unwritable", error=type(error).__name__)  # noqa: TRY400 - its text has a path, its trace nothing more
            if self._file is not None:
                self._file.remove_if_empty()
            self._close_file()
            return SpoolUnavailable("the spool can't be written")
        return None

    def _take_quota(self, size: int) -> bool:
        """Whether `size` bytes fit into the folder, as far as known. Raises OSError."""
        now = self.monotonic()
        if now >= self._look_at:
            self._quota = self.folder.max_bytes - self.folder.used_bytes()
            self._look_at = now + LOOK_INTERVAL
        if size > self._quota:
            return False
        self._quota -= size
        return True

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None


def change_to_json(change: Change) -> dict[str, Any]:
    """The JSON. Raises ValueError for a change that is not an opt-out of an address."""
    if change.kind is not EventKind.OPTED_OUT or not isinstance(change.address, Address):
        raise ValueError("only a person's own opt-out may be spooled")
    return {
        "id": str(change.id),
        "channel": change.address.channel.value,
        "address": change.address.exact,
        "scope": change.scope,
        "occurred_at": change.occurred_at.isoformat(),
        "received_at": change.received_at.isoformat(),
        "source": change.source,
        "actor": change.actor,
        "evidence": dict(change.evidence),
        "once": change.own_act,
    }


def change_from_json(data: Mapping[str, Any], parse_time: Callable[[str], datetime]) -> Change:
    """Parse the output of `change_to_json`. Raises KeyError, TypeError or ValueError."""
    return Change(
        id=UUID(data["id"]),
        kind=EventKind.OPTED_OUT,
        address=restore_address(data["address"], Channel(data["channel"])),
        scope=data["scope"],
        occurred_at=parse_time(data["occurred_at"]),
        received_at=parse_time(data["received_at"]),
        source=data["source"],
        actor=data["actor"],
        evidence=data["evidence"],
        own_act=data["once"],
    )


EXTENSION_KEY = "preference_center.spool"


OPT_OUTS_KIND = "opt_outs"


@dataclass(frozen=True, slots=True)
class Spool:
    """Where this process stores what the database can't record now."""

    folder: SpoolFolder
    writer: SpoolWriter
    locked_tables: LockedTables = field(default_factory=LockedTables)


def current_spool() -> Spool | None:
    """This process's spool; None if none was started."""
    found: Spool | None = current_app.extensions.get(EXTENSION_KEY)
    return found


def attempt_to_record() -> AbstractContextManager[None]:
    """Inside, something is recorded. Raises Unavailable at once while a table is locked (I2)."""
    spool = current_spool()
    return spool.locked_tables.attempt() if spool else nullcontext()


def record_or_spool(changes: Sequence[Change]) -> tuple[UUID, ...] | None:
    """Record a person's own opt-outs, or spool them and return None. Either way they are durable.

    Returns the events that they made or repeat.

    Spooled opt-outs have the ids of the failed attempt, so that nothing is recorded twice even if
    the database committed without a response. Where neither is possible, nothing is promised:
    raises what prevented it, or SpoolUnavailable. Raises ValueError for a change that is not an
    opt-out, and InvalidInput where the change is at fault.
    """
    try:
        with attempt_to_record():
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


def _count_refused() -> None:
    metrics.count_opt_outs(OptOutOutcome.REFUSED)
    occurrences.note(Occurrence.OPT_OUT_REFUSED)


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
        _count_refused()
        raise error
    if isinstance(error, Unavailable) and error.cause is not UnavailableCause.SCHEMA:
        # Whether the tables fit is asked of all of them, when a process starts or an outage ends.
        connections.report_failure(error.cause, error.reason)
    host = host_time.host_time_to_json(host_time.read_host_time())
    sealed = services().links.seal_request({"kind": kind, "boot": host, **data})
    try:
        spool.writer.append(encode_frame(sealed, received_at))
    except SpoolUnavailable:
        _count_refused()
        raise
    metrics.count_opt_outs(OptOutOutcome.SPOOLED)
    if isinstance(error, Unavailable):
        log.info("request_spooled", kind=kind, **error.log_fields)
    else:  # without its text, which may quote a row
        state = getattr(error, "sqlstate", None)
        log.error("request_spooled", kind=kind, error=type(error).__name__, sqlstate=state)


FILE_NAME = "known.json"


_SENDERS = TypeAdapter(list[SenderKey])


def save_known_state(folder: Path) -> None:
    """Load it from the database, and store it in `folder` if it changed. Raises Unavailable."""
    senders = cache_senders()
    with suppress(CatalogueError):
        current_catalogue()
    content = json.dumps(
        {"senders": _SENDERS.dump_python(senders, mode="json"), "catalogue": cached_text()}
    ).encode()
    path = folder / FILE_NAME
    try:
        if not path.exists() or path.read_bytes() != content:
            with atomic_write(path) as file:
                file.write(content)
    except (InvalidInput, OSError) as error:
        log.warning("spool_unwritable", file=FILE_NAME, error=type(error).__name__)


def load_known_state(folder: Path) -> None:
    """Assume what is stored in `folder`, unless this process knows something newer."""
    try:
        kept = json.loads((folder / FILE_NAME).read_bytes())
        seed_sender_cache(_SENDERS.validate_python(kept["senders"]))
        if kept["catalogue"] is not None:
            seed_catalogue_cache(kept["catalogue"])
    except FileNotFoundError:
        return
    except (OSError, CatalogueError, KeyError, TypeError, ValueError, ValidationError) as error:
        log.warning("spool_unreadable", file=FILE_NAME, error=type(error).__name__)
