"""Braze's SMS subscription groups, by phone number.

https://www.braze.com/docs/user_guide/message_building_by_channel/sms/sms_subscription_group
https://www.braze.com/docs/api/endpoints/subscription_groups/get_list_user_subscription_groups/
A group is what one set of numbers sends; who is in none of them is sent nothing. Braze says
"success" for numbers that nobody there has, so they are searched for first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

from preference_center.domain.addresses import Channel
from workers.connectors.base import (
    CREATE_CONTACTS,
    Capabilities,
    DeliveryError,
    Item,
    Outcome,
    Report,
    Result,
    Scopes,
    Setup,
)
from workers.connectors.braze_api import OFF, ON, PER_CALL, PHONE, Workspace, open_workspace
from workers.connectors.http import Http, Rejected
from workers.connectors.mapping import ensure_fits, mapping_problems
from workers.connectors.steps import Step, carry_out, send_halving

_PROBE = "+15005550006"
_ABSENT = Outcome(Result.ABSENT, "no user")
_UNREADABLE = Outcome(Result.LATER, "the answer can't be read")
_REFUSED = Outcome(Result.REFUSED, "400")


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
            wanted = [item for item in batch if item.off or item.lift]
            others = {item.ref: _REFUSED for item in wanted}
            there = []
            for part, known in send_halving(
                wanted, lambda some: workspace.users(PHONE, [item.address for item in some])
            ):
                others |= {
                    item.ref: _ABSENT if item.address in known else _UNREADABLE for item in part
                }
                there += [item for item in part if known.get(item.address) is not None]
            for item in there:
                del others[item.ref]
            return carry_out(batch, list(self._steps(workspace, there))) | others

    def _steps(self, workspace: Workspace, there: Sequence[Item]) -> Iterator[Step]:
        for state in (OFF, ON):
            for topic, group in sorted(self._setup.topics.items()):
                items = [i for i in there if topic in (i.off if state == OFF else i.lift)]
                if items:
                    call = partial(_set, workspace, group, state, items)
                    yield Step(tuple(item.ref for item in items), call)

    def read(self, batch: Sequence[Item]) -> Mapping[int, frozenset[str] | None]:
        """See Readable. Who was never in a group has not left it."""
        if not batch:
            return {}
        ensure_fits(batch, self._setup, self.capabilities)
        with open_workspace(self._setup, self._http) as workspace:
            known = workspace.users(PHONE, [item.address for item in batch])
        topics = self._setup.topics.items()
        return {
            item.ref: left if left is None else frozenset(t for t, group in topics if group in left)
            for item in batch
            if item.address in known
            for left in [known[item.address]]
        }


def _set(
    workspace: Workspace, group: str, state: str, items: Sequence[Item]
) -> Mapping[int, Outcome]:
    outcomes = {item.ref: _REFUSED for item in items}
    for part, _ in send_halving(
        items,
        lambda some: workspace.set_group(group, state, PHONE, [item.address for item in some]),
    ):
        outcomes |= {item.ref: Outcome(Result.REFLECTED, "success") for item in part}
    return outcomes
