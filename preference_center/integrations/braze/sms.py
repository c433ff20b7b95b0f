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
from preference_center.domain.sync.capabilities import Capabilities, Scopes
from preference_center.domain.sync.contract import Item, Outcome
from preference_center.integrations.base.batching import carry_out
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import CREATE_CONTACTS, DeliveryError, Setup
from preference_center.integrations.base.http import Http, Rejected
from preference_center.integrations.base.mapping import ensure_fits, mapping_problems
from preference_center.integrations.braze.client import PER_CALL, PHONE, Workspace, open_workspace
from preference_center.integrations.braze.push_steps import held_by, steps_of

_PROBE = "+15005550006"


class BrazeTexts:
    """The phone numbers of one Braze workspace.

    Who left a group can't be listed: that is seen when a number is read, and reported by the
    webhook.
    """

    kind: ClassVar[str] = "braze"
    capabilities: ClassVar[Capabilities] = Capabilities(
        channels=frozenset({Channel.SMS}),
        scopes=frozenset({Scopes.TOPIC}),
        can_lift=True,
        batch_size=PER_CALL,
        can_read=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    def check(self) -> Report:
        """See Connector."""
        problems = [*mapping_problems(self._setup, "SMS subscription group", numbered=False)]
        if self._setup.create_contacts:
            problems.append(
                f"{CREATE_CONTACTS}: Braze keeps no group's state for a number that nobody there "
                "has: take the setting away"
            )
        try:
            with open_workspace(self._setup, self._http) as workspace:
                workspace.users(PHONE, [_PROBE])
                problems += self._group_problems(workspace)
        except DeliveryError as error:
            return Report((*problems, f"{error}: check the URL, the API key and its permissions"))
        return Report(tuple(problems))

    def _group_problems(self, workspace: Workspace) -> Iterator[str]:
        for topic, group in sorted(self._setup.topics.items()):
            try:
                workspace.ensure_group(group, PHONE, _PROBE)
            except Rejected:
                yield (
                    f"topic {topic} is mapped to {group!r}, which Braze takes for no SMS "
                    "subscription group: map it to a group's id"
                )

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. Opt-outs first, a group at a time."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_workspace(self._setup, self._http) as workspace:
            change = partial(self._change, workspace)
            return carry_out(batch, list(steps_of(workspace, PHONE, batch, change)))

    def _change(self, workspace: Workspace, topic: str, state: str, numbers: Sequence[str]) -> None:
        workspace.set_group(self._setup.topics[topic], state, PHONE, numbers)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who was never in a group has not left it."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_workspace(self._setup, self._http) as workspace:
            held, _ = held_by(workspace, PHONE, batch)
        return {ref: None if left is None else self._off(left) for ref, left in held.items()}

    def _off(self, left: frozenset[str]) -> frozenset[str]:
        return frozenset(topic for topic, group in self._setup.topics.items() if group in left)
