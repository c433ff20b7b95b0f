"""The scopes that a key for HubSpot needs, and has.

https://developers.hubspot.com/docs/api-reference/2026-03/communication-preferences/guide
HubSpot's guide and its published description name the same scope differently, and an app
may show either: both count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from preference_center.integrations.base.check_report import Right
from preference_center.integrations.base.contract import Setup

_READ = ("communication_preferences.read", "subscriptions-status-read")
_WRITE = ("communication_preferences.write", "subscriptions-status-write")
_BOTH = "communication_preferences.read_write"
_DEFINE = "subscriptions-definition-read"
BATCH_READ = ("communication_preferences.statuses.batch.read", "subscription-status-batch-read")
BATCH_WRITE = ("communication_preferences.statuses.batch.write", "subscription-status-batch-write")
_GRANT = "add the scope to the service key or app"
_ENTERPRISE = f"{_GRANT}, which takes Marketing Hub Enterprise"


def has_batch(held: Collection[str]) -> bool:
    """Whether all changes can be made by batch calls."""
    return any(scope in held for scope in BATCH_WRITE)


def rights(held: Collection[str], setup: Setup) -> Iterator[Right]:
    """What the connector needs of a key with the scopes `held`."""

    def right(names: Collection[str], use: str, remedy: str = _GRANT, *, needed: bool) -> Right:
        name = next(iter(names))
        return Right(name, use, any(scope in held for scope in names), remedy, needed)

    yield right((_READ[0], _BOTH, _DEFINE), "read the subscription types", needed=True)
    yield right((*_READ, _BOTH, *BATCH_READ), "read what is off", needed=True)
    yield right((*_WRITE, _BOTH, *BATCH_WRITE), "turn topics off and on", needed=True)
    for names, use in ((BATCH_READ, "read"), (BATCH_WRITE, "change")):
        yield right(names, f"{use} 100 addresses in one request", _ENTERPRISE, needed=False)
    yield right(("crm.objects.contacts.read",), "find contacts and their opt-outs", needed=False)
    if setup.link_field:
        yield right(("crm.objects.contacts.write",), "write links", needed=True)
