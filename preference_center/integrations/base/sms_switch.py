"""The connector for text messages of a tool that can only stop all of them (I10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, TypeVar

from preference_center.integrations.base.mapped_connector import ReadableConnector
from preference_center.integrations.base.mapping import single_switch_problems
from preference_center.integrations.base.targets import OffState, RemoteContact, Target
from preference_center.integrations.base.vendor_events import ALL_SMS

Client = TypeVar("Client")


class MappedSmsConnector(ReadableConnector[Client]):
    """Phone numbers of one account, of a `MultiChannelConnector`: its one topic is mapped to `sms`.

    A change's only target is ALL_SMS.
    """

    settings: ClassVar[Mapping[str, str]] = {}
    """Those of the account are the email connector's."""

    def mapping_problems(self) -> Iterable[str]:
        """See ApiConnector."""
        return single_switch_problems(self.config, ALL_SMS, "text message")

    def list_targets(self, client: Client) -> Iterator[Target]:  # noqa: ARG002 - every account has it
        """See ApiConnector."""
        for target in set(self.config.topics.values()):
            yield Target(target, "all text messages")

    def all_topics(self, *, is_off: bool) -> frozenset[str]:
        """The topics that are off where the switch is."""
        return frozenset(self.config.topics) if is_off else frozenset()


def sms_contact(reason: str | None) -> RemoteContact:
    """What the tool holds of a number; `reason` is why the switch is off, None if it is on."""
    return RemoteContact({ALL_SMS: OffState(reason)} if reason else {})
