"""Tools that only report: we take in what people did there, and tell them nothing.

Without channels no address concerns such a destination, so nothing is ever raised for it or
pushed to it. What its webhook says is read by the vendor's module in
`preference_center/integrations/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import ClassVar

from preference_center.domain.sync.capabilities import WEBHOOK_ONLY, Capabilities
from preference_center.domain.sync.contract import PushItem, PushOutcome
from preference_center.domain.vendor_events import NotConfigured, SignatureError, WebhookRequest
from preference_center.integrations.base.check_report import CheckReport
from preference_center.integrations.base.contract import DestinationConfig, UnsupportedByDestination
from preference_center.integrations.base.http import HttpContext
from preference_center.integrations.base.spec import ConnectorSpec, TestedAgainst
from preference_center.integrations.webhooks import WEBHOOKS

_UNSIGNED_REQUEST = WebhookRequest("POST", "", "", {}, b"")


class WebhookOnlyConnector:
    """A destination that is only listened to, of any kind that WEBHOOKS has."""

    capabilities: ClassVar[Capabilities] = WEBHOOK_ONLY
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, kind: str, target_pattern: str, config: DestinationConfig, http: HttpContext
    ) -> None:
        self.kind = kind
        self._target_pattern = re.compile(target_pattern)
        self._config = config
        self._now = http.now

    def check(self) -> CheckReport:
        """See Connector. Says whether its webhook could be believed as it is set up."""
        fault = webhook_problem(self.kind, self._config.settings, self._now())
        problems = [fault] if fault else []
        problems += [
            f"topic {topic} is mapped to {thing}, as nothing is called there: docs/destinations.md "
            f"says how {self.kind} names things"
            for topic, thing in sorted(self._config.topics.items())
            if not self._target_pattern.fullmatch(thing)
        ]
        return CheckReport(tuple(problems), hints=("it is only listened to, and told nothing",))

    def push(self, batch: Sequence[PushItem]) -> Mapping[int, PushOutcome]:
        """See Connector. It can't be told anything."""
        if batch:
            raise UnsupportedByDestination(f"{self._config.name} is only listened to")
        return {}


def webhook_problem(kind: str, settings: Mapping[str, str], now: datetime) -> str:
    """Why the webhook of such a tool would not be believed whatever it says; "" if it might."""
    try:
        WEBHOOKS[kind].verify(_UNSIGNED_REQUEST, settings, now)
    except NotConfigured as error:
        return str(error)
    except SignatureError:  # as it has to be
        pass
    return ""


def webhook_only_spec(
    kind: str,
    title: str,
    *sources: str,
    tested_against: TestedAgainst = TestedAgainst.DOCUMENTATION,
    notes: tuple[str, ...] = (),
    secret_settings: frozenset[str] = frozenset(),
    target_pattern: str = ".+",
) -> ConnectorSpec:
    """The entry of a kind of tool that is only listened to; it has a module in WEBHOOKS.

    `things` is a pattern of what a topic may be mapped to, where the vendor fixes the form:
    news of what is mapped amiss would count for nothing.
    """
    return ConnectorSpec(
        kind=kind,
        title=title,
        tested_against=tested_against,
        capabilities=WebhookOnlyConnector.capabilities,
        own_settings={},
        secret_settings=secret_settings,
        sources=sources,
        build=partial(WebhookOnlyConnector, kind, target_pattern),
        notes=notes,
        has_rate_limit=False,
    )


# One a tool, in the order of the documentation.
WEBHOOK_ONLY_SPECS: tuple[ConnectorSpec, ...] = (
    webhook_only_spec(
        "mandrill",
        "Mandrill",
        "https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/",
        "https://mailchimp.com/developer/transactional/docs/webhooks/",
    ),
    webhook_only_spec(
        "sparkpost",
        "SparkPost",
        "https://developers.sparkpost.com/api/webhooks/",
        "https://support.sparkpost.com/docs/deliverability/bounce-classification-codes",
    ),
    webhook_only_spec(
        "mailjet",
        "Mailjet",
        "https://dev.mailjet.com/email/guides/webhooks/",
        "https://dev.mailjet.com/email/guides/parse-api/",
        notes=("Map each topic to the id of a contact list.",),
        target_pattern=r"\d+",
    ),
    webhook_only_spec(
        "unisender_go",
        "Unisender Go",
        "https://godocs.unisender.ru/web-api-ref#callback-format",
        "https://godocs.unisender.ru/email-statuses",
    ),
    webhook_only_spec(
        "mailtrap",
        "Mailtrap",
        "https://docs.mailtrap.io/email-api-smtp/advanced/webhooks",
        "https://docs.mailtrap.io/email-api-smtp/deliverability/bounce-categorization",
    ),
    webhook_only_spec(
        "postal",
        "Postal",
        "https://docs.postalserver.io/developer/webhooks",
        "https://github.com/postalserver/postal/blob/main/lib/postal/http.rb",
        notes=("It knows neither opt-outs nor complaints: only bounces come from it.",),
    ),
    webhook_only_spec(
        "standard_webhooks",
        "Standard Webhooks, of your own programs",
        "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        notes=("Name with --sends the topics that it may report.",),
    ),
)
