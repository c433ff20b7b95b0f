"""The shop of the demo's second brand: a destination of files, and keys of senders."""

from __future__ import annotations

from collections.abc import Mapping

from dev.demo.files import Files
from preference_center.catalogue.store import current_catalogue
from preference_center.destinations.set_up import add_destination, resume_destination
from preference_center.destinations.validate import DestinationRequest
from preference_center.infra.audit import insert_audit_entry
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.web.api import keys
from preference_center.web.api.keys import ALL_MESSAGE_TYPES, KeyScope

DESTINATION = "shop"
OPERATOR = "console:olga"

_KEYS = {
    "shop": ([KeyScope.CHECK, KeyScope.WRITE, KeyScope.LINKS], [ALL_MESSAGE_TYPES]),
    "campaigns": ([KeyScope.CHECK], ["newsletter.monthly", "invitation.tasting"]),
    "warehouse": ([KeyScope.READ], []),
}


def create_shop(files: Files) -> Mapping[str, str]:
    """Connect it and create keys; returns their texts by name."""
    folder = files.folder / "shop-files"
    folder.mkdir(mode=0o700, exist_ok=True)
    topics = [topic for topic in current_catalogue().topics.values() if not topic.retired]
    add_destination(
        DestinationRequest(
            name=DESTINATION,
            kind="file_drop",
            settings={"folder": str(folder)},
            mapping={},
            sends=frozenset(topic.key for topic in topics if topic.brand == "bottega"),
            sends_service=False,
        ),
        OPERATOR,
    )
    resume_destination(DESTINATION, OPERATOR)
    return run_in_transaction(_create_keys)


def _create_keys(connection: Connection) -> Mapping[str, str]:
    now, texts = services().now(), {}
    for name, (scopes, message_types) in _KEYS.items():
        texts[name] = keys.create_key(connection, name, scopes, message_types, now)
        insert_audit_entry(connection, now, OPERATOR, "api_key.created", {"name": name})
    return texts
