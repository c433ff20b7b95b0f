"""Change the settings of a destination, e.g. a revoked key, if its tool accepts them.

The tool is asked without a lock, since it may take a minute. So what it has accepted is stored only
if the settings are still those that the change was made from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import DestinationError, SettingsChanged
from preference_center.destinations.rules.settings import merge_settings
from preference_center.destinations.rules.states import Destination, DestinationStatus
from preference_center.destinations.store import backfills, destinations, listings
from preference_center.destinations.validate import (
    DestinationRequest,
    build_config,
    check_config,
    raise_for_problems,
    validate_request,
)
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection, run_in_transaction
from preference_center.integrations.base.contract import Capabilities
from preference_center.integrations.registry import get_integration, get_spec


def settings_version(destination: Destination) -> str:
    """A text that is another one after any change of its settings, and shows none of them."""
    held = json.dumps(dict(destination.settings), sort_keys=True)
    return services().keys.evidence_hmac(f"settings of {destination.name}: {held}")


def change_settings(
    name: str, settings: Mapping[str, str], actor: str, *, version: str | None = None
) -> None:
    """Replace some settings; an empty one is removed.

    With `version`, those of a form that was made from the settings of this version: the secrets
    that it lacks are removed, too (`rules.settings`).

    Raises SettingsChanged if they are others by now, and DestinationError with the problems; the
    old settings stay then.
    """
    destination = run_in_transaction(
        lambda connection: destinations.get_by_name(connection, services().keys, name)
    )
    if version not in {None, settings_version(destination)}:
        raise _changed_meanwhile(name)
    kind = get_integration(destination.kind)
    forgotten = kind.load_secret_settings() if version else frozenset[str]()
    merged = merge_settings(destination.settings, settings, forgotten)
    _require_accepted(destination, merged)
    spec = kind.load_spec()
    old, new = spec.capabilities_for(destination.settings), spec.capabilities_for(merged)
    starts_pushing = old.webhook_only and not new.webhook_only
    request = _request_from(destination, merged)
    channels = validate_request(request, current_catalogue()) if starts_pushing else frozenset()

    def update(connection: Connection) -> None:
        context = services()
        current = destinations.get_by_name(connection, context.keys, name, lock=True)
        if current.settings != destination.settings:
            raise _changed_meanwhile(name)
        destinations.set_settings(connection, context.keys, name, merged)
        if starts_pushing:
            _start_pushing(connection, destination.id, channels, new)
        detail = {"name": name}
        audit.insert_audit_entry(connection, context.now(), actor, "destination.changed", detail)

    run_in_transaction(update)


def _changed_meanwhile(name: str) -> SettingsChanged:
    return SettingsChanged(
        f"the settings of {name} were changed meanwhile, and nothing of this was stored: read them"
        " again, then make your change"
    )


def _require_accepted(destination: Destination, merged: Mapping[str, str]) -> None:
    """Ask the tool. Raises DestinationError with the problems."""
    name, service = destination.name, destination.sends_service
    config = build_config(name, merged, destination.mapping, sends_service=service)
    raise_for_problems(name, check_config(destination.kind, config, destination.sends))
    spec = get_spec(destination.kind)
    old, new = spec.capabilities_for(destination.settings), spec.capabilities_for(merged)
    if new.webhook_only and not old.webhook_only:
        raise DestinationError(
            f"{name} could not be pushed to without {', '.join(sorted(spec.secret_settings))}: "
            "to stop that, pause it"
        )


def _request_from(destination: Destination, settings: Mapping[str, str]) -> DestinationRequest:
    """The request that would add `destination`, with other settings."""
    return DestinationRequest(
        name=destination.name,
        kind=destination.kind,
        settings=settings,
        mapping=destination.mapping,
        sends=destination.sends - destination.mapping.keys(),
        sends_service=destination.sends_service,
    )


def _start_pushing(
    connection: Connection,
    destination_id: int,
    channels: frozenset[Channel],
    capabilities: Capabilities,
) -> None:
    """Treat a destination that was webhook-only like a new one, in *observe*."""
    now = services().now()
    destinations.set_capabilities(
        connection,
        destination_id,
        channels=channels,
        can_lift=capabilities.can_lift,
        pulled_at=None if capabilities.can_pull else now,
    )
    destinations.set_status(connection, destination_id, DestinationStatus.OBSERVE)
    listings.reset_listings(connection, destination_id)
    backfills.restart_backfill(connection, destination_id, now)
