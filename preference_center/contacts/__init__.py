"""People with their addresses and accounts: updates, choices, notices."""

from __future__ import annotations

from preference_center.contacts.change import (
    InTransaction,
    WrittenContact,
    deactivate_contacts,
    load_contacts,
    merge_contacts,
    reopen_contacts,
    restrict_contacts,
    unrestrict_contacts,
    upsert_contacts,
)

__all__ = [
    "InTransaction",
    "WrittenContact",
    "deactivate_contacts",
    "load_contacts",
    "merge_contacts",
    "reopen_contacts",
    "restrict_contacts",
    "unrestrict_contacts",
    "upsert_contacts",
]
