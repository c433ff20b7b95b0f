"""What a process needs to accept opt-outs if it starts in an outage, stored in the spool folder.

Public link keys of senders, so that their links can be read; and the catalogue, for the names on
the page. Both are as they were in the database a minute ago.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from preference_center.catalogue.store import cached_text, current_catalogue, seed_catalogue_cache
from preference_center.core.errors import CatalogueError, InvalidInput
from preference_center.core.links.tokens import SenderKey
from preference_center.infra.files import atomic_write
from preference_center.infra.keys.link_keys import cache_senders, seed_sender_cache

log = structlog.get_logger()

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
