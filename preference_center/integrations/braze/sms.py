"""Braze's SMS subscription groups, by phone number.

https://www.braze.com/docs/user_guide/message_building_by_channel/sms/sms_subscription_group
An SMS group is what one set of numbers sends; who is in none of them is sent nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from preference_center.integrations.base import runtime
from preference_center.integrations.base.contract import CREATE_CONTACTS
from preference_center.integrations.braze.client import MAX_ADDRESSES_PER_CALL, PHONE, BrazeClient
from preference_center.integrations.braze.workspace import RULES, BrazeWorkspace


class BrazeSms(BrazeWorkspace):
    """The phone numbers of one Braze workspace.

    Opt-outs of a group can't be listed: they are found when a number is read, and reported by
    the webhook.
    """

    capabilities = runtime.Capabilities(
        channels=frozenset({runtime.Channel.SMS}),
        scopes=frozenset({runtime.SupportedScope.TOPIC}),
        can_lift=True,
        batch_size=MAX_ADDRESSES_PER_CALL,
        can_read=True,
        erase=runtime.EraseMode.FORGETS_OPT_OUT,
        confirms_erasure=True,
    )
    settings: ClassVar[Mapping[str, str]] = {}
    rules = replace(RULES, target_noun="SMS subscription group")
    id_type = PHONE
    probe_identifier = "+15005550006"
    not_a_group = "Braze takes for no SMS subscription group: map it to a group's id"

    def find_problems(self, client: BrazeClient) -> Iterator[str]:
        """See ApiConnector."""
        yield from super().find_problems(client)
        if self.config.create_contacts:
            yield (
                f"{CREATE_CONTACTS}: Braze keeps no group's state for a number that nobody there "
                "has: take the setting away"
            )

    def request_erasures(self, client: BrazeClient, items: runtime.EraseItems) -> runtime.Outcomes:
        """See RequestedErasureConnector. One with an email address too may be somebody else."""
        users = client.find_users(self.id_type, [item.address for item in items])
        shared = [i for i in items if any(user.email for user in users.get(i.address, ()))]
        if own := [item for item in items if item not in shared]:
            super().request_erasures(client, own)
        return {item.ref: runtime.refused("has an email address too") for item in shared}
