"""What connectors for texts have in common whose tool can only stop all of them (I10)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from preference_center.domain.vendor_events import ALL_SMS
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DeliveryError, DestinationConfig
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.mapping import single_switch_problems


class SmsSwitchConnector(ABC):
    """Phone numbers of one account, of a `ByChannel`: its one topic is mapped to `sms`."""

    settings: ClassVar[Mapping[str, str]] = {}
    """Those of the account are the email connector's."""
    credentials_hint: ClassVar[str]
    """What to check when the tool refuses them: "the API key"."""

    def __init__(self, config: DestinationConfig, http: HttpContext) -> None:
        self._config = config
        self._http = http

    @abstractmethod
    def _find_problems(self) -> Iterable[str]:
        """Ask the tool for something; what else forbids sending, each with its remedy."""

    def check(self) -> CheckReport:
        """See Connector."""
        problems = single_switch_problems(self._config, ALL_SMS, "text message")
        try:
            return CheckReport((*problems, *self._find_problems()))
        except DeliveryError as error:
            return CheckReport((*problems, f"{error}: check {self.credentials_hint}"))

    def _all_topics(self, *, off: bool) -> frozenset[str]:
        """The topics that are off where the switch is."""
        return frozenset(self._config.topics) if off else frozenset()
