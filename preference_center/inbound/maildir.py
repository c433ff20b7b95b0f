"""Read opt-outs by mail from a maildir (https://cr.yp.to/proto/maildir.html)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from preference_center.core.errors import InvalidInput, PreferenceCenterError
from preference_center.core.mime import MAIL_HEAD_BYTES
from preference_center.inbound.inbound_ingest_mail import ingest_mail
from preference_center.infra.context import services

log = structlog.get_logger()

SEEN_FLAG = ":2,S"


@dataclass(frozen=True, slots=True)
class HandledMessage:
    """A message that was processed."""

    name: str
    is_ours: bool
    """Whether it was for a token or mailbox of ours, and was therefore moved."""


def validate_maildir(folder: Path) -> None:
    """Raise InvalidInput unless `folder` is a maildir that we may work in."""
    if not all((folder / part).is_dir() for part in ("new", "cur")):
        raise InvalidInput("this is not a maildir: it needs the folders new and cur")


def process_new(folder: Path, skip: Collection[str] = ()) -> Iterator[HandledMessage]:
    """Process the messages in `new`, the oldest first, except those named in `skip`.

    A message for a token or mailbox of ours is moved to `cur` as seen, after its opt-outs are
    committed (I1); any other stays where it is. Raises Unavailable when the database can't be
    reached: then nothing more is moved.
    """
    found = [path for path in (folder / "new").iterdir() if path.name not in skip]
    for path in sorted(found, key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        handled = _process_message(path, folder)
        if handled is not None:
            yield handled


def _process_message(path: Path, folder: Path) -> HandledMessage | None:
    """Process one message and move it; None if another process was faster.

    A message that can't be read from disk or stored stays in `new` and is logged: it must not
    block those behind it.
    """
    try:
        handled = _ingest_message(path)
        if handled.is_ours:
            path.rename(folder / "cur" / f"{path.name}{SEEN_FLAG}")
    except FileNotFoundError:
        return None
    except PreferenceCenterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the next one may be an opt-out
        log.error("mail_left_in_new", error=type(error).__name__)  # noqa: TRY400 - no quotes (I12)
        return HandledMessage(path.name, is_ours=False)
    return handled


def _ingest_message(path: Path) -> HandledMessage:
    with path.open("rb") as file:
        head = file.read(MAIL_HEAD_BYTES)
    about = path.stat()
    # The MTA wrote it when it reached the company: the 72 hours run from then (I3).
    written = datetime.fromtimestamp(about.st_mtime, UTC)
    at = min(written, services().now())
    return HandledMessage(path.name, ingest_mail(head, None, at, size=about.st_size).is_ours)
