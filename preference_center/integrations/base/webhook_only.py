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

from preference_center.domain.sync.capabilities import ONLY_LISTENS, Capabilities
from preference_center.domain.sync.contract import Item, Outcome
from preference_center.domain.vendor_events import Post, Unready, Unverified
from preference_center.integrations.base.check_report import Report
from preference_center.integrations.base.contract import Setup, UnsupportedByDestination
from preference_center.integrations.base.http import Http
from preference_center.integrations.base.spec import Entry, Proof
from preference_center.integrations.webhooks import WEBHOOKS

_NOBODY = Post("POST", "", "", {}, b"")


class Listener:
    """A destination that is only listened to, of any kind that WEBHOOKS has."""

    capabilities: ClassVar[Capabilities] = ONLY_LISTENS
    settings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, kind: str, things: str, setup: Setup, http: Http) -> None:
        self.kind = kind
        self._things = re.compile(things)
        self._setup = setup
        self._now = http.now

    def check(self) -> Report:
        """See Connector. Says whether its webhook could be believed as it is set up."""
        fault = unready(self.kind, self._setup.settings, self._now())
        problems = [fault] if fault else []
        problems += [
            f"topic {topic} is mapped to {thing}, as nothing is called there: docs/destinations.md "
            f"says how {self.kind} names things"
            for topic, thing in sorted(self._setup.topics.items())
            if not self._things.fullmatch(thing)
        ]
        return Report(tuple(problems), hints=("it is only listened to, and told nothing",))

    def push(self, batch: Sequence[Item]) -> Mapping[int, Outcome]:
        """See Connector. It can't be told anything."""
        if batch:
            raise UnsupportedByDestination(f"{self._setup.name} is only listened to")
        return {}


def unready(kind: str, settings: Mapping[str, str], now: datetime) -> str:
    """Why the webhook of such a tool would not be believed whatever it says; "" if it might."""
    try:
        WEBHOOKS[kind].verify(_NOBODY, settings, now)
    except Unready as error:
        return str(error)
    except Unverified:  # as it has to be
        pass
    return ""


def listener(
    kind: str,
    title: str,
    *sources: str,
    proof: Proof = Proof.DOCUMENTATION,
    notes: tuple[str, ...] = (),
    secrets: frozenset[str] = frozenset(),
    things: str = ".+",
) -> Entry:
    """The entry of a kind of tool that is only listened to; it has a module in WEBHOOKS.

    `things` is a pattern of what a topic may be mapped to, where the vendor fixes the form:
    news of what is mapped amiss would count for nothing.
    """
    return Entry(
        kind=kind,
        title=title,
        proof=proof,
        capabilities=Listener.capabilities,
        own_settings={},
        secrets=secrets,
        sources=sources,
        build=partial(Listener, kind, things),
        notes=notes,
        paced=False,
    )


# One a tool, in the order of the documentation.
LISTENERS: tuple[Entry, ...] = (
    listener(
        "mandrill",
        "Mandrill",
        "https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/",
        "https://mailchimp.com/developer/transactional/docs/webhooks/",
    ),
    listener(
        "sparkpost",
        "SparkPost",
        "https://developers.sparkpost.com/api/webhooks/",
        "https://support.sparkpost.com/docs/deliverability/bounce-classification-codes",
    ),
    listener(
        "mailjet",
        "Mailjet",
        "https://dev.mailjet.com/email/guides/webhooks/",
        "https://dev.mailjet.com/email/guides/parse-api/",
        notes=("Map each topic to the id of a contact list.",),
        things=r"\d+",
    ),
    listener(
        "unisender_go",
        "Unisender Go",
        "https://godocs.unisender.ru/web-api-ref#callback-format",
        "https://godocs.unisender.ru/email-statuses",
    ),
    listener(
        "mailtrap",
        "Mailtrap",
        "https://docs.mailtrap.io/email-api-smtp/advanced/webhooks",
        "https://docs.mailtrap.io/email-api-smtp/deliverability/bounce-categorization",
    ),
    listener(
        "postal",
        "Postal",
        "https://docs.postalserver.io/developer/webhooks",
        "https://github.com/postalserver/postal/blob/main/lib/postal/http.rb",
        notes=("It knows neither opt-outs nor complaints: only bounces come from it.",),
    ),
    listener(
        "standard_webhooks",
        "Standard Webhooks, of your own programs",
        "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        notes=("Name with --sends the topics that it may report.",),
    ),
)
