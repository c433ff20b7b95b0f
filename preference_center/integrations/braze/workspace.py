"""What both channels of a Braze workspace do alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.braze.client import MAX_ADDRESSES_PER_CALL, BrazeClient
from preference_center.integrations.braze.push_steps import build_steps, find_off_groups

RULES = runtime.ConnectorRules(
    target_noun="subscription group",
    credentials_hint="the URL, the API key and its permissions",
    url_setting="url",
    bearer_setting="api_key",
    rate_limit_headers=runtime.parse_reset_headers(
        "x-ratelimit-remaining", "x-ratelimit-reset", epoch=True
    ),
)


class BrazeWorkspace(
    runtime.ReadableApiConnector[BrazeClient], runtime.RequestedErasureConnector[BrazeClient]
):
    """A connector of one workspace and channel."""

    kind = "braze"
    rules = RULES
    client_class = BrazeClient
    id_type: ClassVar[str]
    probe_identifier: ClassVar[str]
    """An identifier that nobody has."""
    not_a_group: ClassVar[str]
    """Why no topic may be mapped to what Braze does not know, with the remedy."""
    erase_group_size = MAX_ADDRESSES_PER_CALL
    repeat_after = timedelta()
    """A request deletes one of the users that share an address: it is repeated until all are."""

    @property
    def groups_by_topic(self) -> Mapping[str, str]:
        """Those of the topics that are mapped to a group."""
        switch = self.rules.account_target
        return {topic: id_ for topic, id_ in self.config.topics.items() if id_ != switch}

    def list_targets(self, client: BrazeClient) -> Iterator[runtime.Target]:
        """See ApiConnector. Groups can't be listed: those that are mapped."""
        for group in sorted(set(self.groups_by_topic.values())):
            try:
                client.ensure_group_exists(group, self.id_type, self.probe_identifier)
            except runtime.RequestRejected:
                yield runtime.Target(group, group, self.not_a_group)
            else:
                yield runtime.Target(group, group)

    def find_problems(self, client: BrazeClient) -> Iterator[str]:
        """See ApiConnector. Tries the requests that only read."""
        client.find_unsubscribed_groups(self.id_type, [self.probe_identifier])
        yield from ()

    def push_batch(self, client: BrazeClient, batch: runtime.Items) -> runtime.Outcomes:
        """See ApiConnector. Opt-outs first, a topic at a time."""
        set_state = partial(self._set_state, client)
        creates = self.capabilities.can_create and self.config.create_contacts
        steps = build_steps(client, self.id_type, batch, set_state, existing_only=not creates)
        return runtime.run_steps(batch, list(steps))

    def _set_state(
        self, client: BrazeClient, topic: str, state: str, identifiers: Sequence[str]
    ) -> None:
        if group := self.groups_by_topic.get(topic):
            client.set_group_state(group, state, self.id_type, identifiers)
        else:
            client.set_email_state(state, identifiers)

    def read_batch(self, client: BrazeClient, batch: runtime.Items) -> runtime.OffTopics:
        """See ReadableApiConnector. Who was never in a group has not left it."""
        off_groups, _ = find_off_groups(client, self.id_type, batch)
        return {
            ref: None if ids is None else self._off_topics(ids) for ref, ids in off_groups.items()
        }

    def find_held_contacts(
        self, client: BrazeClient, items: runtime.EraseItems
    ) -> Mapping[int, bool]:
        """See ErasingConnector."""
        users = client.find_users(self.id_type, [item.address for item in items])
        return {item.ref: bool(users[item.address]) for item in items if item.address in users}

    def request_erasures(self, client: BrazeClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See RequestedErasureConnector."""
        client.delete_users(self.id_type, [item.address for item in items])
        return {}

    def _off_topics(self, off_groups: frozenset[str]) -> frozenset[str]:
        return frozenset(t for t, group in self.groups_by_topic.items() if group in off_groups)
