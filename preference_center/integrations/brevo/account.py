"""What both channels of a Brevo account share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from preference_center.integrations.base import runtime
from preference_center.integrations.brevo.client import (
    BrevoClient,
    BrevoContact,
    parse_rate_limit_headers,
)

PAGE_SIZE = 500
OVERLAP = timedelta(minutes=10)
"""Passes overlap: an index may lag behind, and clocks differ."""
Row = TypeVar("Row")


CAPABILITIES = runtime.Capabilities(
    channels=frozenset({runtime.Channel.EMAIL}),
    scopes=frozenset({runtime.SupportedScope.TOPIC}),
    can_lift=True,
    batch_size=150,
    rate_limit=runtime.RateLimit(10, 1),
    can_read=True,
    scans=runtime.ListingMode.CHANGES,
    pulls=runtime.ListingMode.CHANGES,
    can_hold_link=True,
    off_means_opt_out=False,
    erase=runtime.EraseMode.FORGETS_OPT_OUT,
    erase_note="the contact is deleted with its lists, attributes and statistics, and with a "
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

    def list_modified(
        self, cursor: str | None, to_rows: Callable[[BrevoContact], Iterable[Row]]
    ) -> runtime.ContactPage[Row]:
        """The next page of the contacts that were modified since the last pass, as rows."""

        def list_page(
            client: BrevoClient, since: datetime | None, offset: str
        ) -> tuple[list[Row], str]:
            contacts, following = client.list_modified_contacts(since, offset, PAGE_SIZE)
            return [row for contact in contacts for row in to_rows(contact)], following

        return self.changes_page(cursor, list_page, overlap=OVERLAP)
