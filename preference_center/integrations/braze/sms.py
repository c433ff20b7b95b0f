"""Braze's SMS subscription groups, by phone number.

https://www.braze.com/docs/user_guide/message_building_by_channel/sms/sms_subscription_group
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
A group is what one set of numbers sends; who is in none of them is sent nothing. Braze says
"success" for numbers that nobody there has, so it is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from preference_center.domain.sync.capabilities import Capabilities, SupportedScope
from preference_center.domain.sync.contract import PushItem, PushOutcome
from preference_center.integrations.base.batching import run_steps
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import (
    CREATE_CONTACTS,
    DeliveryError,
    DestinationConfig,
)
from preference_center.integrations.base.http import HttpContext, RequestRejected
from preference_center.integrations.base.mapping import mapping_problems, validate_batch
from preference_center.integrations.braze.client import (
    MAX_ADDRESSES_PER_CALL,
    PHONE,
    BrazeClient,
    open_client,
)
from preference_center.integrations.braze.push_steps import build_steps, find_off_groups

_PROBE_NUMBER = "+15005550006"


class BrazeSms:
    """The phone numbers of one Braze workspace.

    Who left a group can't be listed: that is seen when a number is read, and reported by the
    webhook.
    """

    kind: ClassVar[str] = "braze"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=MAX_ADDRESSES_PER_CALL,
        can_read=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    def check(self) -> CheckReport:
        """See Connector."""
        problems = [*mapping_problems(self._config, "SMS subscription group", numeric_ids=False)]
        if self._config.create_contacts:
            problems.append(
                f"{CREATE_CONTACTS}: Braze keeps no group's state for a number that nobody there "
                "has: take the setting away"
            )
        try:
            with open_client(self._config, self._http) as workspace:
                workspace.find_unsubscribed_groups(PHONE, [_PROBE_NUMBER])
                problems += self._group_problems(workspace)
        except DeliveryError as error:
            return CheckReport(
                (*problems, f"{error}: check the URL, the API key and its permissions")
            )
        return CheckReport(tuple(problems))

    def _group_problems(self, client: BrazeClient) -> Iterator[str]:
        for topic, group in sorted(self._config.topics.items()):
            try:
                client.ensure_group_exists(group, PHONE, _PROBE_NUMBER)
            except RequestRejected:
                yield (
                    f"topic {topic} is mapped to {group!r}, which Braze takes for no SMS "
                    "subscription group: map it to a group's id"
                )

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Opt-outs first, a group at a time."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as workspace:
            change = partial(self._set_state, workspace)
            return run_steps(batch, list(build_steps(workspace, PHONE, batch, change)))

    def _set_state(
        self, client: BrazeClient, topic: str, state: str, numbers: Sequence[str]
    ) -> None:
        client.set_group_state(self._config.topics[topic], state, PHONE, numbers)

    def read(self, batch: Sequence[PushItem]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who was never in a group has not left it."""
        if not batch:
            return {}
        validate_batch(batch, self._config, self.capabilities)
        with open_client(self._config, self._http) as workspace:
            held, _ = find_off_groups(workspace, PHONE, batch)
        return {ref: None if left is None else self._off_topics(left) for ref, left in held.items()}

    def _off_topics(self, off_groups: frozenset[str]) -> frozenset[str]:
        return frozenset(
            topic for topic, group in self._config.topics.items() if group in off_groups
        )
