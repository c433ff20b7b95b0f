"""What connectors for texts have in common whose tool can only stop all of them (I10)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from preference_center.domain.vendor_events import ALL_SMS
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import DeliveryError, Setup
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.mapping import only_switch_problems


class OnlySwitch(ABC):
    """Phone numbers of one account, of a `ByChannel`: its one topic is mapped to `sms`."""

    settings: ClassVar[Mapping[str, str]] = {}
    """Those of the account are the email connector's."""
    credentials: ClassVar[str]
    """What to check when the tool refuses them: "the API key"."""

    def __init__(self, setup: Setup, http: Http) -> None:
        self._setup = setup
        self._http = http

    @abstractmethod
    def _faults(self) -> Iterable[str]:
        """Ask the tool for something; what else forbids sending, each with its remedy."""

    def check(self) -> Report:
        """See Connector."""
        problems = only_switch_problems(self._setup, ALL_SMS, "text message")
        try:
            return Report((*problems, *self._faults()))
        except DeliveryError as error:
            return Report((*problems, f"{error}: check {self.credentials}"))

    def _all(self, *, off: bool) -> frozenset[str]:
        """The topics that are off where the switch is."""
        return frozenset(self._setup.topics) if off else frozenset()
