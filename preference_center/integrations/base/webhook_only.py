"""Tools that only report: what people did there is recorded, and nothing is pushed to them.

Without channels no address concerns such a destination, so nothing is ever due for it. Its
webhook is read by the vendor's `webhook.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from preference_center.integrations.base.contract import (
    WEBHOOK_ONLY,
    Capabilities,
    CheckReport,
    DestinationConfig,
    EraseMode,
    PushItem,
    PushOutcome,
    UnsupportedByDestination,
)
from preference_center.integrations.base.integration import ConnectorSpec, TestedAgainst
from preference_center.integrations.base.vendor_events import (
    NotConfigured,
    SignatureError,
    WebhookRequest,
    WebhookVerifier,
)

if TYPE_CHECKING:
    from preference_center.integrations.base.http import HttpContext

_UNSIGNED_REQUEST = WebhookRequest("POST", "", "", {}, b"")


class WebhookOnlyConnector:
    """A destination that only reports, by `webhook`.

    `target_pattern` matches what a topic may be mapped to, where the vendor fixes the form of
    ids: events of a target that is written otherwise would never match.
    """

    capabilities: ClassVar[Capabilities] = WEBHOOK_ONLY
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        kind: str,
        webhook: WebhookVerifier,
        target_pattern: str,
        config: DestinationConfig,
        http: HttpContext,
    ) -> None:
        self.kind = kind
        self._webhook = webhook
        self._target_pattern = re.compile(target_pattern)
        self._config = config
        self._now = http.now

    def check(self) -> CheckReport:
        """See Connector. Reports whether its webhook can be verified with these settings."""
        problem = webhook_problem(self._webhook, self._config.settings, self._now())
        problems = [problem] if problem else []
        problems += [
            f"topic {topic} is mapped to {target}, which is no id there: docs/destinations.md "
            f"describes those of {self.kind}"
            for topic, target in sorted(self._config.topics.items())
            if not self._target_pattern.fullmatch(target)
        ]
        return CheckReport(tuple(problems), hints=("its webhook is read; nothing is pushed to it",))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. Raises UnsupportedByDestination for any item."""
        if batch:
            raise UnsupportedByDestination(f"{self._config.name}: nothing can be pushed to it")
        return {}


def webhook_problem(webhook: WebhookVerifier, settings: Mapping[str, str], now: datetime) -> str:
    """Why no request of this webhook can be verified with these settings; "" if one can."""
    try:
        webhook.verify(_UNSIGNED_REQUEST, settings, now)
    except NotConfigured as error:
        return str(error)
    except SignatureError:  # the settings suffice: only this request is unsigned
        pass
    return ""


def webhook_only_spec(
    kind: str,
    webhook: type[WebhookVerifier],
    *sources: str,
    tested_against: TestedAgainst = TestedAgainst.DOCUMENTATION,
    notes: tuple[str, ...] = (),
    target_pattern: str = ".+",
    erase: EraseMode = EraseMode.BY_HAND,
    erase_note: str = WEBHOOK_ONLY.erase_note,
) -> ConnectorSpec:
    """The spec of a kind of tool that only reports; `sources` are the vendor's pages.

    `erase`: BY_HAND or NOTHING_HELD. `erase_note`: where a person deletes what it holds about an
    address, or why there is nothing to delete.
    """
    return ConnectorSpec(
        kind=kind,
        tested_against=tested_against,
        capabilities=replace(WEBHOOK_ONLY, erase=erase, erase_note=erase_note),
        own_settings={},
        secret_settings=frozenset(),
        sources=sources,
        build=build_webhook_only(kind, webhook, target_pattern),
        notes=notes,
        has_rate_limit=False,
    )


def build_webhook_only(
    kind: str, webhook: type[WebhookVerifier], target_pattern: str = ".+"
) -> partial[WebhookOnlyConnector]:
    """A factory for `ConnectorSpec.build` and `ConnectorSpec.build_webhook_only`."""
    return partial(WebhookOnlyConnector, kind, webhook(), target_pattern)
