"""The scopes that a key for HubSpot needs, and has.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
HubSpot's guide and its published description name the same scopes differently, and an app
may have either: both count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from preference_center.integrations.base.contract import DestinationConfig, Permission

_READ_SCOPES = ("communication_preferences.read", "subscriptions-status-read")
_WRITE_SCOPES = ("communication_preferences.write", "subscriptions-status-write")
_READ_WRITE_SCOPE = "communication_preferences.read_write"
_DEFINITIONS_SCOPE = "subscriptions-definition-read"
BATCH_READ_SCOPES = (
    "communication_preferences.statuses.batch.read",
    "subscription-status-batch-read",
)
BATCH_WRITE_SCOPES = (
    "communication_preferences.statuses.batch.write",
    "subscription-status-batch-write",
)
_GRANT_REMEDY = "add the scope to the service key or app"
_ENTERPRISE_REMEDY = f"{_GRANT_REMEDY}, which takes Marketing Hub Enterprise"


def has_batch_scopes(granted_scopes: Collection[str]) -> bool:
    """Whether all changes can be made by batch calls."""
    return any(scope in granted_scopes for scope in BATCH_WRITE_SCOPES)


def list_permissions(
    granted_scopes: Collection[str], config: DestinationConfig
) -> Iterator[Permission]:
    """The permissions that the connector needs, and whether `granted_scopes` include them."""
    writes = bool(config.contact_fields)
    needs: Sequence[tuple[Sequence[str], str, bool]] = (
        (
            (_READ_SCOPES[0], _READ_WRITE_SCOPE, _DEFINITIONS_SCOPE),
            "read the subscription types",
            True,
        ),
        ((*_READ_SCOPES, _READ_WRITE_SCOPE, *BATCH_READ_SCOPES), "read what is off", True),
        ((*_WRITE_SCOPES, _READ_WRITE_SCOPE, *BATCH_WRITE_SCOPES), "turn topics off and on", True),
        (BATCH_READ_SCOPES, "read 100 addresses in one request", False),
        (BATCH_WRITE_SCOPES, "change 100 addresses in one request", False),
        (("crm.objects.contacts.read",), "find contacts and their opt-outs", False),
        (
            ("crm.objects.contacts.write",),
            "write properties and erase people" if writes else "erase people",
            writes,
        ),
    )
    for names, use, is_required in needs:
        is_batch = names in {BATCH_READ_SCOPES, BATCH_WRITE_SCOPES}
        remedy = _ENTERPRISE_REMEDY if is_batch else _GRANT_REMEDY
        is_granted = any(name in granted_scopes for name in names)
        yield Permission(names[0], use, is_granted, remedy, is_required)
