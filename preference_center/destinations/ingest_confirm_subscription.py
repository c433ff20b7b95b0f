"""Confirm the subscription of a webhook, as some vendors require once."""

from __future__ import annotations

import os

from preference_center.core.errors import InvalidInput
from preference_center.destinations.rules.destination import Destination
from preference_center.infra.company_webhooks import ALLOW_PRIVATE
from preference_center.infra.context import services
from preference_center.integrations.base.http import HttpContext, RequestRejected
from preference_center.integrations.base.vendor_events import SubscriptionConfirmation


def confirm_subscription(destination: Destination, confirmation: SubscriptionConfirmation) -> None:
    """Send the confirmation that a vendor asked for; repeating it is harmless.

    Raises DeliveryError if it may be retried, InvalidInput if it was rejected.
    """
    allow = os.environ.get(ALLOW_PRIVATE) == "1"
    http = HttpContext(now=services().now, allow_private=allow)
    with http.session(destination.name, f"https://{confirmation.host}") as session:
        try:
            session.send("GET", "/", query=confirmation.query)
        except RequestRejected as error:
            raise InvalidInput(f"the confirmation was rejected: HTTP {error.status}") from None
