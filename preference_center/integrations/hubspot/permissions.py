"""The scopes that a key for HubSpot needs, and has.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
HubSpot's guide and its published description name the same scopes differently, and an app
may have either: both count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

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

    def permission(
        scope_names: Collection[str],
        purpose: str,
        remedy: str = _GRANT_REMEDY,
        *,
        is_required: bool,
    ) -> Permission:
        name = next(iter(scope_names))
        return Permission(
            name,
            purpose,
            any(scope in granted_scopes for scope in scope_names),
            remedy,
            is_required,
        )

    yield permission(
        (_READ_SCOPES[0], _READ_WRITE_SCOPE, _DEFINITIONS_SCOPE),
        "read the subscription types",
        is_required=True,
    )
    yield permission(
        (*_READ_SCOPES, _READ_WRITE_SCOPE, *BATCH_READ_SCOPES), "read what is off", is_required=True
    )
    yield permission(
        (*_WRITE_SCOPES, _READ_WRITE_SCOPE, *BATCH_WRITE_SCOPES),
        "turn topics off and on",
        is_required=True,
    )
    for names, use in ((BATCH_READ_SCOPES, "read"), (BATCH_WRITE_SCOPES, "change")):
        yield permission(
            names, f"{use} 100 addresses in one request", _ENTERPRISE_REMEDY, is_required=False
        )
    yield permission(
        ("crm.objects.contacts.read",), "find contacts and their opt-outs", is_required=False
    )
    writes = bool(config.contact_fields)
    use = "write properties and erase people" if writes else "erase people"
    yield permission(("crm.objects.contacts.write",), use, is_required=writes)
