"""What both channels of a Brevo account share."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from preference_center.integrations.base import runtime
from preference_center.integrations.brevo.client import (
    BrevoClient,
    BrevoContact,
    parse_rate_limit_headers,
)

PAGE_SIZE = 500
OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""


CAPABILITIES = runtime.Capabilities(
    channels=frozenset({runtime.Channel.EMAIL}),
    scopes=frozenset({runtime.SupportedScope.TOPIC}),
    can_lift=True,
    batch_size=150,
    rate_limit=runtime.RateLimit(10, 1),
    can_read=True,
    scans=runtime.ListingMode.CHANGES,
    pulls=runtime.ListingMode.CHANGES,
    can_write_fields=True,
    can_hold_link=True,
    off_means_opt_out=False,
    erase=runtime.EraseMode.FORGETS_OPT_OUT,
    erase_note="The contact is deleted with its lists, attributes and statistics, and with a "
    "blocklisting. The logs of transactional mail stay as long as the account keeps them. A "
    "number is taken from a contact who also has an email address.",
    confirms_erasure=True,
)
RULES = runtime.ConnectorRules(
    target_noun="list",
    credentials_hint="the API key and where it may be used",
    api_url="https://api.brevo.com",
    key_header="api-key",
    rate_limit_headers=parse_rate_limit_headers,
    numeric_ids=True,
    group_size=150,
    by_target=True,
    target_check=runtime.TargetCheck.ON_REJECTION,
)


class BrevoAccount(runtime.ApiConnector[BrevoClient]):
    """A connector of one account and channel."""

    kind = "brevo"
    client_class = BrevoClient

    def list_modified(self, cursor: str | None) -> runtime.ContactPage[BrevoContact]:
        """The next page of the contacts that were modified since the last pass."""
        list_page = partial(BrevoClient.list_modified_contacts, limit=PAGE_SIZE)
        return self.changes_page(cursor, list_page, overlap=OVERLAP)
