"""This package connects Amazon SES, and its presets read suppressions and contacts of a list.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListContacts.html
The suppression list is the account's; the files are JSON or CSV.
`aws sesv2 list-suppressed-destinations` and `list-contacts` print these documents. A topic
that a contact never chose (TopicDefaultPreferences) is ignored.
"""

from __future__ import annotations

from preference_center.integrations.base.integration import Integration
from preference_center.integrations.base.presets import (
    CellCondition,
    ImportPreset,
    bounce,
    complaint,
    opt_out,
    subscription,
)

INTEGRATION = Integration.of_package(
    __name__, "Amazon SES", webhook="SesWebhookSource", has_presets=True
)


_EMAIL = ("EmailAddress", "email")


_UPDATED = ("LastUpdateTime", "LastUpdatedTimestamp")


_TOPICS = ("TopicPreferences",)


PRESETS = (
    ImportPreset(
        name="ses-suppressions",
        title="Amazon SES: list-suppressed-destinations",
        docs_url="https://docs.aws.amazon.com/ses/latest/APIReference-V2/"
        "API_ListSuppressedDestinations.html",
        address_columns=_EMAIL,
        meanings=(
            bounce(date_columns=_UPDATED, conditions=(CellCondition(("Reason",), ("bounce",)),)),
            complaint(
                default_group="complaints",
                date_columns=_UPDATED,
                conditions=(CellCondition(("Reason",), ("complaint",)),),
            ),
        ),
        required_columns=(("Reason",),),
        is_strict=True,
        json_rows_path="SuppressedDestinationSummaries.item",
    ),
    ImportPreset(
        name="ses-contacts",
        title="Amazon SES: list-contacts of one contact list",
        docs_url="https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListContacts.html",
        address_columns=_EMAIL,
        meanings=(
            opt_out(
                default_group="unsubscribed from all",
                date_columns=_UPDATED,
                conditions=(CellCondition(("UnsubscribeAll",), ("true",)),),
            ),
            opt_out(
                group_columns=("TopicName",),
                list_columns=_TOPICS,
                date_columns=_UPDATED,
                conditions=(CellCondition(("SubscriptionStatus",), ("opt_out",)),),
            ),
            subscription(
                group_columns=("TopicName",),
                list_columns=_TOPICS,
                date_columns=_UPDATED,
                conditions=(CellCondition(("SubscriptionStatus",), ("opt_in",)),),
            ),
        ),
        required_columns=(("UnsubscribeAll", "TopicPreferences"),),
        json_rows_path="Contacts.item",
    ),
)
