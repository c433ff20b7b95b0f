"""Amazon SES: the account's suppression list, and contacts of a contact list, as JSON or CSV.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListSuppressedDestinations.html
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListContacts.html
`aws sesv2 list-suppressed-destinations` and `list-contacts` print these documents. A topic
that a contact never chose (TopicDefaultPreferences) says nothing of the person.
"""

from __future__ import annotations

from preference_center.domain.imports.presets import Meaning, Preset, Says, When

_EMAIL = ("EmailAddress", "email")
_UPDATED = ("LastUpdateTime", "LastUpdatedTimestamp")
_TOPICS = ("TopicPreferences",)

PRESETS = (
    Preset(
        name="ses-suppressions",
        title="Amazon SES: list-suppressed-destinations",
        page="https://docs.aws.amazon.com/ses/latest/APIReference-V2/"
        "API_ListSuppressedDestinations.html",
        address=_EMAIL,
        says=(
            Says(Meaning.BOUNCE, at=_UPDATED, when=(When(("Reason",), ("bounce",)),)),
            Says(
                Meaning.COMPLAINT,
                group="complaints",
                at=_UPDATED,
                when=(When(("Reason",), ("complaint",)),),
            ),
        ),
        needs=(("Reason",),),
        json_list="SuppressedDestinationSummaries.item",
    ),
    Preset(
        name="ses-contacts",
        title="Amazon SES: list-contacts of one contact list",
        page="https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_ListContacts.html",
        address=_EMAIL,
        says=(
            Says(
                Meaning.OPT_OUT,
                group="unsubscribed from all",
                at=_UPDATED,
                when=(When(("UnsubscribeAll",), ("true",)),),
            ),
            Says(
                Meaning.OPT_OUT,
                by=("TopicName",),
                items=_TOPICS,
                at=_UPDATED,
                when=(When(("SubscriptionStatus",), ("opt_out",)),),
            ),
            Says(
                Meaning.SUBSCRIPTION,
                by=("TopicName",),
                items=_TOPICS,
                at=_UPDATED,
                when=(When(("SubscriptionStatus",), ("opt_in",)),),
            ),
        ),
        needs=(("UnsubscribeAll", "TopicPreferences"),),
        json_list="Contacts.item",
    ),
)
