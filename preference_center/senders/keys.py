"""Creating and revoking the keys of senders, each with its audit entry.

Nobody grants more than they may do themselves: `grantable_scopes` is the rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from preference_center.catalogue import Catalogue
from preference_center.catalogue.store import current_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import InvalidInput
from preference_center.core.events import ALL_MARKETING
from preference_center.core.links.tokens import LinkTopic, SenderKey
from preference_center.core.staff import Permission
from preference_center.infra import audit
from preference_center.infra.context import services
from preference_center.infra.db.transactions import Connection
from preference_center.infra.keys import link_keys
from preference_center.web.api import keys
from preference_center.web.api.keys import ALL_MESSAGE_TYPES, KeyScope

_NEEDED: Mapping[KeyScope, Permission] = {
    KeyScope.CHECK: Permission.MANAGE_SENDERS,
    KeyScope.CATALOGUE: Permission.VIEW_CATALOGUE,
    KeyScope.LINKS: Permission.MANAGE_SENDERS,
}
"""What somebody on staff may do who grants a scope. The other scopes, which read people, close and
merge accounts, lift opt-outs or act on rights without a second person, are granted by command
only."""


def grantable_scopes(permissions: Collection[Permission] | None) -> frozenset[KeyScope]:
    """The scopes that keys may be given by somebody with these permissions.

    None is a command: all. Who runs one has the machine, with its secrets.
    """
    if permissions is None:
        return frozenset(KeyScope)
    return frozenset(scope for scope, needed in _NEEDED.items() if needed in permissions)


def create_api_key(
    connection: Connection,
    name: str,
    scopes: Collection[KeyScope],
    message_types: Collection[str],
    actor: str,
    *,
    permissions: Collection[Permission] | None,
    rate: str | None = None,
) -> str:
    """Create an API key; returns its text, which can't be shown again.

    `permissions` are those of the actor, as `grantable_scopes` has them. `rate` is as in "6000 per
    minute", or none; without one the setting API_RATE counts. Raises InvalidInput, also for a
    scope that the actor may not grant, UnknownMessageType for a type that the catalogue lacks.
    """
    if not scopes:
        raise InvalidInput("choose at least one scope")
    if excess := {*scopes} - grantable_scopes(permissions):
        raise InvalidInput(
            f"the scopes {', '.join(sorted(excess))} are more than you may do yourself: leave them"
            " out, or ask an operator who may run commands for the key"
        )
    if KeyScope.CHECK in scopes and not message_types:
        raise InvalidInput("the scope check needs at least one message type, or '*'")
    catalogue = current_catalogue() if set(message_types) - {ALL_MESSAGE_TYPES} else None
    for message_type in message_types:
        if catalogue and message_type != ALL_MESSAGE_TYPES:
            catalogue.message_type(message_type)
    parsed_rate = _parse_rate(rate) if rate is not None else None
    now = services().now()
    text = keys.create_key(connection, name, scopes, message_types, now, parsed_rate)
    detail: dict[str, str | list[str]] = {
        "name": name,
        "scopes": sorted(scopes),
        "message_types": sorted(message_types),
    }
    if parsed_rate:
        detail["rate"] = parsed_rate
    audit.insert_audit_entry(connection, now, actor, "api_key.created", detail)
    return text


def _parse_rate(text: str) -> str:
    # Imported late: its libraries take a tenth of a command's time, and few keys have a rate.
    from preference_center.infra.redis import parse_rate  # noqa: PLC0415

    return parse_rate(text)


def revoke_api_key(connection: Connection, name: str, actor: str) -> bool:
    """Revoke an API key; False if it was revoked before. Raises InvalidInput if there is none."""
    now = services().now()
    ended = keys.revoke_key(connection, name, now)
    if ended:
        audit.insert_audit_entry(connection, now, actor, "api_key.revoked", {"name": name})
    return ended


def select_link_topics(
    catalogue: Catalogue, topics: Iterable[str], brands: Iterable[str]
) -> list[str]:
    """These topics and those that the brands have now. Raises InvalidInput for unknown ones."""
    selected = [topic if topic == ALL_MARKETING else catalogue.topic(topic).key for topic in topics]
    for brand in brands:
        key = catalogue.brand(brand).key
        topics_of_brand = [topic for topic in catalogue.topics.values() if topic.brand == key]
        selected += [topic.key for topic in topics_of_brand if not topic.retired]
    if not selected:
        raise InvalidInput("name at least one brand or topic")
    return list(dict.fromkeys(selected))


def create_link_key(
    connection: Connection, name: str, topics: Collection[str], actor: str
) -> tuple[SenderKey, str]:
    """Create a link key for these topics; returns it, and its text, which is not shown again.

    Raises InvalidInput.
    """
    context, catalogue, now = services(), current_catalogue(), services().now()
    key = link_keys.create_link_key(
        connection, name, context.links.newest_key_id, list(topics), now
    )
    detail = {"name": name, "key_id": key.key_id, "topics": list(topics)}
    audit.insert_audit_entry(connection, now, actor, "link_key.created", detail)
    rows = [_link_topic(catalogue, topic) for topic in key.topics]
    return key, context.links.export_sender_key(key, rows)


def revoke_link_key(connection: Connection, name: str, actor: str) -> bool:
    """Revoke a link key; False if it was revoked before. Raises InvalidInput if there is none."""
    now = services().now()
    ended = link_keys.revoke_link_key(connection, name, now)
    if ended:
        audit.insert_audit_entry(connection, now, actor, "link_key.revoked", {"name": name})
    return ended


def _link_topic(catalogue: Catalogue, topic: str) -> LinkTopic:
    known = catalogue.topics.get(topic)
    channel = known.channel if known else Channel.EMAIL
    return LinkTopic(topic, channel, services().links.base_url(catalogue.host_for_scope(topic)))
